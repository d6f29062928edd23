"""The events that RecordEvents is measured with are what the benchmark says they are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from benchmarks import events_world
from benchmarks.events import NotStored, all_stored
from benchmarks.loadgen import SAMPLE, Measured
from benchmarks.population import Happened, Population
from models import folds
from models.schema import load_context
from service.core.loader import load_strategy
from tact.v1 import context_pb2

NOW_MS = 1_790_000_000_000
FEW = Population(("anna", "bob", "eve"), NOW_MS, 3)


def test_a_whole_customer_has_sixty_fields_from_twenty_events(tmp_path: Path) -> None:
    """Who is weighed has every field of the strategy known, as the printed figure says."""
    schema = load_context(events_world.write_strategy(tmp_path))
    folding = folds.Folding(schema)
    happened = list(events_world.whole(FEW))
    assert Counter(event.customer for event in happened) == dict.fromkeys(FEW.customers, 20)
    for customer in FEW.customers:
        keys = {
            operation.key
            for event in happened
            if event.customer == customer
            for operation in folding.operations(event.type, event.attributes)
        }
        assert keys == {field.key for field in schema.fields}
        assert len(keys) == events_world.STORED


def test_the_strategy_that_events_are_measured_with_loads(tmp_path: Path) -> None:
    """The service can serve it."""
    assert load_strategy(events_world.write_strategy(tmp_path)).schema.fields


def test_the_stream_is_in_the_order_of_time_and_repeats_nothing() -> None:
    """No event is sent twice, and none is from the future."""
    events = list(events_world.stream(FEW, 500))
    assert len({event.event_id for event in events}) == 500
    assert [event.at_ms for event in events] == sorted(event.at_ms for event in events)
    assert events[-1].at_ms < NOW_MS


@pytest.mark.parametrize(
    ("statuses", "wrong"),
    [
        ([context_pb2.EVENT_STATUS_STORED, context_pb2.EVENT_STATUS_REPEATED], "Events ended as"),
        ([context_pb2.EVENT_STATUS_STORED], "other events than the request"),
        ([context_pb2.EVENT_STATUS_STORED, context_pb2.EVENT_STATUS_STORED], ""),
    ],
)
def test_only_stored_events_count(tmp_path: Path, statuses: list[int], wrong: str) -> None:
    """One event that was not stored, or an answer about another request, ends the benchmark."""
    sent = [[Happened("e0", "anna", "purchase", NOW_MS, {}), Happened("e1", "bob", "purchase", NOW_MS, {})]] * 2
    results = [context_pb2.EventResult(event_id=f"e{n}", status=one) for n, one in enumerate(statuses)]  # type: ignore[arg-type]  # a number of the enum
    reply = context_pb2.RecordEventsResponse(results=results).SerializeToString()
    (tmp_path / "answers").write_bytes(SAMPLE.pack(0, len(reply)) + reply)
    if wrong:
        with pytest.raises(NotStored, match=wrong):
            all_stored(measured(), tmp_path / "answers", sent)
    else:
        assert all_stored(measured(), tmp_path / "answers", sent) == 2


def measured() -> Measured:
    """Return what the load generator says after one call."""
    return Measured(1, 1, 1, {}, {}, 0, 1.0, 1.0, {}, 1, {}, 0.0, {})
