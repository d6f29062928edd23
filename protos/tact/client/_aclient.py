"""The client for a loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self, cast

import grpc
import grpc.aio

from tact.client._acalls import AsyncCalls, AsyncTerms
from tact.client._again import Again
from tact.client._connecting import AT_ONCE, HEALTH, SERVING, Connecting, Tls
from tact.client._due import acknowledgement, async_due, subscription
from tact.client._errors import Life
from tact.client._messages import depth_of, moment
from tact.client._policy import Keepalive, Retry
from tact.client._runs import async_answers, each
from tact.client._stubs import AsyncStubs
from tact.client._tokens import AsyncSource, AsyncTokens, same
from tact.client._watching import Watched, async_told
from tact.v1 import context_pb2, decision_pb2, outcome_pb2, trigger_pb2


class AsyncClient:
    """Calls Tact from one loop; what `Client` says holds here, and a source of tokens may be awaited.

        async with AsyncClient("127.0.0.1:50051") as tact:
            answer = await tact.decide(question("customer-1", "web", ["hero"]), timeout_s=0.05)

    Make it where the loop runs that uses it.
    """

    def __init__(
        self,
        target: str | Sequence[str],
        *,
        tls: Tls | None = None,
        token: str | AsyncSource | None = None,
        plaintext: bool = False,
        timeout_s: float = 1.0,
        stream_timeout_s: float = 3600.0,
        retry: Retry = Retry(),  # noqa: B008 - frozen
        keepalive: Keepalive = Keepalive(),  # noqa: B008 - frozen
        connections: int = 1,
        options: Sequence[tuple[str, Any]] = (),
    ) -> None:
        how = Connecting.of(
            target, tls=tls, bears=token is not None, plaintext=plaintext, retry=retry, keepalive=keepalive,
            connections=connections, options=options,
        )  # fmt: skip
        tokens = None if token is None else AsyncTokens(same(token) if isinstance(token, str) else token)
        self._channels = tuple(_channel(how) for _ in range(connections))
        self._life, self._tokens = Life(), tokens
        turns = asyncio.Semaphore(AT_ONCE * connections)
        terms = AsyncTerms(timeout_s, stream_timeout_s, tokens, Again(retry), turns, self._life)
        self.stubs = AsyncStubs(AsyncCalls(self._channels, terms).channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End all connections; calls under way and later ones end as CANCELLED."""
        self._life.closed = True
        if self._tokens is not None:
            self._tokens.close()
        for channel in self._channels:
            await channel.close()

    async def decide(
        self, question: decision_pb2.DecideRequest, *, timeout_s: float | None = None
    ) -> decision_pb2.DecideResponse:
        """Return what to say; a question without an idempotency key gets one, so that its repetitions count once."""
        return await self.stubs.decision.Decide(question, timeout=timeout_s)

    def decide_stream(
        self,
        questions: Iterable[decision_pb2.DecideRequest] | AsyncIterable[decision_pb2.DecideRequest],
        *,
        timeout_s: float | None = None,
    ) -> AsyncIterator[decision_pb2.DecideResponse]:
        """Yield the answers to questions in their order, each soon after its question; a bad one has `error` set.

        A stream that breaks ends with `CallFailed`.
        """
        return aiter(self.stubs.decision.DecideStream(each(questions), timeout=timeout_s))

    def decide_batches(
        self,
        questions: Iterable[decision_pb2.DecideRequest] | AsyncIterable[decision_pb2.DecideRequest],
        *,
        run: str = "",
        timeout_s: float | None = None,
    ) -> AsyncIterator[decision_pb2.DecideResponse]:
        """Yield the answers to many questions in their order, the fastest way there is, going on where a stream broke.

        Questions of a named `run` need a `request_id` each: who begins the run again is answered what was decided.
        """
        return async_answers(lambda sent: self.stubs.decision.DecideBatches(sent, timeout=timeout_s), questions, run)

    def watch(
        self,
        question: decision_pb2.DecideRequest,
        *,
        cursor: str = "",
        every_cause: bool = False,
        heartbeat_s: float = 15.0,
    ) -> AsyncGenerator[decision_pb2.WatchResponse, None]:
        """Yield what is to be said to a customer, and each change of it, going on where a stream broke.

        `cursor` of the last message goes on with a watch of before. Close the iterator to end it.
        """
        watched = Watched.of(question, cursor, heartbeat_s, every_cause=every_cause)
        return async_told(self.stubs.decision.Watch, watched)

    def due(
        self, channel: str, *, most: int = 0, lease_s: int = 0, until_none: bool = False
    ) -> AsyncGenerator[trigger_pb2.DueMoment, None]:
        """Yield what is due on a channel, as it becomes due, opening the stream again where it broke.

        At most `most` (0: 100) are with this consumer at a time, each for `lease_s` seconds (0: 60): acknowledge them.
        """
        return async_due(self.stubs.trigger.Subscribe, subscription(channel, most, lease_s, until_none=until_none))

    async def acknowledge(
        self,
        channel: str,
        moments: Iterable[trigger_pb2.DueMoment],
        result: str = "said",
        *,
        timeout_s: float | None = None,
    ) -> list[bool]:
        """Say that 1 to 1,000 moments were said, or that it failed or was refused; return whose loan still held."""
        asked = acknowledgement(channel, moments, result)
        return list((await self.stubs.trigger.Acknowledge(asked, timeout=timeout_s)).held)

    async def validate(
        self, decision_id: str, *, timeout_s: float | None = None
    ) -> decision_pb2.ValidateDecisionResponse:
        """Return whether what was decided may still be said."""
        asked = decision_pb2.ValidateDecisionRequest(decision_id=decision_id)
        return await self.stubs.decision.ValidateDecision(asked, timeout=timeout_s)

    async def explain(
        self, decision_id: str, depth: str = "", *, timeout_s: float | None = None
    ) -> decision_pb2.ExplainDecisionResponse:
        """Return why a decision came out as it did; `depth` is customer, agent or auditor."""
        asked = decision_pb2.ExplainDecisionRequest(decision_id=decision_id, depth=depth_of(depth))
        return await self.stubs.decision.ExplainDecision(asked, timeout=timeout_s)

    async def record_events(
        self, events: Iterable[context_pb2.Event], *, timeout_s: float | None = None
    ) -> context_pb2.RecordEventsResponse:
        """Record 1 to 1,000 events and return what became of each; one without an id gets one."""
        return await self.stubs.context.RecordEvents(context_pb2.RecordEventsRequest(events=events), timeout=timeout_s)

    async def record_outcomes(
        self, outcomes: Iterable[outcome_pb2.Outcome], *, timeout_s: float | None = None
    ) -> outcome_pb2.RecordOutcomesResponse:
        """Record 1 to 1,000 outcomes and return what became of each."""
        asked = outcome_pb2.RecordOutcomesRequest(outcomes=outcomes)
        return await self.stubs.outcome.RecordOutcomes(asked, timeout=timeout_s)

    async def get_context(self, customer_id: str, *, timeout_s: float | None = None) -> context_pb2.GetContextResponse:
        """Return what is known of a customer."""
        asked = context_pb2.GetContextRequest(customer_id=customer_id)
        return await self.stubs.context.GetContext(asked, timeout=timeout_s)

    async def set_consent(
        self,
        customer_id: str,
        level: str,
        contact_channels: Sequence[str] = (),
        *,
        given_at: datetime | None = None,
        source: str = "",
        timeout_s: float | None = None,
    ) -> context_pb2.Consent:
        """Replace a customer's consent and return the stored one."""
        consent = context_pb2.Consent(
            level=level, contact_channels=contact_channels, source=source,
            given_at=None if given_at is None else moment(given_at),
        )  # fmt: skip
        asked = context_pb2.SetConsentRequest(customer_id=customer_id, consent=consent)
        return (await self.stubs.context.SetConsent(asked, timeout=timeout_s)).consent

    async def get_consent(self, customer_id: str, *, timeout_s: float | None = None) -> context_pb2.GetConsentResponse:
        """Return a customer's consent and the purposes it stands for."""
        asked = context_pb2.GetConsentRequest(customer_id=customer_id)
        return await self.stubs.context.GetConsent(asked, timeout=timeout_s)

    async def serves(self, *, timeout_s: float = 1.0) -> bool:
        """Tell whether the service says that it serves; one that cannot be reached does not."""
        check = cast(Any, self._channels[0]).unary_unary(HEALTH)
        try:
            return bool(await check(b"", timeout=timeout_s) == SERVING)
        except grpc.aio.AioRpcError:
            return False


def _channel(how: Connecting) -> grpc.aio.Channel:
    if how.tls is None:
        return grpc.aio.insecure_channel(how.place.address, options=how.options)
    return grpc.aio.secure_channel(how.place.address, how.tls.credentials(), options=how.options)
