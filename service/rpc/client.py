"""A small client of our own services: plain Python in, plain Python out, for the command line, the demo and the tests.

    async with TactClient("127.0.0.1:50051") as tact:
        answer = await tact.decide(Ask("customer-1", "web", ("hero",), {"present.cart_value": 25.0}))
        print(answer["answers"][0]["reasons"][0]["sentence"])

Answers are dictionaries that JSON can hold, with the names of the contract (`plain.py` says how). What the service
refuses raises `CallFailed`. A strategy's schema, when given, types the values: 5 is then good for a double.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc

from models.context import ContextSchema
from service.rpc.calling import Answer, CallFailed, answer_to
from service.rpc.client_audit import AuditClient
from service.rpc.client_batches import PATIENT, Patience, Run, each
from service.rpc.client_control import ControlClient
from service.rpc.client_identity import IdentityClient
from service.rpc.client_journey import InsightClient, JourneyClient
from service.rpc.client_log import LogClient
from service.rpc.client_predictions import PredictionClient
from service.rpc.client_rights import RightsClient
from service.rpc.client_supply import Report, SupplyCalls
from service.rpc.client_triggers import TriggerClient
from service.rpc.client_watch import Watching
from service.rpc.plain import Moment, moment_message, plain
from service.rpc.questions import Ask, Event, Outcome, Prediction, Types, WhatIf, explain_message, outcome_message
from service.rpc.secured import UNSECURED, Secured
from tact.client import Retry, service_config
from tact.v1 import (
    context_pb2,
    context_pb2_grpc,
    decision_pb2,
    decision_pb2_grpc,
    outcome_pb2,
    outcome_pb2_grpc,
)

__all__ = [
    "Answer",
    "Ask",
    "CallFailed",
    "Event",
    "Outcome",
    "Patience",
    "Prediction",
    "Report",
    "TactClient",
    "WhatIf",
]

M = TypeVar("M", bound=Message)
T = TypeVar("T")

# Everything but a decision can be repeated as it is; a decision only with an idempotency key, which is the caller's.
# A consent without a moment neither, which `service_config` leaves out by itself.
_REPEATED = [
    {"service": "tact.v1.DecisionService", "method": "ValidateDecision"},
    {"service": "tact.v1.DecisionService", "method": "ExplainDecision"},
    {"service": "tact.v1.ContextService"},
    {"service": "tact.v1.OutcomeService"},
    {"service": "tact.v1.IdentityService"},
    {"service": "tact.v1.SupplyService"},
    {"service": "tact.v1.PredictionService"},
    {"service": "tact.v1.ControlService"},
    {"service": "tact.v1.TriggerService"},
    {"service": "tact.v1.JourneyService"},
    {"service": "tact.v1.InsightService"},
    {"service": "tact.v1.RightsService", "method": "EraseCustomer"},
    {"service": "tact.v1.LogService", "method": "ListErased"},
]
_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.service_config", service_config(Retry(first_pause_s=0.1), _REPEATED, waits=False)),
    ("grpc.enable_http_proxy", 0),
)


class TactClient:
    """Calls one service at `target` (host:port); calls take `timeout_s` at most, streams have no end.

    `secured` says how: without TLS and as nobody unless it says otherwise. Raises `SecretsRefused` as it is entered.
    """

    def __init__(
        self,
        target: str,
        *,
        schema: ContextSchema | None = None,
        timeout_s: float = 10.0,
        secured: Secured = UNSECURED,
    ) -> None:
        self._secured = secured
        self._target = target
        self._timeout_s = timeout_s
        self._types = Types.of(schema)

    async def __aenter__(self) -> Self:
        self._channel = self._secured.channel(self._target, _OPTIONS)
        self._decisions = decision_pb2_grpc.DecisionServiceStub(self._channel)
        self._contexts = context_pb2_grpc.ContextServiceStub(self._channel)
        self._outcomes = outcome_pb2_grpc.OutcomeServiceStub(self._channel)
        self.predictions = PredictionClient(self._channel, self._timeout_s, self._types)
        self._supply = SupplyCalls(self._channel)
        self.triggers = TriggerClient(self._channel, self._timeout_s)
        self.rights = RightsClient(self._channel, self._timeout_s)
        self.log = LogClient(self._channel, self._timeout_s)
        self.audit = AuditClient(self._channel)
        self.journeys = JourneyClient(self._channel, self._timeout_s)
        self.insight = InsightClient(self._channel, self._timeout_s)
        self.control = ControlClient(self._channel, self._timeout_s)
        self.identities = IdentityClient(self._channel, answer_to, self._timeout_s)
        self._health: Any = health_pb2_grpc.HealthStub(self._channel)  # its types lack its methods
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._channel.close()

    async def decide(self, ask: Ask) -> Answer:
        """Return the answer to one question."""
        return await answer_to(self._decisions.Decide(self._types.ask(ask), timeout=self._timeout_s))

    async def decide_stream(self, asks: Iterable[Ask] | AsyncIterable[Ask]) -> AsyncIterator[Answer]:
        """Yield the answers to many questions, in their order."""
        messages = _Messages(self._types.ask, asks)
        call = self._decisions.DecideStream(aiter(messages))
        try:
            async for answer in call:
                yield plain(answer)
        except grpc.aio.AioRpcError as error:
            raise CallFailed.of(error) from None
        finally:
            call.cancel()
        messages.check()

    async def decide_all(
        self, asks: Iterable[Ask] | AsyncIterable[Ask], *, run: str, patience: Patience = PATIENT
    ) -> AsyncIterator[Answer]:
        """Yield the answers to the questions of a run in their order, the fastest way there is: in batches.

        Every question needs a `request_id`, unique within the run. When the stream breaks, what is not answered is sent
        again, and whoever starts the same `run` again may send all of it again: nothing is decided or counted twice.
        Raises `CallFailed` when the stream breaks again and again, with no answer between.
        """
        requests = (self._types.ask(ask) async for ask in each(asks, run))
        async with aclosing(Run(self._decisions.DecideBatches, patience).answers(requests)) as answers:
            async for answer in answers:
                yield plain(answer)

    async def watch(
        self,
        ask: Ask,
        *,
        cursor: str = "",
        every_cause: bool = False,
        heartbeat_s: float = 15.0,
        patience: Patience = PATIENT,
    ) -> AsyncIterator[Answer]:
        """Yield what is to be said to a customer, and each change of it; a stream that breaks is resumed.

        Heartbeats are yielded as well. `cursor` of the last message goes on with a watch of before.
        """
        asked = decision_pb2.WatchRequest(
            question=self._types.ask(ask),
            cursor=cursor,
            every_cause=every_cause,
            heartbeat_ms=round(1000 * heartbeat_s),
        )
        async with aclosing(Watching(self._decisions.Watch, asked, patience).messages()) as messages:
            async for message in messages:
                yield message

    async def validate_decision(self, decision_id: str, as_of: Moment | None = None) -> Answer:
        """Return whether what was decided may still be said, and what forbids it."""
        asked = decision_pb2.ValidateDecisionRequest(
            decision_id=decision_id, as_of=None if as_of is None else moment_message(as_of)
        )
        return await answer_to(self._decisions.ValidateDecision(asked, timeout=self._timeout_s))

    async def explain_decision(
        self, decision_id: str, depth: str = "", what_if: WhatIf | None = None, *, actions: Sequence[str] = ()
    ) -> Answer:
        """Return why a decision came out as it did, and what would have changed that where it is asked for."""
        asked = explain_message(decision_id, depth, what_if, actions)
        return await answer_to(self._decisions.ExplainDecision(asked, timeout=self._timeout_s))

    async def record_events(self, events: Iterable[Event]) -> Answer:
        """Record 1 to 1,000 events and return what became of each."""
        return await answer_to(self._contexts.RecordEvents(self._types.batch(events), timeout=self._timeout_s))

    async def record_events_stream(self, batches: Iterable[Iterable[Event]] | AsyncIterable[Iterable[Event]]) -> Answer:
        """Record batch after batch and return the totals; the next batch is taken when the service is ready for it."""
        messages = _Messages(self._types.batch, batches)
        answer = await answer_to(self._contexts.RecordEventsStream(aiter(messages)))
        messages.check()
        return answer

    async def get_context(self, customer_id: str, as_of: Moment | None = None) -> Answer:
        """Return what is known of a customer."""
        asked = context_pb2.GetContextRequest(
            customer_id=customer_id, as_of=None if as_of is None else moment_message(as_of)
        )
        return await answer_to(self._contexts.GetContext(asked, timeout=self._timeout_s))

    async def set_consent(
        self,
        customer_id: str,
        level: str,
        contact_channels: Sequence[str] = (),
        *,
        given_at: Moment | None = None,
        source: str = "",
    ) -> Answer:
        """Replace a customer's consent and return the stored one."""
        consent = context_pb2.Consent(level=level, contact_channels=contact_channels, source=source)
        if given_at is not None:
            consent.given_at.CopyFrom(moment_message(given_at))
        asked = context_pb2.SetConsentRequest(customer_id=customer_id, consent=consent)
        return await answer_to(self._contexts.SetConsent(asked, timeout=self._timeout_s))

    async def get_consent(self, customer_id: str, *, history: bool = False) -> Answer:
        """Return a customer's consent, with how it changed where the history is asked for."""
        asked = context_pb2.GetConsentRequest(customer_id=customer_id, history=history)
        return await answer_to(self._contexts.GetConsent(asked, timeout=self._timeout_s))

    async def record_outcomes(self, outcomes: Iterable[Outcome]) -> Answer:
        """Record 1 to 1,000 outcomes and return what became of each."""
        asked = outcome_pb2.RecordOutcomesRequest(outcomes=[outcome_message(outcome) for outcome in outcomes])
        return await answer_to(self._outcomes.RecordOutcomes(asked, timeout=self._timeout_s))

    async def report_supply(self, reports: Iterable[Report]) -> Answer:
        """Report how much there is of 1 to 1,000 items at their places and return what became of each."""
        return await answer_to(self._supply.report(reports, self._timeout_s))

    async def watch_demand(
        self, cursor: str = "", items: Sequence[str] = (), *, until_none: bool = False
    ) -> AsyncIterator[Answer]:
        """Yield what is wanted after a cursor, for as long as somebody listens."""
        try:
            async with aclosing(self._supply.watch(cursor, items, until_none)) as messages:
                async for message in messages:
                    yield message
        except grpc.aio.AioRpcError as error:
            raise CallFailed.of(error) from None

    async def health(self, service: str = "") -> str:
        """Return `serving` or `not_serving`."""
        asked = health_pb2.HealthCheckRequest(service=service)
        answer = await answer_to(self._health.Check(asked, timeout=self._timeout_s))
        return str(answer["status"])

    async def wait_until_reachable(self, timeout_s: float) -> None:
        """Wait until a connection stands; raise `CallFailed` when none does in time."""
        asked = health_pb2.HealthCheckRequest()
        await answer_to(self._health.Check(asked, timeout=timeout_s, wait_for_ready=True))


class _Messages(Generic[T, M]):
    """Turns what a caller sends into messages. What goes wrong there ends the stream, and is raised by `check`:
    gRPC would report it as a cancelled call.
    """

    def __init__(self, message_of: Callable[[T], M], items: Iterable[T] | AsyncIterable[T]) -> None:
        self._message_of = message_of
        self._items = items
        self._error: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[M]:
        try:
            if isinstance(self._items, AsyncIterable):
                async for item in self._items:
                    yield self._message_of(item)
            else:
                for item in self._items:
                    yield self._message_of(item)
        except Exception as error:  # noqa: BLE001 - raised again by `check`
            self._error = error

    def check(self) -> None:
        """Raise what went wrong."""
        if self._error is not None:
            raise self._error
