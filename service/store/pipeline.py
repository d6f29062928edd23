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
from typing import Any, Self, TypeAlias, cast

from hiredis import ProtocolError, PushNotification, Reader, pack_command

from service.errors import StoreError

Reply: TypeAlias = Any  # bytes, int, None, StoreReplied (inside a list) or a list of these: only the caller knows which
Argument: TypeAlias = bytes | str | int | float

MAX_REPLY_BYTES = 64 * 1024 * 1024
MAX_WAITING = 10_000  # calls of one connection; more would only wait to time out
HOLD_S = 0.002
MOST_HELD = 32
"""While replies are due, calls are held back until these have come, so that what is asked then leaves with them: under
load one write and one read serve several calls. Not for longer than `HOLD_S` after the write before, nor more than so
many.
"""
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

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what follows the minus sign of a reply."""
        prefix, _, message = text.partition(" ")
        return cls(prefix, message)


def pack(*args: Argument) -> bytes:
    """Return one command as the bytes to send (RESP)."""
    return cast(bytes, pack_command(args))  # type: ignore[arg-type]  # its stub says a tuple of length one


class Connection(asyncio.Protocol):
    """Send commands over one socket and give each its reply, strictly in the order of sending.

    All calls of one turn of the event loop leave in one write, and so do those that are held back (`HOLD_S`).
    `timeout_s` is the longest silence allowed: a command without a reply for so long ends the connection.
    """

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
        self._slots: deque[tuple[asyncio.Future[Reply], float, float]] = deque()  # answer to, due, doubtful from
        self._unread = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        self._fault: StoreError | None = StoreUnavailable("The connection to the store is not open.")
        self._gone = self._loop.create_future()

    @property
    def open(self) -> bool:
        """Whether calls can be sent."""
        return self._fault is None

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
        self._slots.append((answer, due, doubtful))
        held, now = len(self._outbox), doubtful - self._timeout_s
        if not self._leaving:
            if held == len(self._slots) or held >= MOST_HELD or now - self._left_at > HOLD_S:
                self._leave_soon()
            elif self._letting_go is None:
                self._letting_go = self._loop.call_at(self._left_at + HOLD_S, self._let_go)
        if self._alarm is None or due < self._alarm_at:
            self._set_alarm(due)

    def _leave_soon(self) -> None:
        self._leaving = True
        self._loop.call_soon(self._flush)

    def _let_go(self) -> None:
        """Send what neither a reply nor a call has let go in time; one look serves all writes of `HOLD_S`."""
        self._letting_go = None
        if self._outbox and not self._leaving:
            if self._loop.time() - self._left_at >= HOLD_S:
                self._flush()
            else:
                self._letting_go = self._loop.call_at(self._left_at + HOLD_S, self._let_go)

    def _flush(self) -> None:
        self._leaving, self._left_at = False, self._loop.time()
        if self._fault is None and self._transport is not None:
            self._transport.write(b"".join(self._outbox))
        self._outbox.clear()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take calls from now on."""
        self._transport = cast(asyncio.Transport, transport)
        self._fault = None

    def data_received(self, data: bytes) -> None:
        """Give each complete reply to the oldest slot."""
        if self._fault is not None:
            return
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
        if answer.done():
            return  # the caller has left; the slot kept its place in the order
        if type(reply) is StoreReplied:
            answer.set_exception(reply)
        else:
            answer.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail every call that waits."""
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
        self._alarm = None
        now = self._loop.time()
        if not self._slots:
            return
        if self._slots[0][2] <= now:
            self.drop(StoreTimeout(f"The store has not answered for {self._timeout_s * 1000:.0f} ms."))
            return
        next_due = self._slots[0][2]
        for answer, due, _ in self._slots:
            if answer.done():
                continue
            if due <= now:
                answer.set_exception(StoreTimeout("The store did not answer in the time that was left."))
            else:
                next_due = min(next_due, due)
        self._set_alarm(next_due)
