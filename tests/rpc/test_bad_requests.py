"""Bad input is refused with INVALID_ARGUMENT and the path of the field; good input at the very edge is not."""

from __future__ import annotations

from collections.abc import Iterable

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from service.rpc.convert_event import event_of
from service.rpc.edge import Limits
from tact.v1 import context_pb2, decision_pb2, outcome_pb2
from tact.v1.values_pb2 import StringList, Value
from tests.rpc import bad_requests
from tests.rpc.bad_requests import Row
from tests.rpc.messages import METHODS, ask, bad_fields, call_raw, event, outcome
from tests.rpc.world import NOW_MS, Answering, calling, edge_of

BY_NAME = {method.name: method for method in METHODS}


def rows(*tables: Iterable[Row]) -> pytest.MarkDecorator:
    """Run a test once a row, named by the row's claim."""
    found = [row for table in tables for row in table]
    return pytest.mark.parametrize(("message", "path"), [row[1:] for row in found], ids=[row[0] for row in found])


async def refusal(method: str, message: Message, limits: Limits | None = None) -> grpc.aio.AioRpcError:
    """Return the error that a call ends with."""
    async with calling(edge_of(limits=limits)) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call_raw(channel, BY_NAME[method], [message.SerializeToString()])
    return caught.value


def assert_refused(error: grpc.aio.AioRpcError, path: str) -> None:
    """Check that the error names exactly one field, and in its message too."""
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    bad = bad_fields(error)
    assert list(bad) == [path]
    assert bad[path].endswith(".")
    assert (error.details() or "").startswith(path)


@rows(bad_requests.DECIDE)
async def test_bad_questions(message: Message, path: str) -> None:
    """A bad question is refused with the path of its one bad field."""
    assert_refused(await refusal("Decide", message), path)


@rows(bad_requests.AS_OF)
async def test_bad_moments_where_they_are_allowed(message: Message, path: str) -> None:
    """Where callers may choose the moment, it must still be one between 2000 and 2100."""
    assert_refused(await refusal("Decide", message, Limits(allow_as_of=True)), path)


@rows(bad_requests.DECIDE)
async def test_bad_questions_on_a_stream(message: Message, path: str) -> None:
    """On a stream a bad question is answered with the same violation, and the next one is answered well."""
    async with calling(edge_of()) as channel:
        raws = [message.SerializeToString(), ask(request_id="good").SerializeToString()]
        answers = {
            answer.request_id: answer
            for answer in await call_raw(channel, BY_NAME["DecideStream"], raws)
            if isinstance(answer, decision_pb2.DecideResponse)
        }
    good = answers.pop("good")
    (bad,) = answers.values()
    assert good.answers
    assert not good.HasField("error")
    assert bad.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert [violation.field for violation in bad.error.violations] == [path]
    assert not bad.answers


@rows(bad_requests.EVENTS)
async def test_bad_events(message: Message, path: str) -> None:
    """A bad event is answered for itself with the path of its one bad field, and the store is not touched."""
    assert isinstance(message, context_pb2.Event)
    batch = context_pb2.RecordEventsRequest(events=[message]).SerializeToString()
    async with calling(edge_of()) as channel:
        (answer,) = await call_raw(channel, BY_NAME["RecordEvents"], [batch])
    assert isinstance(answer, context_pb2.RecordEventsResponse)
    (result,) = answer.results
    assert result.status == context_pb2.EVENT_STATUS_REFUSED
    assert result.event_id == message.event_id
    assert [violation.field for violation in result.violations] == [path]


@rows(bad_requests.CONSENTS)
async def test_bad_consents(message: Message, path: str) -> None:
    """A bad consent is refused with the path of its one bad field."""
    assert_refused(await refusal("SetConsent", message), path)


@rows(bad_requests.OUTCOMES)
async def test_bad_outcomes(message: Message, path: str) -> None:
    """A bad outcome is answered for itself with the path of its one bad field, and the store is not touched."""
    assert isinstance(message, outcome_pb2.Outcome)
    batch = outcome_pb2.RecordOutcomesRequest(outcomes=[message]).SerializeToString()
    async with calling(edge_of()) as channel:
        (answer,) = await call_raw(channel, BY_NAME["RecordOutcomes"], [batch])
    assert isinstance(answer, outcome_pb2.RecordOutcomesResponse)
    assert answer.results[0].status == outcome_pb2.OUTCOME_STATUS_REFUSED
    assert [violation.field for violation in answer.results[0].violations] == [path]


@pytest.mark.parametrize(
    ("method", "message", "path"),
    [
        ("GetContext", context_pb2.GetContextRequest(), "customer_id"),
        (
            "GetContext",
            context_pb2.GetContextRequest(customer_id="c", as_of=Timestamp(seconds=NOW_MS // 1000)),
            "as_of",
        ),
        ("GetConsent", context_pb2.GetConsentRequest(customer_id="\x00"), "customer_id"),
        ("ValidateDecision", decision_pb2.ValidateDecisionRequest(), "decision_id"),
        ("ValidateDecision", decision_pb2.ValidateDecisionRequest(decision_id="4" + "0" * 25), "decision_id"),
        ("ValidateDecision", decision_pb2.ValidateDecisionRequest(decision_id="0" * 27), "decision_id"),
        ("ValidateDecision", decision_pb2.ValidateDecisionRequest(decision_id="0" * 25 + "\u0663"), "decision_id"),
        (
            "ValidateDecision",
            decision_pb2.ValidateDecisionRequest(decision_id="0" * 26, as_of=Timestamp(seconds=NOW_MS // 1000)),
            "as_of",
        ),
        ("RecordEvents", context_pb2.RecordEventsRequest(), "events"),
        ("RecordEvents", context_pb2.RecordEventsRequest(events=[event()] * 1_001), "events"),
        ("RecordEventsStream", context_pb2.RecordEventsRequest(), "events"),
        ("RecordOutcomes", outcome_pb2.RecordOutcomesRequest(), "outcomes"),
        ("RecordOutcomes", outcome_pb2.RecordOutcomesRequest(outcomes=[outcome()] * 1_001), "outcomes"),
    ],
)
async def test_bad_batches_and_questions(method: str, message: Message, path: str) -> None:
    """What is wrong with a whole call ends it with the path of the one bad field."""
    assert_refused(await refusal(method, message), path)


async def test_all_violations_come_together() -> None:
    """A caller learns every bad field at once, in the order of the contract."""
    bad = ask(
        customer_id="",
        channel="fax",
        placements=[],
        context={"x": Value()},
        idempotency_key="k" * 65,
        request_id="r" * 65,
    )
    error = await refusal("Decide", bad)
    assert list(bad_fields(error)) == [
        "customer_id",
        "channel",
        "placements",
        'context["x"]',
        "idempotency_key",
        "request_id",
    ]
    assert (error.details() or "").endswith("(and 5 more)")


async def test_a_flood_of_violations_stays_small() -> None:
    """64 bad fields with long names still fit into what every gRPC client accepts as trailers."""
    error = await refusal("Decide", ask(context={f"{i:02d}" + "é" * 400: Value() for i in range(64)}))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert sum(len(key) + len(value) for key, value in error.trailing_metadata() or ()) < 5_000
    assert len((error.details() or "").encode()) < 2_000
    assert any("more" in text for path, text in bad_fields(error).items() if not path)


async def test_a_value_is_never_repeated() -> None:
    """What a customer said is not repeated in errors, which land in logs."""
    secret = Value(string_value="mary.jones@example.com")
    error = await refusal("Decide", ask(context={"present.reason": secret, "present.sentiment": secret}))
    assert "mary" not in f"{error.details()}{bad_fields(error)}"


GOOD = {
    "a customer id of 128 bytes": ask(customer_id="ü" * 64),
    "a customer id with blanks and marks": ask(customer_id="Zoë {a}*:/ שלום"),
    "a request id that is anything": ask(request_id="\x00" * 64),
    "a key of 64 bytes": ask(idempotency_key="k" * 64),
    "all placements of the channel": ask(placements=["hero", "greeting"]),
    "the largest exact whole number": ask(context={"present.count": Value(int_value=2**53 - 1)}),
    "the smallest exact whole number": ask(context={"present.count": Value(int_value=1 - 2**53)}),
    "both bounds": ask(context={"present.sentiment": Value(double_value=-1.0), "present.calls": Value(int_value=100)}),
    "a minus zero": ask(context={"present.cart_value": Value(double_value=-0.0)}),
    "an empty text": ask(context={"present.words": Value(string_value="")}),
    "1,024 characters of any script": ask(context={"present.words": Value(string_value="漢" * 1_024)}),
    "a family emoji": ask(context={"present.words": Value(string_value="👨\u200d👩\u200d👧")}),
    "an empty list": ask(context={"present.pages": Value(strings_value=StringList())}),
    "64 texts": ask(context={"present.pages": Value(strings_value=StringList(values=["x"] * 64))}),
    "the first moment": ask(context={"present.since": Value(timestamp_value=Timestamp(seconds=-62_135_596_800))}),
    "the last moment": ask(context={"present.since": Value(timestamp_value=bad_requests.YEAR_9999)}),
}


@pytest.mark.parametrize("message", GOOD.values(), ids=GOOD.keys())
async def test_good_questions_at_the_edge(message: Message) -> None:
    """What is just inside the limits is answered."""
    decider = Answering()
    async with calling(edge_of(decider)) as channel:
        (answer,) = await call_raw(channel, BY_NAME["Decide"], [message.SerializeToString()])
    assert isinstance(answer, decision_pb2.DecideResponse)
    assert len(decider.asked) == 1
    assert answer.answers


@pytest.mark.parametrize("share", [9_007_199_254.0, -9_007_199_254.0, 0.0])
def test_sums_at_the_edge(share: float) -> None:
    """The largest numbers that the store adds up exactly are not refused."""
    good = event(type="noted", attributes={"share": Value(double_value=share)})
    assert event_of(good, edge_of(), NOW_MS).operations[0].value == share * 1_000_000
