"""What a decision touches is counted rightly, and stays as little as it is."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks.counting import WARM, counted
from benchmarks.peers.ours import Ours, answering
from models.kernel import COMPILED

MOST = {
    "logic": {"functions": 70, "calls": 130, "numpy": 6, "lookups": 62, "made": 48},
    "decide": {"functions": 95, "calls": 180, "numpy": 6, "lookups": 70, "made": 54},
}
"""Of each kind an answer, a tenth and more above what was counted on 3.11 and 3.13 for 8 to 1,000 actions."""


def test_everything_is_counted_that_is_named() -> None:
    """One function of ours with a call, a ufunc, two subscripts and three things made: so many, of each answer."""
    row, seen = np.ones(3), []

    def answer(number: int) -> object:
        seen.append(number)
        made = [number, {"a": number}]
        return np.add(row, row), (made[1]["a"], number)  # type: ignore[index]  # of several types

    found = counted(answer, 4)
    assert len(seen) == (WARM + (2 if sys.version_info < (3, 12) else 3)) * 4
    assert (found["functions"], found["lookups"], found["made"]) == (1, 2, 4)
    if sys.version_info >= (3, 12):
        assert found["numpy"] == 1
        assert found["calls"] == 2  # append, add


@pytest.mark.skipif(not COMPILED, reason="the twins in Python touch more; what is bounded is the usual installation")
@pytest.mark.parametrize("how", list(MOST))
async def test_a_decision_touches_no_more_than_it_did(ours: Ours, how: str) -> None:
    """Functions, calls, numpy, lookups and what is made: who adds some sees it here before it is felt."""
    found = counted(await answering(ours, how), len(ours.requests))
    assert all(count <= MOST[how][kind] for kind, count in found.items()), found
    assert found["functions"] > 20
