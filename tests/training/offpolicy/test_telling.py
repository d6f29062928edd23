"""What is claimed in words is what the intervals say, and nothing more."""

from __future__ import annotations

from typing import Any

import pytest

from training.offpolicy.estimates import Estimate
from training.offpolicy.telling import claims, numbers

_EMPTY: dict[str, Any] = {"refusal": "", "over_log": None}


def _document(over: Estimate, refusal: str = "") -> dict[str, Any]:
    told = {**numbers(over), "verdict": str(over.verdict), "arm": "strategy", "than": "random"}
    arms = {"strategy": _EMPTY, "random": {**_EMPTY, "refusal": refusal}}
    return {"currency": "EUR", "arms": arms, "differences": [told]}


CLAIMS = [
    pytest.param(
        Estimate(1.0, 0.25, 0.5, 1.5),
        "The strategy is better than random: +1 EUR a decision, 95 % from +0.5 to +1.5.",
        id="better",
    ),
    pytest.param(
        Estimate(-1.0, 0.25, -1.5, -0.5),
        "The strategy is worse than random: -1 EUR a decision, 95 % from -1.5 to -0.5.",
        id="worse",
    ),
    pytest.param(
        Estimate(1.0, 0.75, -0.5, 2.5),
        "Whether the strategy is better than random the log does not say: +1 EUR a decision, 95 % from -0.5 to +2.5.",
        id="undecided",
    ),
    pytest.param(Estimate(0.0, 0.0, 0.0, 0.0), "The strategy and random say the same.", id="the same"),
    pytest.param(
        Estimate(1.0, float("inf"), float("-inf"), float("inf")),
        "Whether the strategy is better than random the log does not say: +1 EUR a decision, 95 % from anything to "
        "anything.",
        id="one customer",
    ),
]


@pytest.mark.parametrize(("over", "words"), CLAIMS)
def test_a_claim_says_what_the_interval_says(over: Estimate, words: str) -> None:
    """Better and worse are said where the interval leaves out 0; where it does not, the log does not say."""
    assert list(claims(_document(over))) == [words]


def test_a_refusal_is_told_with_the_arm() -> None:
    """An arm without a value is named with the reason."""
    words = list(claims(_document(Estimate(1.0, 0.25, 0.5, 1.5), "Refused: too few.")))
    assert words[0] == "random: Refused: too few."
