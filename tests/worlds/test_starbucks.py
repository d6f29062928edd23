"""The preparation of the real month: what is read, what becomes of repeats, and what a decision's outcome is."""

from __future__ import annotations

import gzip
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import msgspec
import pytest

from models import folds
from models.context import ContextSchema
from models.schema import load_context
from tests.worlds.conftest import with_data
from tests.worlds.recompute import Month, data_folder
from training.worlds import starbucks
from training.worlds.files import moment_ms, rfc3339
from training.worlds.starbucks_files import Data, Offer, Payments, happened

ROOT = Path(__file__).parents[2]
LAST_HOUR = 714


@pytest.fixture(scope="module")
def month() -> Month:
    """Return the month as the plain recomputation reads it."""
    return Month.read(data_folder())


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a compressed file."""
    with gzip.open(path) as file:
        yield from map(msgspec.json.decode, file)


@cache
def rows(path: Path) -> tuple[dict[str, Any], ...]:
    """Return the rows of a compressed file, read once for all tests of this module."""
    return tuple(read(path))


@pytest.fixture(scope="module", autouse=True)
def forgotten() -> Iterator[None]:
    """Let go of the rows behind the last test: they take half a gigabyte."""
    yield
    rows.cache_clear()


@with_data
def test_the_counts_are_those_of_the_data_sets_description(
    month: Month, prepared: tuple[Path, starbucks.Prepared]
) -> None:
    """306,534 events, 114 blank lines, 397 exact repeats (none a payment), 17,000 members, 102,000 decisions."""
    counts = prepared[1]
    assert (counts.transcript_events, counts.blank_lines, counts.exact_repeats) == (306_534, 114, 397)
    assert (month.lines, month.blank, month.repeats) == (306_534, 114, 397)
    assert (counts.customers, counts.decisions, counts.repeated_payments) == (17_000, 102_000, 0)
    assert counts.events_written == 306_534 + 17_000


@with_data
def test_events_are_in_order_and_only_exact_repeats_share_an_id(prepared: tuple[Path, starbucks.Prepared]) -> None:
    """Time never goes back in the file, and two events with one id are equal in everything."""
    events = rows(prepared[0] / "events.jsonl.gz")
    moments = [event["occurred_at"] for event in events]
    assert moments == sorted(moments)
    by_id: dict[str, dict[str, Any]] = {}
    assert all(by_id.setdefault(event["event_id"], event) == event for event in events)
    assert len(by_id) == len(events) - 397


@with_data
def test_every_wave_is_a_fair_draw_whose_probabilities_are_logged(prepared: tuple[Path, starbucks.Prepared]) -> None:
    """Each action's share in each wave is its logged probability, within five standard errors."""
    found: dict[str, Counter[tuple[str, float]]] = defaultdict(Counter)
    for row in rows(prepared[0] / "decisions.jsonl.gz"):
        found[row["at"]][row["action"], row["probability"]] += 1
    assert [sum(wave.values()) for wave in found.values()] == [17_000] * 6
    for wave in found.values():
        assert len(wave) == 11
        for (_, probability), count in wave.items():
            error = (17_000 * probability * (1 - probability)) ** 0.5
            assert abs(count - 17_000 * probability) < 5 * error


@with_data
def test_outcomes_equal_a_plain_recomputation(month: Month, prepared: tuple[Path, starbucks.Prepared]) -> None:
    """For 2,000 random decisions the outcome is what adding up the payments of the window says, in whole cents."""
    offers = {Month.name(offer): offer for offer in month.offers.values()}
    hours = {rfc3339(starbucks.HOUR_ZERO_MS + wave * 3_600_000): wave for wave in starbucks.WAVES}
    sample = random.Random(5).sample(rows(prepared[0] / "decisions.jsonl.gz"), 2_000)
    assert any(row["action"] == "nothing" for row in sample)
    for row in sample:
        assert row["outcomes"].keys() == (offers.keys() if row["action"] == "nothing" else {row["action"]})
        for action, outcome in row["outcomes"].items():
            assert outcome == plain_outcome(month, row["customer_id"], hours[row["at"]], offers[action]), row


def plain_outcome(month: Month, customer: str, wave: int, offer: Mapping[str, Any]) -> bool:
    """Return whether a customer spent enough from a wave on within the offer's duration."""
    end = wave + 24 * offer["duration"]
    events = (e for e in month.events.get(customer, []) if e["event"] == "transaction" and wave <= e["time"] < end)
    cents = [round(100 * event["value"]["amount"]) for event in events]
    return bool(cents) and sum(cents) >= 100 * offer["difficulty"]


@with_data
@pytest.mark.parametrize("hour", [408, LAST_HOUR + 6])
def test_folded_contexts_equal_a_plain_recomputation(
    month: Month, prepared: tuple[Path, starbucks.Prepared], hour: int
) -> None:
    """For 500 random customers every field, folded from the prepared events, is what the files say."""
    schema = load_context(ROOT / "strategies" / "starbucks")
    customers = set(random.Random(hour).sample(sorted(month.profiles), 500))
    now_ms = starbucks.HOUR_ZERO_MS + hour * starbucks.HOUR_MS
    for customer, found in folded(prepared[0] / "events.jsonl.gz", schema, customers, now_ms).items():
        wanted = month.context(customer, hour)
        assert found.keys() == wanted.keys()
        assert found == {name: near(value) for name, value in wanted.items()}, customer


def near(value: object) -> object:
    """Let numbers differ by what adding in another order changes."""
    return pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, int | float) else value


def folded(path: Path, schema: ContextSchema, customers: set[str], now_ms: int) -> dict[str, dict[str, object]]:
    """Return the fields of some customers at a moment, from the events before it, each id counted once."""
    states: dict[str, dict[int, folds.State]] = {customer: {} for customer in customers}
    different = {row["event_id"]: row for row in rows(path) if row["customer_id"] in customers}
    for row in different.values():
        at_ms = moment_ms(row["occurred_at"])
        if at_ms < now_ms:
            own = states[row["customer_id"]]
            for operation in folds.operations(schema, row["type"], row["attributes"]):
                own[operation.key] = folds.apply(own.get(operation.key), operation, at_ms)
    return {
        customer: {field.id: folds.known(field, own.get(field.key), now_ms) for field in schema.fields}
        for customer, own in states.items()
    }


@with_data
def test_splitting_keeps_every_event_once(
    data: Data, prepared: tuple[Path, starbucks.Prepared], tmp_path: Path
) -> None:
    """The events before hour 408 and those from it on are together the whole month, in the same order."""
    starbucks.prepare(data, tmp_path, (0, 168), 408)
    before, after = tmp_path / "events-before.jsonl.gz", tmp_path / "events-after.jsonl.gz"
    (*_, last), first = read(before), next(read(after))
    assert last["occurred_at"] < "2018-08-18T00:00:00Z" <= first["occurred_at"]
    whole = rows(prepared[0] / "events.jsonl.gz")
    assert all(ours == theirs for ours, theirs in zip_longest(chain(read(before), read(after)), whole))
    assert sum(1 for _ in read(tmp_path / "decisions.jsonl.gz")) == 34_000


def test_an_offer_works_when_enough_is_spent_in_time() -> None:
    """Spending exactly the difficulty counts, a cent less does not, nor does what is paid in the first hour after."""
    offer = Offer("o", "bogo", 10, 5.0, 10)
    assert happened(offer, paid((0, 4.1), (119, 5.9)), 0) == 1
    assert happened(offer, paid((0, 4.1), (119, 5.89)), 0) == 0
    assert happened(offer, paid((0, 4.1), (120, 5.9)), 0) == 0
    assert happened(offer, paid((4, 20.0), (5, 9.0)), 5) == 0


def test_news_works_when_anything_is_paid() -> None:
    """News ask for no amount, but a customer who does not come did not follow them."""
    news = Offer("n", "informational", 0, 3.0, 0)
    assert happened(news, paid((10, 0.05)), 0) == 1
    assert happened(news, paid((72, 50.0)), 0) == 0


def paid(*payments: tuple[int, float]) -> Payments:
    """Return payments of (hour, dollars)."""
    totals = [sum(amount for _, amount in payments[:count]) for count in range(len(payments) + 1)]
    return Payments([hour for hour, _ in payments], [amount for _, amount in payments], totals)


def test_a_folder_without_the_data_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who names the wrong folder reads which file is missing, and no stack trace."""
    with pytest.raises(SystemExit, match="2"):
        starbucks.main(["--data", str(tmp_path), "--out", str(tmp_path / "out")])
    assert "portfolio.json" in capsys.readouterr().err
