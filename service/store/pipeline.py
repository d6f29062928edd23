"""One connection to the store: one socket, automatic pipelining, replies that cannot cross calls.

Every call queues its bytes and its reply slot in one place, `Connection._queue`, in one order; the store answers in the
order of the bytes; so the oldest slot owns the next reply. A slot is never taken out of that order: when its caller has
left, its reply is read and thrown away. What the order cannot explain ends the connection and all that wait on it.
docs/decisions/0003-own-connection.md has the reasons and the figures.

    StoreError
    ├── StoreUnavailable     no connection, or lost; whether the command ran is unknown
    │   └── StoreForbidden   the store does not let us in as the URL says: a wrong password, no such database
    ├── StoreTimeout         no reply in time; whether the command ran is unknown
    └── StoreReplied         the store answered this one command with an error
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Protocol, Self, TypeAlias, cast

from hiredis import ProtocolError, PushNotification, Reader, pack_command

from service.errors import StoreError
from service.store.error_prefixes import REFUSALS, Remedy
from service.store.hedging import Hedging, Unhedged

Reply: TypeAlias = Any  # bytes, int, None, StoreReplied (inside a list) or a list of these: only the caller knows which
Argument: TypeAlias = bytes | str | int | float

MAX_REPLY_BYTES = 64 * 1024 * 1024
MAX_WAITING = 10_000  # calls of one connection; more would only wait to time out
HOLD_S = 0.002
MOST_HELD = 6
"""While replies are due, calls are held back until these have come, so that what is asked then leaves with them: under
load one write and one read serve several calls. Not for longer than `HOLD_S` after the write before, nor more than so
many: these leave at once, in the middle of a turn, for the store to work on while those that follow are made.
"""
SILENT_S = 0.03
"""Callers who run out of time tell against the store only when it has been silent for so long: some are in a hurry."""
STALLED_S = 0.015
"""From when on new calls go over another connection, counted from the first look that found nothing heard."""
NUDGED_S = 0.045
"""Nobody decides for longer than that, so what is silent for longer is not nudged any more."""
_INCOMPLETE = object()


class StoreUnavailable(StoreError):
    """There is no connection to the store, or it was lost; the command may have run or not."""


class StoreForbidden(StoreUnavailable):
    """The store does not let us in as the URL says, which time alone does not heal."""


class StoreTimeout(StoreError):
    """The store did not answer in time; the command may have run or not."""


class StoreReplied(StoreError):
    """The store answered one command with an error; `prefix` is its first word, such as WRONGTYPE or OOM.

    `message` is all that the store said and can quote a command with its data; the text of the error ends before the
    first quotation, so that it can be logged.
    """

    def __init__(self, prefix: str, message: str) -> None:
        self.prefix = prefix
        self.message = message
        unquoted = message.replace("`", "'").replace('"', "'").partition("'")[0].strip()
        super().__init__(f"The store refused a command: {prefix} {unquoted}".rstrip())

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        return type(self), (self.prefix, self.message)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what follows the minus sign of a reply."""
        prefix, _, message = text.partition(" ")
        return cls(prefix, message)


class Heeds(Protocol):
    """Hears how a store does: service/store/breaker.py. `failures` is how many there were since it was last well."""

    failures: int

    def failed(self, fault: StoreError) -> None:
        """Hear that it did not answer in time, or cannot be reached."""
        ...

    def well(self) -> None:
        """Hear that it answers."""
        ...


class Heedless:
    """Hears nothing: for a connection that stands alone."""

    failures = 0

    def failed(self, fault: StoreError) -> None:
        """Do nothing."""

    def well(self) -> None:
        """Do nothing."""


def pack(*args: Argument) -> bytes:
    """Return one command as the bytes to send (RESP)."""
    return cast(bytes, pack_command(args))  # type: ignore[arg-type]  # its stub says a tuple of length one


_PING = pack("PING")
_EARLY_S, _BUSY_S = 0.001, 0.002
"""By how much an alarm may ring too early; and how late it rings where our own loop was busy."""


class Connection(asyncio.Protocol):
    """Send commands over one socket and give each its reply, strictly in the order of sending.

    The calls of one turn of the event loop leave in few writes, and so do those that are held back (`MOST_HELD`).
    `timeout_s` is the longest silence allowed: a command without a reply for so long ends the connection.
    """

    heeds: Heeds = Heedless()
    hedging: Hedging | Unhedged = Unhedged()

    def __init__(self, *, timeout_s: float = 1.0, max_reply_bytes: int = MAX_REPLY_BYTES) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout_s = timeout_s
        self._max_reply_bytes = max_reply_bytes
        self._reader = Reader(replyError=StoreReplied.parse, notEnoughData=_INCOMPLETE)
        self._transport: asyncio.Transport | None = None
        self._outbox: list[bytes] = []
        self._leaving = False
        self._left_at = 0.0
        self._letting_go: asyncio.TimerHandle | None = None
        self._slots: deque[tuple[asyncio.Future[Reply], float, float, bytes]] = deque()
        """Whom to answer, when that is due, from when on the connection is doubtful, and what was asked."""
        self.stalled = False
        self._listens, self._quiet_since = False, 0.0
        self._looked_at = 0.0
        self._nobody: asyncio.Future[Reply] = self._loop.create_future()
        self._nobody.cancel()
        self._unread = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        self._fault: StoreError | None = StoreUnavailable("The connection to the store is not open.")
        self._gone = self._loop.create_future()

    @property
    def open(self) -> bool:
        """Whether calls can be sent."""
        return self._fault is None

    def shares(self, heeds: Heeds, hedging: Hedging) -> None:
        """Tell from now on how the store does, and have late reads asked again: what all connections of it share."""
        self.heeds, self.hedging = heeds, hedging
        if self._alarm is not None:
            self._set_alarm(min(self._alarm_at, self._loop.time() + hedging.late_s))

    async def execute(self, *args: Argument, deadline_s: float | None = None) -> Reply:
        """Send one command and wait for its reply, `deadline_s` seconds at most; raise a `StoreError`."""
        return await self.call(pack(*args), deadline_s)

    def call(self, packed: bytes, deadline_s: float | None = None) -> asyncio.Future[Reply]:
        """Send one packed command; the future has its reply, or a `StoreError` after `deadline_s` seconds at most.

        A caller may cancel the future. The command is sent even so.
        """
        answer = self._loop.create_future()
        now = self._loop.time()
        doubtful = now + self._timeout_s
        due = doubtful if deadline_s is None or deadline_s > self._timeout_s else now + deadline_s
        if self._fault is not None:
            answer.set_exception(type(self._fault)(*self._fault.args))
        elif due <= now:
            answer.set_exception(StoreTimeout("No time was left to ask the store."))
        elif len(self._slots) >= MAX_WAITING:
            answer.set_exception(StoreUnavailable(f"{MAX_WAITING} calls wait for the store already."))
        else:
            self._queue(packed, answer, due, doubtful)
        return answer

    async def close(self) -> None:
        """End the connection; calls that still wait fail with `StoreUnavailable`."""
        self.drop(StoreUnavailable("The connection to the store was closed."))
        if self._transport is not None:
            await asyncio.shield(self._gone)

    def _queue(self, packed: bytes, answer: asyncio.Future[Reply], due: float, doubtful: float) -> None:
        self._outbox.append(packed)
        self._slots.append((answer, due, doubtful, packed))
        held, now = len(self._outbox), doubtful - self._timeout_s
        if held >= MOST_HELD:
            self._flush()
        elif not self._leaving:
            if held == len(self._slots) or now - self._left_at > HOLD_S:
                self._leave_soon()
            elif self._letting_go is None:
                self._letting_go = self._loop.call_at(self._left_at + HOLD_S, self._let_go)
        if self._alarm is None:
            self._set_alarm(min(due, now + self.hedging.late_s))
        elif due < self._alarm_at:
            self._set_alarm(due)

    def _leave_soon(self) -> None:
        self._leaving = True
        self._loop.call_soon(self._flush)

    def _let_go(self) -> None:
        """Send what neither a reply nor a call has let go in time; one look serves all writes of `HOLD_S`."""
        self._letting_go = None
        if self._outbox and not self._leaving:
            due = self._left_at + HOLD_S  # as the timer was asked for; a difference, rounded, may never be due
            if self._loop.time() >= due:
                self._flush()
            else:
                self._letting_go = self._loop.call_at(due, self._let_go)

    def _flush(self) -> None:
        self._leaving = False
        if not self._outbox:
            return
        self._left_at = self._loop.time()
        if self._fault is None and self._transport is not None:
            self._transport.write(b"".join(self._outbox))
        self.hedging.calls += len(self._outbox)
        self._outbox.clear()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take calls from now on."""
        self._transport = cast(asyncio.Transport, transport)
        self._fault = None

    def data_received(self, data: bytes) -> None:
        """Give each complete reply to the oldest slot."""
        if self._fault is not None:
            return
        if self.heeds.failures:
            self.heeds.well()
        if self._listens:
            self._heard()
        self._unread += len(data)
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not _INCOMPLETE:
                self._unread = 0
                self._answer(reply)
        except (ProtocolError, IndexError):
            self.drop(StoreUnavailable("The store sent what is no reply to any call; the connection was dropped."))
            return
        if self._outbox and not self._leaving and len(self._outbox) == len(self._slots):
            self._leave_soon()  # behind those whom these replies woke up: what they ask goes along
        self._unread = self._unread or self._reader.len()
        if self._unread > self._max_reply_bytes:
            self.drop(StoreUnavailable(f"A reply of the store exceeds {self._max_reply_bytes} bytes."))

    def _answer(self, reply: Reply) -> None:
        if type(reply) is PushNotification:
            raise ProtocolError("nobody asked for notifications")
        answer = self._slots.popleft()[0]
        if type(reply) is StoreReplied:
            self._refused(answer, reply)
        elif not answer.done():  # else the caller has left; the slot kept its place in the order
            answer.set_result(reply)

    def _refused(self, answer: asyncio.Future[Reply], error: StoreReplied) -> None:
        """Tell a caller what the store refused; leave a server that is not, or not any more, the one to write to."""
        if not answer.done():
            answer.set_exception(error)
        if REFUSALS.note(error.prefix, error.message) is Remedy.RECONNECT:
            self.drop(StoreUnavailable(f"The store does not serve us any more ({error.prefix})."))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail every call that waits."""
        if self._fault is None:
            self.heeds.failed(StoreUnavailable("The connection to the store was lost."))
        self.drop(StoreUnavailable("The connection to the store was lost."))
        if not self._gone.done():
            self._gone.set_result(None)

    def drop(self, fault: StoreError) -> None:
        """End the connection at once and fail every call that waits; whatever comes later is not read."""
        if self._fault is None:
            self._fault = fault
        if self._transport is not None:
            self._transport.abort()
        for timer in (self._alarm, self._letting_go):
            if timer is not None:
                timer.cancel()
        self._alarm = self._letting_go = None
        while self._slots:
            answer = self._slots.popleft()[0]
            if not answer.done():
                answer.set_exception(type(fault)(*fault.args))

    def _set_alarm(self, at: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = self._loop.call_at(at, self._ring)

    def _ring(self) -> None:
        """Fail the calls that are due; drop the connection when its oldest command has been silent too long."""
        self._alarm, now = None, self._loop.time()
        self.hedging.listen(now)
        if not self._listens:
            self._listens, self._quiet_since = True, now
        if not self._slots:
            return
        next_due, silence_s = self._slots[0][2], self._silence_s(now)
        if next_due <= now:
            fault = StoreTimeout(f"The store has not answered for {self._timeout_s * 1000:.0f} ms.")
            self.heeds.failed(fault)
            self.drop(fault)
            return
        for answer, due, _, _ in self._slots:
            if answer.done():
                continue
            if due <= now:
                fault = StoreTimeout("The store did not answer in the time that was left.")
                answer.set_exception(fault)
                if min(silence_s, now - self.hedging.quiet_since) >= SILENT_S:
                    self.heeds.failed(fault)
            else:
                next_due = min(next_due, due)
        late_s = self.hedging.late_s - _EARLY_S
        if silence_s >= late_s and now - self._alarm_at < _BUSY_S:  # else it was our loop that was late
            self.stalled = min(silence_s, now - self._quiet_since) >= STALLED_S
            self._help(now, late_s, silence_s)
        self._set_alarm(min(next_due, now + self.hedging.late_s))

    def _heard(self) -> None:
        """Hear from the store again."""
        self._listens = self.stalled = False
        self.hedging.heard(self._silence_s(self._loop.time()) if self._slots else 0.0)

    def _silence_s(self, now: float) -> float:
        """Return how long the oldest command has waited."""
        return now - self._slots[0][2] + self._timeout_s

    def _help(self, now: float, late_s: float, silence_s: float) -> None:
        """Ask reads that are late again elsewhere, and have what was lost on the way noticed.

        What follows a lost packet is what makes either side send it again at once: a PING costs less than the 200 ms
        that they wait otherwise.
        """
        late = now - late_s + self._timeout_s
        for answer, due, doubtful, packed in self._slots:
            if doubtful > late:
                break
            if doubtful > self._looked_at and not answer.done():
                self.hedging.ask_again(self, answer, packed, due - now)
        self._looked_at = late
        if silence_s < NUDGED_S and not self._outbox and self._transport is not None:
            self._slots.append((self._nobody, now + self._timeout_s, now + self._timeout_s, _PING))
            self._transport.write(_PING)
