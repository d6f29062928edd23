"""A connection that answers when replicas have what was written, too: WAIT, once for all that was asked meanwhile.

WAIT holds its connection up until the replicas have confirmed everything that was written before it, so neither reads
nor what need not wait goes over such a connection. While one WAIT is under way calls are held back, and leave together
with the next: under load one WAIT serves many. What replicas do not confirm in time may be stored or not, like all that
fails in a store: it is to be repeated, and counts once.

A write that was repeated writes nothing, and yet must not be acknowledged before the first one is safe. Of WAIT that
cannot be had alone: since Redis 7.2, and in Valkey, it is only about what its own connection has written. So something
is written with each WAIT, behind which everything stands that its server has written before.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from service.errors import StoreError
from service.store.cluster_node import ASKING, NOT_RUN, Sent
from service.store.pipeline import Connection, Reply, StoreReplied, StoreTimeout, StoreUnavailable, pack

MOST_HELD = 5_000
MARKED_MS = 60_000
SPARE_S = 0.5
"""How much longer than the replicas may take a server may be silent."""

Held: TypeAlias = tuple[bytes, "asyncio.Future[Reply]", float]
"""A command as it is sent, whom to answer, and until when that is of use, by the loop's clock."""


class StoreUnconfirmed(StoreError):
    """Too few replicas have confirmed what was written: a fail-over could lose it."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What `durable` asks for: how many replicas must have what was written, and how long they may take (ms)."""

    replicas: int = 1
    wait_ms: int = 500

    def connection(self, *, timeout_s: float) -> DurableConnection:
        """Make a connection that acknowledges nothing sooner."""
        return DurableConnection(self, timeout_s=timeout_s)


class DurableConnection(Connection):
    """Send commands over one socket, and answer when `confirmation` says that what they wrote is safe.

    An error of the store is answered as it is.
    """

    def __init__(self, confirmation: Confirmation, *, timeout_s: float = 1.0) -> None:
        super().__init__(timeout_s=max(timeout_s, confirmation.wait_ms / 1000 + SPARE_S))
        self._wanted = confirmation.replicas
        self._wait = pack("WAIT", confirmation.replicas, confirmation.wait_ms)
        self._held: list[Held] = []
        self._confirming = False

    def call(self, packed: bytes, deadline_s: float | None = None) -> asyncio.Future[Reply]:
        """Send one packed command; the future has its reply once that is safe, or a `StoreError`.

        A command whose caller has left, or whose time was over, before it could leave is not sent.
        """
        answer: asyncio.Future[Reply] = self._loop.create_future()
        patience_s = self._timeout_s if deadline_s is None else min(deadline_s, self._timeout_s)
        if patience_s <= 0:
            _expire(answer)
            return answer
        if len(self._held) >= MOST_HELD:
            answer.set_exception(StoreUnavailable(f"{MOST_HELD} writes wait for the store already."))
            return answer
        due = self._loop.time() + patience_s
        self._held.append((packed, answer, due))
        expiry = self._loop.call_at(due, _expire, answer)
        answer.add_done_callback(lambda _: expiry.cancel())
        if not self._confirming:
            self._confirming = True
            self._loop.call_soon(self._leave)
        return answer

    def _leave(self) -> None:
        """Send all that is held, and one WAIT behind it."""
        now = self._loop.time()
        for _, answer, due in self._held:
            if due <= now:
                _expire(answer)
        waiting = [held for held in self._held if not held[1].done()]
        self._held = []
        if not waiting:
            self._confirming = False
            return
        told = [self._ask(packed, packed) for packed, _, _ in waiting]
        self._confirm(waiting, told, waiting[0][0], frozenset())

    def _ask(self, packed: bytes, like: bytes) -> asyncio.Future[Reply]:
        """Send a command; where it is one for keys that are only coming to this server of a cluster, say so before."""
        if _is_coming(like):
            super().call(ASKING).add_done_callback(_heard)
        return super().call(packed)

    def _confirm(
        self, waiting: Sequence[Held], told: Sequence[asyncio.Future[Reply]], by: bytes, tried: frozenset[bytes]
    ) -> None:
        """Have all that was asked confirmed, by a mark beside the keys of one of the commands.

        Any mark on this server does for all: a replica that has it has everything that was written here before.
        """
        marked = self._ask(_mark(by), by)
        confirmed = super().call(self._wait)
        confirmed.add_done_callback(partial(self._settle, waiting, told, tried | {_tag(by)}, marked))

    def _settle(
        self,
        waiting: Sequence[Held],
        told: Sequence[asyncio.Future[Reply]],
        tried: frozenset[bytes],
        marked: asyncio.Future[Reply],
        confirmed: asyncio.Future[Reply],
    ) -> None:
        ran = (held[0] for held, reply in zip(waiting, told, strict=True) if reply.exception() is None)
        if _is_elsewhere(marked) and (by := next((one for one in ran if _tag(one) not in tried), None)) is not None:
            self._confirm(waiting, told, by, tried)  # the slot of the mark is leaving this server of a cluster
            return
        failed = [one for one in (marked, confirmed) if one.exception() is not None]
        safe = not failed and confirmed.result() >= self._wanted
        for (_, answer, _), reply in zip(waiting, told, strict=True):
            _answer(answer, reply, safe=safe)
        self._leave()


def _is_coming(packed: bytes) -> bool:
    return isinstance(packed, Sent) and packed.asking


def _is_elsewhere(marked: asyncio.Future[Reply]) -> bool:
    error = marked.exception()
    return isinstance(error, StoreReplied) and error.prefix in NOT_RUN


def _heard(reply: asyncio.Future[Reply]) -> None:
    """Take note of how an ASKING ended, whatever it was: what it was for tells its own end."""
    if not reply.cancelled():
        reply.exception()


def _tag(packed: bytes) -> bytes:
    """Return what the keys of a command share: what stands in the first braces."""
    return packed.partition(b"{")[2].partition(b"}")[0]


def _mark(packed: bytes) -> bytes:
    """Return a command that writes something where the keys of another one are: in the same slot of a cluster."""
    name = b"tact:{%b}:written" % _tag(packed)
    if _is_coming(packed):  # a key of the same name comes, too, and must not find one there
        name += secrets.token_hex(8).encode()
    return pack("SET", name, "", "PX", MARKED_MS)


def _answer(answer: asyncio.Future[Reply], reply: asyncio.Future[Reply], *, safe: bool) -> None:
    """Pass a reply on if it is safe, and an error in any case."""
    error = reply.exception()
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    elif safe:
        answer.set_result(reply.result())
    else:
        answer.set_exception(StoreUnconfirmed("Too few replicas confirmed a write in time; repeat it."))


def _expire(answer: asyncio.Future[Reply]) -> None:
    if not answer.done():
        answer.set_exception(StoreTimeout("The write was not confirmed in the time that was left."))
