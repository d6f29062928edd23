"""The typed client against a real server over a real store."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.context import ValueType
from service.core.decision import Decision, Request
from service.errors import Violation
from service.rpc.client import Ask, CallFailed, Event, Outcome, TactClient
from service.rpc.edge import Limits
from service.rpc.plain import Plain, moment_message, moment_text, plain_value, value_message
from tests.rpc.world import NOW_MS, Answering, answered, edge_of, serving, store_at, strategy

NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)


async def test_a_question_and_its_answer() -> None:
    """A question goes out and its answer comes back as plain Python that JSON can hold."""
    decider = Answering()
    async with serving(edge_of(decider)) as target, TactClient(target) as tact:
        answer = await tact.decide(Ask("c-1", "web", ("greeting", "hero"), {"present.sentiment": 0.5}, request_id="r"))
    because = {
        "code": "highest_net_value",
        "sentence": "A friendly hello is worth most.",
        "rule_id": "greet",
        "fields": ["past.tier"],
    }
    greeting = {"action_id": "greet", "text": "Good to see you.", "intents": ["welcome"]}
    assert answer == {
        "request_id": "r",
        "decision_id": "0" * 26,
        "answers": [
            {"placement": placement, "greeting": greeting, "reasons": [because]} for placement in ("greeting", "hero")
        ],
        "versions": {"strategy": strategy().version, "model": ""},
        "degraded": False,
        "degraded_reasons": [],
        "rung": "full",
        "decided_at": "2027-01-15T08:00:00Z",
    }
    assert json.loads(json.dumps(answer)) == answer
    assert decider.asked[0].context == {strategy().schema.index["present.sentiment"]: 0.5}


async def test_a_schema_types_the_values() -> None:
    """With a schema a whole number is good for a double and a text for a moment; without one nothing is guessed."""
    context: dict[str, Plain] = {"present.sentiment": 1, "present.since": "2026-01-31T12:00:00+01:00"}
    decider = Answering()
    async with serving(edge_of(decider)) as target:
        async with TactClient(target, schema=strategy().schema) as tact:
            await tact.decide(Ask("c-1", "web", ("hero",), context))
        async with TactClient(target) as tact:
            with pytest.raises(CallFailed, match="INVALID_ARGUMENT") as caught:
                await tact.decide(Ask("c-1", "web", ("hero",), context))
    index = strategy().schema.index
    assert decider.asked[0].context == {index["present.sentiment"]: 1.0, index["present.since"]: 1_769_857_200_000}
    assert {violation.field for violation in caught.value.violations} == {f'context["{name}"]' for name in context}


async def test_a_refusal_is_told() -> None:
    """What the service refuses says which fields are bad, and needs no gRPC to read."""
    async with serving(edge_of()) as target, TactClient(target) as tact:
        with pytest.raises(CallFailed) as caught:
            await tact.decide(Ask("c-1", "fax", ("hero",)))
    assert caught.value.code == "INVALID_ARGUMENT"
    assert caught.value.violations == (Violation("channel", 'is unknown: "fax"; the strategy has: desk, email, web.'),)


async def test_nobody_there(free_port: int) -> None:
    """A service that is not there is UNAVAILABLE, and waiting for it ends."""
    async with TactClient(f"127.0.0.1:{free_port}") as tact:
        with pytest.raises(CallFailed, match="UNAVAILABLE"):
            await tact.decide(Ask("c-1", "web", ("hero",)))
        with pytest.raises(CallFailed, match="DEADLINE_EXCEEDED"):
            await tact.wait_until_reachable(0.2)
    async with serving(edge_of()) as target, TactClient(target) as tact:
        await tact.wait_until_reachable(5)


async def test_a_stream_of_questions() -> None:
    """Many questions are answered over one stream, bad ones with what is wrong."""

    async def asks() -> AsyncIterator[Ask]:
        for number in range(300):
            yield Ask(f"c-{number}", "fax" if number == 7 else "web", ("hero",), request_id=str(number))

    async with serving(edge_of()) as target, TactClient(target) as tact:
        answers = {answer["request_id"]: answer async for answer in tact.decide_stream(asks())}
    assert set(answers) == {str(number) for number in range(300)}
    assert [number for number, answer in answers.items() if "error" in answer] == ["7"]
    assert answers["7"]["error"]["violations"][0]["field"] == "channel"


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(Ask("c" * 70_000, "web", ("hero",), request_id="3"), id="too large"),
        pytest.param(Ask("c", "web", ("hero",), request_id="3" * 65), id="its id too long"),
        pytest.param(Ask("c", "web", ("hero",), request_id="3", idempotency_key="k" * 65), id="its key too long"),
    ],
)
async def test_a_question_that_cannot_be_read_spoils_no_run(bad: Ask) -> None:
    """Its answer says what is wrong, under its own id, and all others of the run are answered in order."""
    good = [Ask("c", "web", ("hero",), request_id=str(number)) for number in range(6)]
    asks = [*good[:3], bad, *good[4:]]
    async with serving(edge_of()) as target, TactClient(target) as tact:
        answers = [answer async for answer in tact.decide_all(asks, run="mailing")]
    assert [answer["request_id"] for answer in answers] == [ask.request_id for ask in asks]
    assert [number for number, answer in enumerate(answers) if "error" in answer] == [3]


async def test_what_a_sender_does_wrong_is_raised() -> None:
    """A value that cannot be sent is the sender's error, with its name, also in the middle of a stream."""
    bad = Ask("c-1", "web", ("hero",), {"present.sentiment": object()})  # type: ignore[dict-item]  # bad on purpose
    async with serving(edge_of()) as target, TactClient(target) as tact:
        with pytest.raises(ValueError, match=r"present\.sentiment: object is no value"):
            await tact.decide(bad)
        answers = tact.decide_stream([Ask("c-1", "web", ("hero",)), bad])
        assert (await anext(answers))["answers"]
        with pytest.raises(ValueError, match=r"present\.sentiment"):
            await anext(answers)
        with pytest.raises(ValueError, match="no outcome"):
            await tact.record_outcomes([Outcome("0" * 26, "greet", "liked")])


async def test_leaving_a_stream_early() -> None:
    """Who stops listening to a stream ends it; the service goes on."""

    async def how(request: Request) -> Decision:
        return answered(request)

    async with serving(edge_of(Answering(how))) as target, TactClient(target) as tact:
        async for answer in tact.decide_stream(Ask("c", "web", ("hero",)) for _ in range(1_000)):
            assert answer["answers"]
            break
        assert await tact.health() == "serving"


async def test_knowing_a_customer(clean_store_url: str) -> None:
    """Events, consent, context and outcomes in plain words."""
    bought: dict[str, Plain] = {"amount": 12, "product": "tv", "paid_at": NOW}
    events = [Event("e-1", "c-1", "purchase", NOW_MS - 1_000, bought), Event("e-2", "c-1", "purchase", NOW, {})]
    async with store_at(clean_store_url) as store:
        edge = edge_of(stores=store, limits=Limits(allow_as_of=True))
        async with serving(edge) as target, TactClient(target, schema=strategy().schema) as tact:
            results = (await tact.record_events(events))["results"]
            totals = await tact.record_events_stream([events, events])
            given_at = NOW - timedelta(days=1_000)
            stored = await tact.set_consent("c-1", "personal", ["email"], given_at=given_at, source="call")
            agreed = await tact.get_consent("c-1")
            context = await tact.get_context("c-1", as_of=NOW + timedelta(seconds=1))
            outcomes = await tact.record_outcomes([Outcome("0" * 26, "greet", "shown", 1.5, NOW)])
    assert [result["status"] for result in results] == ["stored", "refused"]
    assert [violation["field"] for violation in results[1]["violations"]] == [
        'attributes["amount"]',
        'attributes["product"]',
    ]
    assert {name: totals[name] for name in ("stored", "repeated", "refused")} == {
        "stored": 0,
        "repeated": 2,
        "refused": 2,
    }
    assert stored["consent"]["given_at"] == "2024-04-20T08:00:00Z"
    assert agreed["purposes"] == ["service", "personalization"]
    known = {field["field_id"]: field["value"] for field in context["fields"] if field["state"] == "known"}
    assert known["past.spend"] == 12.0
    assert known["past.paid_at"] == "2027-01-15T08:00:00Z"
    assert outcomes["results"] == [{"status": "unknown_decision", "violations": []}]


@pytest.mark.parametrize(
    ("value", "declared"),
    [
        (True, ValueType.INT),
        (1, ValueType.BOOL),
        (0.5, ValueType.INT),
        (True, ValueType.DOUBLE),
        (False, ValueType.TIMESTAMP),
        ("1", ValueType.DOUBLE),
        (1, ValueType.STRING),
        ("a", ValueType.STRINGS),
        (None, None),
    ],
)
def test_nothing_is_guessed(value: object, declared: ValueType | None) -> None:
    """A value that is not of its declared type is refused; a truth is no number."""
    with pytest.raises(TypeError):
        value_message(value, declared)  # type: ignore[arg-type]  # bad on purpose


@given(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3)
)
def test_values_come_back(value: Plain) -> None:
    """A value that was sent reads the same, in value and type."""
    back = plain_value(value_message(value))
    assert (back, type(back)) == (value, type(value))


def test_moments() -> None:
    """Moments are written alike from milliseconds, texts and datetimes; one without a zone is refused."""
    half_past = datetime(2026, 1, 31, 13, 0, 0, 500_000, timezone(timedelta(hours=1)))
    for moment in (1_769_860_800_500, "2026-01-31T12:00:00.500Z", half_past):
        assert moment_text(moment_message(moment)) == "2026-01-31T12:00:00.500Z"
    assert moment_text(moment_message("1969-12-31T23:59:59Z")) == "1969-12-31T23:59:59Z"
    for bad in ("2026-01-31T12:00:00", "yesterday", datetime(2026, 1, 31)):  # noqa: DTZ001 - bad on purpose
        with pytest.raises(ValueError, match=r"time zone|Invalid isoformat"):
            moment_message(bad)
