"""Alarms tell what moved and why, and are quiet where chance explains it."""

from __future__ import annotations

import numpy as np
import pytest

from training.drift.alarms import Kind, Reference
from training.drift.seen import Floats, Seen, mean_and_error
from training.drift.stability import Population, fields_of

COLUMNS = ("mood", "mood?", "tier=basic", "tier=gold", "tier?", "seen:days", "seen?")


def seen(rows: int, seed: int, mood: float = 0.0, offset: float = 0.0, slope: float = 1.0, twice: int = 1) -> Seen:
    """Return rows of a world that may have moved; each person and what becomes of them occurs `twice` times."""
    rng = np.random.default_rng(seed)
    x = np.zeros((rows, len(COLUMNS)))
    x[:, 0] = rng.normal(mood, 1.0, rows)
    x[np.arange(rows), 2 + rng.integers(0, 3, rows)] = 1.0
    x[:, 5] = rng.exponential(3.0, rows)
    said = 1.0 / (1.0 + np.exp(-(x[:, 0] - 1.5)))
    truth = 1.0 / (1.0 + np.exp(-(slope * (x[:, 0] - 1.5) + offset)))
    happened = (rng.random(rows) < truth).astype(float)
    return Seen(*(np.repeat(array, twice, axis=0) for array in (np.arange(rows), x, said, happened)))


def kinds(recent: Seen, then: Seen | None = None) -> set[Kind]:
    """Return the kinds of alarms of rows against those of then."""
    then = seen(8000, 0) if then is None else then
    return {alarm.kind for alarm in Reference.of(COLUMNS, then).against(recent, "offer").alarms}


def test_nothing_moved_and_no_alarm() -> None:
    """Over 100 windows of all sizes from the very world of then there is not one alarm."""
    reference = Reference.of(COLUMNS, seen(8000, 0))
    sizes = np.random.default_rng(0).integers(100, 4000, 100)
    found = [reference.against(seen(int(size), i + 1), "offer").alarms for i, size in enumerate(sizes)]
    assert [alarms for alarms in found if alarms] == []


def test_a_model_that_was_always_wrong_has_not_drifted() -> None:
    """Forecasts that missed on the rows of then miss in the same way on those of now: no alarm, it is no news."""
    assert kinds(seen(4000, 2, slope=0.4, offset=-1.0), seen(8000, 1, slope=0.4, offset=-1.0)) == set()


def test_the_same_people_seen_again_and_again_are_no_crowd() -> None:
    """Twenty rows of each of 150 people carry what 150 rows do: chance makes no alarm of it, in any of 30 worlds."""
    reference = Reference.of(COLUMNS, seen(8000, 0))
    found = [reference.against(seen(150, i + 1, twice=20), "offer").alarms for i in range(30)]
    assert [alarms for alarms in found if alarms] == []


@pytest.mark.parametrize(
    ("world", "wanted"),
    [
        ({"offset": 0.8}, {Kind.BASE_RATE, Kind.FORECAST, Kind.CALIBRATION, Kind.IN_TIME}),
        ({"mood": 1.0}, {Kind.FEATURE, Kind.BASE_RATE}),
        ({"slope": 0.2, "offset": -1.2}, {Kind.CALIBRATION}),
    ],
    ids=["outcomes more often", "other people", "forecasts too bold"],
)
def test_what_moved_is_named(world: dict[str, float], wanted: set[Kind]) -> None:
    """Each way in which a world moves raises its own alarm; other people alone are no fault of the forecasts."""
    found = kinds(seen(4000, 3, world.get("mood", 0.0), world.get("offset", 0.0), world.get("slope", 1.0)))
    assert wanted <= found
    if "mood" in world:
        assert found == wanted


def test_every_alarm_says_its_reason_with_figures() -> None:
    """A reason names the field or the action, and the figures that speak for it."""
    found = Reference.of(COLUMNS, seen(8000, 0)).against(seen(4000, 3, mood=1.0, offset=0.8), "offer").alarms
    assert len(found) >= 4
    for alarm in found:
        assert alarm.of in alarm.reason
        assert any(character.isdigit() for character in alarm.reason)


def test_a_break_in_the_middle_is_found_in_time() -> None:
    """Where forecasts are right at first, the alarm names the row of the recent ones from which on they are not."""
    before, after = seen(2000, 4), seen(2000, 5, offset=1.0)
    found = Reference.of(COLUMNS, seen(8000, 0)).against(Seen.joined((before, after)), "offer").alarms
    in_time = next(alarm for alarm in found if alarm.kind is Kind.IN_TIME)
    assert "from row 2,000 of the recent ones on" in in_time.reason


@pytest.mark.parametrize("rows", [0, 1, 99])
def test_few_rows_raise_no_alarm_and_no_error(rows: int) -> None:
    """With hardly any rows nothing can be told, however far they are away."""
    assert kinds(seen(rows, 6, mood=5.0, offset=5.0)) == set()


def test_rows_without_outcomes_can_still_tell_of_features() -> None:
    """Where no outcome is known yet, fields that moved raise their alarm all the same."""
    recent = seen(1000, 7, mood=2.0)
    unknown: Floats = np.full(len(recent), np.nan)
    assert kinds(Seen(recent.customer, recent.x, recent.forecast, unknown)) == {Kind.FEATURE}


def test_the_index_is_that_of_the_formula() -> None:
    """The population stability index is the sum over bins of (p - q) ln(p / q), with half a row more in each bin."""
    then, now = np.zeros((100, 3)), np.zeros((100, 3))
    then[:30, 0], then[30:, 1] = 1.0, 1.0
    now[:60, 0], now[60:, 1] = 1.0, 1.0
    found = Population.of(("t=a", "t=b", "t?"), then, np.arange(100)).moved(now, np.arange(100))[0]
    q, p = np.array([30.5, 70.5, 0.5, 0.5]), np.array([60.5, 40.5, 0.5, 0.5])
    q, p = q / q.sum(), p / p.sum()
    assert found.field == "t"
    assert found.index == pytest.approx(float(((p - q) * np.log(p / q)).sum()))


def test_columns_are_put_together_by_field() -> None:
    """The columns that a field has in a model are one field again: its number, its values, its unknown."""
    assert dict(fields_of(COLUMNS)) == {"mood": (0, 1), "tier": (2, 3, 4), "seen": (5, 6)}


def test_errors_count_people_not_rows() -> None:
    """The standard error of a mean over people seen ten times each is that over the people seen once."""
    values = np.random.default_rng(0).normal(size=50)
    once = mean_and_error(values, np.arange(50))
    assert mean_and_error(np.repeat(values, 10), np.repeat(np.arange(50), 10)) == pytest.approx(once)
