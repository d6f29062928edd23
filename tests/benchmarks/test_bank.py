"""Claims about the bank's public calls: unseen calls are forecast well, and only the duration is called a leak."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.bank import FILE, LEAK, Calls, check_leaks, forecast, read_calls
from tests.conftest import absent

DATA = Path(os.environ.get("TACT_DATA", Path(__file__).parents[2].parent / "shared" / "data")) / "bank-marketing"
SEEDS = int(os.environ.get("TACT_BANK_SPLITS", "1"))


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Calls:
    """Bring the public file in once."""
    if not (DATA / FILE).is_file():
        absent(f"{FILE} is not there; set TACT_DATA to the folder that holds bank-marketing/{FILE}")
    return read_calls(DATA, tmp_path_factory.mktemp("bank"))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_unseen_calls_are_forecast_well(calls: Calls, seed: int) -> None:
    """Of a random fifth of the calls: AUC at least .79, calibration error at most .015, without the duration."""
    assert LEAK not in calls.declared.space.features
    found = forecast(calls, seed)
    assert found.metrics.rows == 8238
    found.check()


def test_the_duration_is_named_as_a_leak_and_nothing_else_is(calls: Calls) -> None:
    """With the duration left in, it is named with what gives it away; without it there is nothing to name."""
    (sentence,) = check_leaks(calls)
    assert sentence.startswith(f"{LEAK} may be a leak: alone it ranks with an AUC of 0.82")
    assert "the outcome never happens" in sentence
