"""Events, consent and context through gRPC, on real stores."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from models.states import packed
from service.core.decision import Known
from service.core.loader import load_strategy
from service.core.records import EventToFold
from service.errors import StoreError
from service.rpc.batches import FEW_IN_FLIGHT
from service.rpc.convert_context import context_answer
from service.rpc.edge import Limits
from service.rpc.plain import plain
from tact.v1 import context_pb2 as pb
from tact.v1.context_pb2_grpc import ContextServiceStub
from tact.v1.values_pb2 import Value
from tests.rpc.messages import consent, event
from tests.rpc.world import NOW_MS, Alone, Untouched, calling, edge_of, store_at, strategy
from tests.strategies import SECTIONS, write_strategy

DAY_MS = 86_400_000
GIVEN_MS = 1_700_000_000_000
STORED, REPEATED, REFUSED = pb.EVENT_STATUS_STORED, pb.EVENT_STATUS_REPEATED, pb.EVENT_STATUS_REFUSED


@asynccontextmanager
async def contexts_at(url: str, limits: Limits | None = None) -> AsyncIterator[Any]:
    """Yield a stub of the service over a real store."""
    async with store_at(url) as store, calling(edge_of(stores=store, limits=limits)) as channel:
        yield ContextServiceStub(channel)


def at(ms: int) -> Timestamp:
    """Return a moment."""
    return Timestamp(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000)


def batch(*events: pb.Event) -> pb.RecordEventsRequest:
    """Return a batch."""
    return pb.RecordEventsRequest(events=events)


def known_fields(answer: pb.GetContextResponse) -> dict[str, object]:
    """Return the values of the fields that are known."""
    return {f["field_id"]: f["value"] for f in plain(answer)["fields"] if f["state"] == "known"}


async def test_events_are_answered_in_order(clean_store_url: str) -> None:
    """Good, repeated and refused events of several customers are each answered where they stood in the batch."""
    sent = [
        event(event_id="1", customer_id="a"),
        event(event_id="2", customer_id="b", type="birthday"),
        event(event_id="3", customer_id="b"),
        event(event_id="1", customer_id="a"),
        event(event_id="1", customer_id="b"),
        event(event_id="4", customer_id="a", attributes={}),
        event(event_id="5", customer_id="a", type="ticket.opened", attributes={"ticket": Value(string_value="t")}),
    ]
    async with contexts_at(clean_store_url) as contexts:
        answer = await contexts.RecordEvents(batch(*sent))
        assert [result.event_id for result in answer.results] == [e.event_id for e in sent]
        assert [result.status for result in answer.results] == [
            STORED, REFUSED, STORED, REPEATED, STORED, REFUSED, STORED,
        ]  # fmt: skip
        again = await contexts.RecordEvents(batch(*sent))
    assert {result.status for result in again.results} == {REPEATED, REFUSED}
    assert [v.field for v in answer.results[5].violations] == ['attributes["amount"]', 'attributes["product"]']


async def test_a_stream_of_batches(clean_store_url: str) -> None:
    """A stream tells the totals and the first hundred refused events."""
    batches = [
        batch(*(event(event_id=f"{n}-{i}", customer_id=f"c{i % 7}") for i in range(300)), event(event_id="0-0"))
        for n in range(3)
    ]
    refused = batch(*(event(event_id=f"bad-{i}", type="birthday") for i in range(150)))
    async with contexts_at(clean_store_url) as contexts:
        totals = await contexts.RecordEventsStream(iter([*batches, refused, batches[0]]))
        seen = await contexts.GetContext(pb.GetContextRequest(customer_id="c0"))
    # The event 0-0 of customer c-1 is another one than that of customer c0, and comes four times.
    assert (totals.stored, totals.repeated, totals.refused) == (3 * 300 + 1, 2 + 301, 150)
    assert [result.event_id for result in totals.first_refused] == [f"bad-{i}" for i in range(100)]
    assert seen.consent_level == "none"


async def test_a_bad_batch_ends_the_stream(clean_store_url: str) -> None:
    """A batch that is empty ends the stream with its violation; what came before it is stored."""
    async with contexts_at(clean_store_url) as contexts:
        with pytest.raises(grpc.aio.AioRpcError, match="events: has 0 entries") as caught:
            await contexts.RecordEventsStream(iter([batch(event()), batch(), batch(event(event_id="e-2"))]))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        results = (await contexts.RecordEvents(batch(event(), event(event_id="e-2")))).results
    assert [result.status for result in results] == [REPEATED, STORED]


async def test_what_is_known(clean_store_url: str) -> None:
    """Context shows values with their ages, what was never seen, what is stale, and hides what was not agreed to."""
    long_ago, yesterday = NOW_MS - 100 * DAY_MS, NOW_MS - DAY_MS
    survey = event(event_id="s", type="survey.answered", attributes={"score": Value(int_value=9)})
    survey.occurred_at.CopyFrom(at(long_ago))
    bought = {"amount": Value(double_value=12.5), "product": Value(string_value="tv")}
    events = batch(survey, event(event_id="p", occurred_at=at(yesterday), attributes=bought))
    async with contexts_at(clean_store_url, Limits(allow_as_of=True)) as contexts:
        await contexts.RecordEvents(events)
        await contexts.SetConsent(consent(level="personal"))
        ask = pb.GetContextRequest(customer_id="c-1", as_of=at(NOW_MS))
        shown = {field.field_id: field for field in (await contexts.GetContext(ask)).fields}
        earlier = await contexts.GetContext(pb.GetContextRequest(customer_id="c-1", as_of=at(yesterday + 8 * DAY_MS)))
    states = {name: pb.FieldKnowledge.Name(field.state).rpartition("KNOWLEDGE_")[2] for name, field in shown.items()}
    assert states["past.worst_score"] == "KNOWN"  # as old as the next, but it never grows stale
    assert states["past.best_score"] == "STALE"
    assert states["past.tier"] == "NEVER_SEEN"
    assert states["past.recent_products"] == "HIDDEN"
    spend = shown["past.spend_7d"]
    assert abs(spend.arrived_at.seconds - time.time()) < 60
    assert {name: value for name, value in plain(spend).items() if name != "arrived_at"} == {
        "field_id": "past.spend_7d",
        "value": 12.5,
        "state": "known",
        "age_seconds": 86_400.0,
        "purpose": "personalization",
        "source_events": ["purchase"],
        "source": "events",
        "occurred_at": "2027-01-14T08:00:00Z",
        "model_version": "",
        "says": "What was spent in the last seven days.",
        "tense": "past",
    }
    assert known_fields(earlier)["past.spend_7d"] == 0.0
    for name, field in shown.items():
        assert field.HasField("value") == (states[name] == "KNOWN")
        is_held = states[name] in ("KNOWN", "STALE")
        assert field.HasField("age_seconds") == field.HasField("occurred_at") == field.HasField("arrived_at") == is_held
    assert shown["past.best_score"].age_seconds == 100 * DAY_MS / 1000
    assert list(shown["past.open_tickets"].source_events) == ["ticket.opened", "ticket.closed"]
    stored = [field.id for field in strategy().schema.fields if field.fold is not None]
    assert list(shown) == stored


async def test_an_unknown_customer(clean_store_url: str) -> None:
    """A customer nobody knows has the lowest level, no consent recorded, and nothing to show: no error."""
    async with contexts_at(clean_store_url) as contexts:
        seen = await contexts.GetContext(pb.GetContextRequest(customer_id="nobody"))
        agreed = await contexts.GetConsent(pb.GetConsentRequest(customer_id="nobody"))
    assert {field.state for field in seen.fields} == {pb.FIELD_KNOWLEDGE_HIDDEN}
    assert seen.consent_level == "none"
    assert seen.as_of.seconds > 1_700_000_000
    assert plain(agreed) == {
        "consent": {"level": "none", "contact_channels": [], "source": ""},
        "purposes": [],
        "recorded": False,
        "history": [],
    }


async def test_consent(clean_store_url: str) -> None:
    """A consent is stored whole, read back with its purposes, and a later one is never replaced by an earlier."""
    async with contexts_at(clean_store_url) as contexts:
        stored = await contexts.SetConsent(consent(given_at=at(GIVEN_MS), contact_channels=["email", "web"]))
        told = plain(stored)["consent"]
        assert abs(datetime.fromisoformat(told.pop("arrived_at")).timestamp() - time.time()) < 60
        assert told == {
            "level": "personal",
            "contact_channels": ["email", "web"],
            "given_at": "2023-11-14T22:13:20Z",
            "source": "web form",
        }
        with pytest.raises(grpc.aio.AioRpcError, match="given later") as caught:
            await contexts.SetConsent(consent(level="full", given_at=at(GIVEN_MS - 1)))
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        agreed = await contexts.GetConsent(pb.GetConsentRequest(customer_id="c-1"))
        assert agreed.consent == stored.consent
        assert list(agreed.purposes) == ["service", "personalization"]
        assert agreed.recorded
        assert not agreed.history
        now = await contexts.SetConsent(consent(level="none", contact_channels=[]))
        assert now.consent.given_at == now.consent.arrived_at, "now is the store's"


async def test_how_a_consent_changed(clean_store_url: str) -> None:
    """Every change is shown with its source and its times, the oldest first; the same consent again is no change."""
    async with contexts_at(clean_store_url) as contexts:
        sent = [
            consent(given_at=at(GIVEN_MS)),
            consent(given_at=at(GIVEN_MS + 1)),
            consent(given_at=at(GIVEN_MS + 2), level="none", contact_channels=[], source="call"),
            consent(given_at=at(GIVEN_MS + 2), arrived_at=at(1), level="full", source="call"),
        ]
        stored = [(await contexts.SetConsent(one)).consent for one in sent]
        agreed = await contexts.GetConsent(pb.GetConsentRequest(customer_id="c-1", history=True))
    assert list(agreed.history) == [stored[0], stored[2], stored[3]]
    assert agreed.consent == stored[3]
    assert [(change.level, change.source) for change in agreed.history] == [
        ("personal", "web form"), ("none", "call"), ("full", "call"),
    ]  # fmt: skip
    assert all(change.arrived_at.seconds > 1_700_000_000 for change in agreed.history)


OTHER_SOURCES = """\
  - {id: predicted.churn, says: Will leave., type: double, purpose: profiling, max_age: 30d, source: model}
  - {id: present.trucks, says: Trucks., type: int, purpose: service, source: supply, item: truck, place: berlin}
"""


@pytest.mark.parametrize(
    ("level", "age_days", "states"),
    [
        ("full", 1, {"predicted.churn": "known", "present.trucks": "not_stored", "present.hour": "known"}),
        ("full", 31, {"predicted.churn": "stale", "present.trucks": "not_stored", "present.hour": "known"}),
        ("personal", 1, {"predicted.churn": "hidden", "present.trucks": "not_stored", "present.hour": "known"}),
        ("none", 1, {"predicted.churn": "hidden", "present.trucks": "hidden", "present.hour": "hidden"}),
    ],
)
def test_every_field_says_where_it_comes_from(
    tmp_path: Path, level: str, age_days: int, states: dict[str, str]
) -> None:
    """Scores name the model's version and their times, the clock is told, the supply is not about the customer."""
    changed = {"fields": SECTIONS["fields"] + OTHER_SOURCES, "time_zone": "time_zone: {default: Asia/Kathmandu}"}
    rules = load_strategy(write_strategy(tmp_path, **changed))
    key = rules.schema.fields[rules.schema.index["predicted.churn"]].key
    then_ms = NOW_MS - age_days * DAY_MS
    group = packed({key: [then_ms, 0.25, "churn@0123456789ab"]}, {key: then_ms + 60_000})
    answer = context_answer(Known(NOW_MS, level, (), {"f": group} if level == "full" else {}, {}), rules, None)
    shown = {field["field_id"]: field for field in plain(answer)["fields"]}
    assert {name: shown[name]["state"] for name in states} == states
    assert [shown[name]["source"] for name in (*states, "past.spend")] == ["model", "supply", "clock", "events"]
    assert {name for name in shown if name.startswith("present.")} == {
        "present.trucks", "present.hour", "present.weekday",
    }  # fmt: skip
    if level == "full":
        churn = shown["predicted.churn"]
        assert churn["model_version"] == "churn@0123456789ab"
        assert churn["occurred_at"] == plain(pb.Consent(given_at=at(then_ms)))["given_at"]
        assert churn["arrived_at"] == plain(pb.Consent(given_at=at(then_ms + 60_000)))["given_at"]
        assert churn.get("value") == (0.25 if age_days == 1 else None)
        assert shown["present.hour"]["value"] == 13  # it is a quarter to two in Kathmandu
        assert "occurred_at" not in shown["present.hour"]


def test_levels_that_are_gone_are_the_lowest() -> None:
    """A consent to a level that the strategy no longer has allows nothing."""
    known = Known(NOW_MS, "platinum", (), {}, {})
    answer = context_answer(known, strategy(), None)
    assert answer.consent_level == "none"
    assert {field.state for field in answer.fields} == {pb.FIELD_KNOWLEDGE_HIDDEN}


@pytest.mark.parametrize("packed", [b"", b"\xff", b"\x81\x01\x05", b"\x81\x01\x91\xa1x"])
def test_unreadable_states_are_never_seen(packed: bytes) -> None:
    """What another writer spoilt in the store is shown as never seen, not as an error."""
    known = Known(NOW_MS, "full", (), dict.fromkeys("spf", packed), {})
    answer = context_answer(known, strategy(), None)
    assert {field.state for field in answer.fields} == {pb.FIELD_KNOWLEDGE_NEVER_SEEN}


class Slow(Untouched):
    """A store that counts the folds under way and fails for some customers."""

    def __init__(self, failing: frozenset[str] = frozenset()) -> None:
        self.failing = failing
        self.under_way = self.most = self.folded = 0

    async def fold(  # type: ignore[override]  # this one answers
        self, customer: str, events: Sequence[EventToFold], deadline_s: float
    ) -> tuple[bool, ...]:
        """Fold after a while."""
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0.001)
        self.under_way -= 1
        if customer in self.failing:
            raise StoreError("mary.jones@example.com")
        self.folded += 1
        return (True,) * len(events)


async def test_folding_is_bounded() -> None:
    """A batch of a thousand customers folds side by side, only a few at once: decisions come between."""
    slow = Slow()
    async with calling(edge_of(stores=Alone(slow))) as channel:
        events = (event(event_id=str(i), customer_id=f"c-{i}") for i in range(1_000))
        answer = await ContextServiceStub(channel).RecordEvents(batch(*events))
    assert {result.status for result in answer.results} == {STORED}
    assert slow.most == FEW_IN_FLIGHT


async def test_a_store_that_fails_is_told() -> None:
    """When part of a batch cannot be stored the call is UNAVAILABLE, to be repeated; nothing is left under way."""
    slow = Slow(frozenset({"c-70"}))
    async with calling(edge_of(stores=Alone(slow))) as channel:
        events = (event(event_id=str(i), customer_id=f"c-{i}") for i in range(1_000))
        with pytest.raises(grpc.aio.AioRpcError, match="Repeat the call") as caught:
            await ContextServiceStub(channel).RecordEvents(batch(*events))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "mary" not in str(caught.value)
    assert slow.under_way == 0
    assert slow.folded < 200
