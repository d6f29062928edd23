"""Questions become what the core decides on, and decisions become answers; streams answer every item once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from msgspec import structs
from msgspec.structs import replace

from service.core.decision import (
    Answer,
    Decision,
    Reason,
    ReasonCode,
    Request,
)
from service.core.explained import Explanation, Fate, FieldSeen
from service.rpc.convert_answer import answer_of
from service.rpc.convert_decision import request_of
from service.rpc.decisions import MAX_IN_WORK
from service.rpc.edge import Limits
from service.rpc.plain import plain
from tact.v1 import decision_pb2 as pb
from tact.v1 import values_pb2
from tact.v1.decision_pb2_grpc import DecisionServiceStub
from tact.v1.values_pb2 import StringList, Value
from tests.rpc.messages import ask
from tests.rpc.world import NOW_MS, Answering, answered, calling, edge_of, strategy

WHY = Reason(ReasonCode.GUARDRAIL, "A customer with an open ticket is helped.", "no-upsell", ("past.open_tickets",))


def test_a_question_is_read_whole() -> None:
    """Every field of a question reaches the core, values under the index of their field."""
    context = {
        "present.sentiment": Value(double_value=-0.5),
        "present.calls": Value(int_value=3),
        "present.waiting": Value(bool_value=False),
        "present.reason": Value(string_value="move"),
        "present.since": Value(timestamp_value=Timestamp(seconds=-1, nanos=999_999_999)),
        "present.pages": Value(strings_value=StringList(values=["b", "a"])),
    }
    message = ask(
        customer_id="Zoë",
        placements=["hero", "greeting"],
        context=context,
        explain=True,
        idempotency_key="key",
        request_id="id",
        as_of=Timestamp(seconds=1_700_000_000, nanos=1_999_999),
    )
    index = strategy().schema.index
    assert request_of(message, edge_of(limits=Limits(allow_as_of=True))) == Request(
        customer="Zoë",
        channel="web",
        placements=("hero", "greeting"),
        context={
            index["present.sentiment"]: -0.5,
            index["present.calls"]: 3,
            index["present.waiting"]: False,
            index["present.reason"]: "move",
            index["present.since"]: -1,
            index["present.pages"]: ("b", "a"),
        },
        explain=True,
        idempotency_key="key",
        request_id="id",
        as_of_ms=1_700_000_000_001,
    )


def decision(*answers: Answer, **changes: object) -> Decision:
    """Return a decision with these answers."""
    made = Decision("0ab" + "2" * 23, answers, "small@0123", "m@4567", NOW_MS + 7)
    return replace(made, **changes)


def test_an_offer_a_message_and_a_greeting() -> None:
    """What sells, what tells and what greets each have their form, with the words and the reasons."""
    offer = Answer("hero", "fibre", "offer", "Faster.", ("upsell",), 0.25, 4.5, (WHY,))
    message = structs.replace(offer, action="status", kind="message", intents=())
    greeting = structs.replace(offer, placement="greeting", action="hello", kind="greeting")
    answer = answer_of(decision(offer, message, greeting), "r", strategy().schema)
    reason = values_pb2.Reason(
        code=values_pb2.REASON_CODE_GUARDRAIL,
        sentence=WHY.sentence,
        rule_id="no-upsell",
        fields=["past.open_tickets"],
    )
    told = {"text": "Faster.", "propensity": 0.25, "net_value": 4.5}
    assert list(answer.answers) == [
        pb.PlacementAnswer(
            placement="hero",
            offer=pb.Offer(action_id="fibre", intents=["upsell"], sells=True, **told),  # type: ignore[arg-type]
            reasons=[reason],
        ),
        pb.PlacementAnswer(
            placement="hero",
            offer=pb.Offer(action_id="status", **told),  # type: ignore[arg-type]
            reasons=[reason],
        ),
        pb.PlacementAnswer(
            placement="greeting",
            greeting=pb.Greeting(action_id="hello", text="Faster.", intents=["upsell"]),
            reasons=[reason],
        ),
    ]
    assert answer.request_id == "r"
    assert answer.decision_id == "0ab" + "2" * 23
    assert answer.decided_at == Timestamp(seconds=NOW_MS // 1000, nanos=7_000_000)
    assert answer.versions == values_pb2.Versions(strategy="small@0123", model="m@4567")
    assert not answer.degraded
    assert not answer.HasField("explanation")
    assert not answer.HasField("error")


@pytest.mark.parametrize(("until_ms", "held_back"), [(None, ""), (NOW_MS, "fibre")])
def test_a_suppression(until_ms: int | None, held_back: str) -> None:
    """Silence is an answer of its own, even when nothing is held back, and says until when only if it is known."""
    silence = Answer("hero", "", "", "", (), 0.0, 0.0, (WHY,), held_back, until_ms)
    (answer,) = answer_of(decision(silence), "", strategy().schema).answers
    assert answer.WhichOneof("answer") == "suppression"
    assert answer.suppression.held_back_action_id == held_back
    assert answer.suppression.HasField("until") == (until_ms is not None)


def test_every_reason_has_its_number() -> None:
    """The core's reasons are those of the contract, by name and number."""
    assert {code.name: code.value for code in ReasonCode} == {
        name.removeprefix("REASON_CODE_"): number for name, number in values_pb2.ReasonCode.items() if number
    }


def test_a_degraded_decision() -> None:
    """A degraded answer says so and why, and has no decision id when nothing was recorded."""
    gone = Reason(ReasonCode.STORE_UNAVAILABLE, "The store is gone.")
    answer = answer_of(decision(decision_id="", degraded=(gone,)), "", strategy().schema)
    assert answer.degraded
    assert answer.decision_id == ""
    assert [reason.code for reason in answer.degraded_reasons] == [values_pb2.REASON_CODE_STORE_UNAVAILABLE]


def test_an_explanation_tells_fates() -> None:
    """An explanation tells what forbids each action; what was not scored has no scores, not zeros."""
    fates = (Fate("fibre", (WHY,), None, None, None), Fate("hello", (), 0.5, 0.0, -1.5))
    explained = answer_of(decision(explanation=Explanation(fates, (), "full")), "", strategy().schema).explanation
    veto = {"code": "guardrail", "sentence": WHY.sentence, "rule_id": "no-upsell", "fields": ["past.open_tickets"]}
    no_more: dict[str, list[str]] = {"placements": [], "checks": [], "caps": []}
    scores = {"propensity": 0.5, "baseline_propensity": 0.0, "net_value": -1.5}
    assert plain(explained)["actions"] == [
        {"action_id": "fibre", "vetoes": [veto], **no_more},
        {"action_id": "hello", "vetoes": [], **scores, **no_more},
    ]
    assert explained.consent_level == "full"


def test_an_explanation_tells_what_was_seen() -> None:
    """An explanation tells each field in its type with its age; what is unknown is unset, not zero."""
    fields = (
        FieldSeen("past.open_tickets", 1, 1_500),
        FieldSeen("past.tier", None, None),
        FieldSeen("past.recent_products", ("a", "b"), 0),
        FieldSeen("past.paid_at", NOW_MS, 10),
        FieldSeen("present.waiting", False, None),
        FieldSeen("past.spend", 12.5, 10, "spend@1", "personalization", 86_400_000, used=True),
    )
    explained = answer_of(decision(explanation=Explanation((), fields, "full")), "", strategy().schema)
    not_used = {"purpose": "", "used": False}
    for_offers = {"purpose": "personalization", "max_age_seconds": 86_400.0, "used": True}
    assert plain(explained.explanation)["fields"] == [
        {"field_id": "past.open_tickets", "value": 1, "age_seconds": 1.5, **not_used},
        {"field_id": "past.tier", **not_used},
        {"field_id": "past.recent_products", "value": ["a", "b"], "age_seconds": 0.0, **not_used},
        {"field_id": "past.paid_at", "value": "2027-01-15T08:00:00Z", "age_seconds": 0.01, **not_used},
        {"field_id": "present.waiting", "value": False, **not_used},
        {"field_id": "past.spend", "value": 12.5, "age_seconds": 0.01, "model_version": "spend@1", **for_offers},
    ]


async def test_answers_come_in_the_order_of_the_questions() -> None:
    """On a stream a quick question is decided before a slow one and answered after it, each once."""
    quick_is_decided = asyncio.Event()

    async def how(request: Request) -> Decision:
        if request.request_id == "slow":
            await asyncio.wait_for(quick_is_decided.wait(), 5)
        quick_is_decided.set()
        return answered(request)

    async with calling(edge_of(Answering(how))) as channel:
        call = DecisionServiceStub(channel).DecideStream(iter([ask(request_id="slow"), ask(request_id="quick")]))
        came = [(answer.request_id, answer.HasField("error")) async for answer in call]
    assert came == [("slow", False), ("quick", False)]


async def test_one_bad_item_ends_nothing() -> None:
    """A fault, a bad question and undecodable bytes are each answered as errors, and the good ones as ever."""

    async def how(request: Request) -> Decision:
        if request.request_id == "fault":
            raise ValueError("mary.jones@example.com")
        if request.request_id == "cancelled":
            raise asyncio.CancelledError
        return answered(request)

    raws = [
        *(ask(request_id=name).SerializeToString() for name in ("fault", "cancelled", "good")),
        ask(request_id="bad", channel="fax").SerializeToString(),
        b"\xff",
        b"x" * 70_000,
    ]
    async with calling(edge_of(Answering(how))) as channel:
        call = channel.stream_stream("/tact.v1.DecisionService/DecideStream", None, pb.DecideResponse.FromString)(
            iter(raws)
        )
        errors = [(answer.request_id, answer.error.code, answer.error.message) async for answer in call]
    assert sorted((request_id, code) for request_id, code, _ in errors) == [
        ("", grpc.StatusCode.INVALID_ARGUMENT.value[0]),
        ("", grpc.StatusCode.INVALID_ARGUMENT.value[0]),
        ("bad", grpc.StatusCode.INVALID_ARGUMENT.value[0]),
        ("cancelled", grpc.StatusCode.UNAVAILABLE.value[0]),
        ("fault", grpc.StatusCode.INTERNAL.value[0]),
        ("good", 0),
    ]
    assert "mary" not in str(errors)


async def test_at_most_64_in_work() -> None:
    """A stream is not read further while 64 questions are in work, and goes on when one is answered."""
    gate, sent, full = asyncio.Semaphore(0), 0, asyncio.Event()

    async def how(request: Request) -> Decision:
        if len(decider.asked) == MAX_IN_WORK:
            full.set()
        await gate.acquire()
        return answered(request)

    async def asks() -> AsyncIterator[pb.DecideRequest]:
        nonlocal sent
        for sent in range(1, 201):
            yield ask(request_id=str(sent))

    decider = Answering(how)
    async with calling(edge_of(decider)) as channel:
        call = DecisionServiceStub(channel).DecideStream(asks())
        await asyncio.wait_for(full.wait(), 5)
        await asyncio.sleep(0.1)  # time enough to read on, were it allowed
        assert len(decider.asked) == MAX_IN_WORK
        gate.release()
        assert await call.read()
        await asyncio.sleep(0.1)
        assert len(decider.asked) == MAX_IN_WORK + 1
        for _ in range(200):
            gate.release()
        rest = 0
        while await call.read() is not grpc.aio.EOF:
            rest += 1
    assert rest == 199
    assert sent == 200


async def test_a_caller_who_leaves_a_stream_stops_its_work() -> None:
    """When the caller of a stream goes, everything in work for it is cancelled, and nothing is left behind."""
    begun = asyncio.Event()
    ended: list[str] = []

    async def how(request: Request) -> Decision:
        try:
            if len(decider.asked) == 10:
                begun.set()
            await asyncio.Event().wait()
        finally:
            ended.append(request.request_id)
        raise AssertionError

    decider = Answering(how)
    async with calling(edge_of(decider)) as channel:
        before = asyncio.all_tasks()
        call = DecisionServiceStub(channel).DecideStream(iter([ask(request_id=str(i)) for i in range(10)]))
        await asyncio.wait_for(begun.wait(), 5)
        call.cancel()
        async with asyncio.timeout(5):
            while len(ended) < 10 or any("Conversation" in repr(task) for task in asyncio.all_tasks() - before):  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # what ends here has no event to wait for
    assert sorted(ended) == sorted(map(str, range(10)))


async def test_an_empty_stream() -> None:
    """A stream without questions ends without answers, and well."""
    async with calling(edge_of()) as channel:
        call = DecisionServiceStub(channel).DecideStream(iter([]))
        assert [answer async for answer in call] == []
        assert await call.code() is grpc.StatusCode.OK
