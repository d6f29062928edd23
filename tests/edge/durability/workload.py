"""Clients that write all the time, repeat what was not acknowledged, and remember what was: the history to check by."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from redis import Redis

from service.rpc.plain import moment_message
from service.rpc.questions import Ask, Event, Outcome, Types, outcome_message
from service.store import keys
from service.store.kept import decision_of
from tact.v1 import (
    context_pb2,
    context_pb2_grpc,
    decision_pb2_grpc,
    outcome_pb2,
    outcome_pb2_grpc,
)
from tests.edge.durability.servers import Server

M = TypeVar("M", bound=Message)

CUSTOMERS_EACH = 2
TIMEOUT_S = 1.0
PAUSE_S = 0.1
REPEATABLE = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
TYPES = Types({}, {})
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
CHANNELS: tuple[list[str], ...] = ([], ["email"], ["email", "web"], ["web"])
OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 150),
    ("grpc.enable_http_proxy", 0),
)


@dataclass(slots=True)
class History:
    """What clients were told: events and consents by customer, decisions, outcomes, and what went wrong on the way.

    `known` counts writes that were stored already when they were repeated: executed, and never acknowledged.
    """

    events: dict[str, list[str]] = field(default_factory=dict)
    consents: dict[str, list[str]] = field(default_factory=dict)
    decisions: list[str] = field(default_factory=list)
    outcomes: list[tuple[str, str, str]] = field(default_factory=list)
    calls: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    degraded: int = 0
    known: int = 0
    lost: list[str] = field(default_factory=list)

    @property
    def acknowledged(self) -> int:
        """How many writes were acknowledged."""
        kept = (*self.events.values(), *self.consents.values())
        return sum(map(len, kept)) + len(self.decisions) + len(self.outcomes)

    def __str__(self) -> str:
        kinds = {
            "events": sum(map(len, self.events.values())),
            "consents": sum(map(len, self.consents.values())),
            "decisions": len(self.decisions),
            "outcomes": len(self.outcomes),
        }
        told = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        return (
            f"{self.calls} calls, {self.acknowledged} acknowledged writes ({told}), {self.degraded} degraded answers, "
            f"repeated after {dict(self.codes)}, {self.known} were stored already"
        )


class Client:
    """One of many clients: it asks and writes in turn, of customers of its own, at a steady pace."""

    def __init__(self, number: int, target: str, history: History) -> None:
        self._customers = [f"c{number}-{n}" for n in range(CUSTOMERS_EACH)]
        self._history = history
        self._made = 0
        self._channel = grpc.aio.insecure_channel(target, options=OPTIONS)
        self._contexts = context_pb2_grpc.ContextServiceStub(self._channel)
        self._decisions = decision_pb2_grpc.DecisionServiceStub(self._channel)
        self._outcomes = outcome_pb2_grpc.OutcomeServiceStub(self._channel)

    async def run(self, every_s: float, ended: asyncio.Event) -> None:
        """Go on until it is over; what was begun is repeated until it is acknowledged."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not ended.is_set():
            self._made += 1
            await (self._event, self._decide, self._consent)[self._made % 3]()
            due = max(due + every_s, loop.time() - 1.0)
            await asyncio.sleep(max(0.0, due - loop.time()))
        await self._channel.close()

    async def _event(self) -> None:
        name = f"e{self._made}"
        bought = Event(
            name, self._customer, "purchase", SINCE + timedelta(seconds=self._made),
            {"order": name, "category": "phone", "amount": 1.0},
        )  # fmt: skip
        answer = await self._repeated(self._contexts.RecordEvents, TYPES.batch([bought]))
        assert answer.results[0].status in (context_pb2.EVENT_STATUS_STORED, context_pb2.EVENT_STATUS_REPEATED), answer
        self._history.known += answer.results[0].status == context_pb2.EVENT_STATUS_REPEATED
        self._history.events.setdefault(self._customer, []).append(name)

    async def _consent(self) -> None:
        asked = context_pb2.SetConsentRequest(
            customer_id=self._customer,
            consent=context_pb2.Consent(
                level="full", contact_channels=CHANNELS[self._made % 4], source=f"call {self._made}",
                given_at=moment_message(SINCE + timedelta(seconds=self._made)),
            ),
        )  # fmt: skip
        await self._repeated(self._contexts.SetConsent, asked)
        self._history.consents.setdefault(self._customer, []).append(f"call {self._made}")

    async def _decide(self) -> None:
        asked = TYPES.ask(Ask(self._customer, "web", ("hero",), idempotency_key=f"{self._customer}.{self._made}"))
        answer = await self._repeated(self._decisions.Decide, asked)
        if not answer.decision_id:
            self._history.degraded += 1
            return
        self._history.decisions.append(answer.decision_id)
        said = answer.answers[0]
        if said.WhichOneof("answer") != "suppression":
            await self._outcome(answer.decision_id, (said.offer.action_id or said.greeting.action_id))

    async def _outcome(self, decision: str, action: str) -> None:
        shown = Outcome(decision, action, "shown", occurred_at=SINCE + timedelta(days=300))
        asked = outcome_pb2.RecordOutcomesRequest(outcomes=[outcome_message(shown)])
        status = (await self._repeated(self._outcomes.RecordOutcomes, asked)).results[0].status
        if status == outcome_pb2.OUTCOME_STATUS_UNKNOWN_DECISION:
            self._history.lost.append(f"the decision {decision}, before its outcome came")
            return
        assert status in (outcome_pb2.OUTCOME_STATUS_STORED, outcome_pb2.OUTCOME_STATUS_REPEATED), status
        self._history.known += status == outcome_pb2.OUTCOME_STATUS_REPEATED
        self._history.outcomes.append((decision, action, "1"))

    @property
    def _customer(self) -> str:
        return self._customers[self._made // 3 % len(self._customers)]

    async def _repeated(self, call: Callable[..., Awaitable[Any]], message: Message) -> Any:  # noqa: ANN401 - its answer
        """Send the same again until it is answered."""
        while True:
            self._history.calls += 1
            try:
                return await call(message, timeout=TIMEOUT_S)
            except grpc.aio.AioRpcError as error:
                if error.code() not in REPEATABLE:
                    raise
                self._history.codes[error.code().name.lower()] += 1
            await asyncio.sleep(PAUSE_S)


async def run_clients(
    target: str, harm: Callable[[], Awaitable[None]], *, clients: int = 16, calls_a_second: float = 200.0
) -> History:
    """Let clients run at so many calls a second all together while harm is done; return what they were told."""
    history, ended = History(), asyncio.Event()
    all_of_them = [Client(number, target, history) for number in range(clients)]
    async with asyncio.TaskGroup() as running:
        for client in all_of_them:
            running.create_task(client.run(clients / calls_a_second, ended))
        await harm()
        ended.set()
    return history


async def lost_and_doubled(history: History, target: str, store: Server) -> list[str]:
    """Compare what clients were told with what is stored; return what is missing or there twice, in words."""
    return [*history.lost, *await _contexts(history, target), *_decisions(history, store), *_outcomes(history, store)]


async def _contexts(history: History, target: str) -> Sequence[str]:
    wrong = []
    async with grpc.aio.insecure_channel(target, options=OPTIONS) as channel:
        contexts = context_pb2_grpc.ContextServiceStub(channel)
        for customer, sources in history.consents.items():
            told = await contexts.GetConsent(
                context_pb2.GetConsentRequest(customer_id=customer, history=True), timeout=5, wait_for_ready=True
            )
            stored = [change.source for change in told.history]
            if stored != sources[-len(stored) :] or len(stored) != min(100, len(sources)):
                wrong.append(f"consents of {customer}: {sources} acknowledged, {stored} stored")
        for customer, events in history.events.items():
            known = await contexts.GetContext(context_pb2.GetContextRequest(customer_id=customer), timeout=5)
            counted = {one.field_id: one.value.int_value for one in known.fields}.get("past.purchases", 0)
            if counted != len(events):
                wrong.append(f"events of {customer}: {len(events)} acknowledged, {counted} counted")
    return wrong


def _decisions(history: History, store: Server) -> Sequence[str]:
    made = (decision_of(at, fields).entry for at, fields in _entries(store, keys.log_key))
    logged = Counter(entry.decision_id for entry in made if entry is not None)
    return [f"decision {one} is logged {logged[one]} times" for one in history.decisions if logged[one] != 1]


def _outcomes(history: History, store: Server) -> Sequence[str]:
    entries = (fields for _, fields in _entries(store, keys.out_key))
    recorded = Counter((one[b"d"].decode(), one[b"a"].decode(), one[b"k"].decode()) for one in entries)
    return [f"outcome {one} is recorded {recorded[one]} times" for one in history.outcomes if recorded[one] != 1]


def _entries(store: Server, key_of: Callable[[str], bytes]) -> Sequence[tuple[str, dict[bytes, bytes]]]:
    """Return all entries of the streams of all buckets, read by a client of another make."""
    with Redis(port=store.port) as client, client.pipeline(transaction=False) as asked:
        for bucket in range(keys.BUCKETS):
            asked.xrange(key_of(f"{bucket:03x}"))
        return [(at.decode(), fields) for stream in asked.execute() for at, fields in stream]
