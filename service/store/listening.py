"""One who listens for one person: by which ids, what was heard of these, and what of it was not handed out yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from service.store.heard import Note, Noted
from service.watching_people import ERASED, UNKNOWN, Heard

MOST_WAITING = 64
"""How much is kept for one who does not ask; of what is older no more is told than that there was something."""
SKEW_MS = 2_000
"""Numbers of a person's several ids may be told in another order than they were given in, by no more than this."""
NOTHING_MISSED = 1 << 60
"""As the number that is known: above every number."""


class Ear:
    """One id that somebody here listens for: the number that was heard last, and for whom.

    `last` is unset before anything is known. `told` is the last number that the line has brought, and `read` the last
    that was read before the line brought it.
    """

    __slots__ = ("channel", "customer", "last", "linked", "listeners", "read", "told")

    def __init__(self, customer: str, channel: bytes) -> None:
        self.customer, self.channel = customer, channel
        self.last: int | None = None
        self.linked = b""
        self.told = self.read = 0
        self.listeners: set[Listener] = set()

    def hear(self, heard: Heard) -> None:
        """Hand something on to all who listen."""
        for listener in tuple(self.listeners):
            listener.hear(self.customer, heard)


class Listener:
    """Listens for the person behind one id, until it is closed. It is a `Listening` of service/watching_people.py.

    `left` is called once when it is closed.
    """

    def __init__(self, customer: str, left: Callable[[Listener], None]) -> None:
        self.asked = self.person = customer
        self.seq = 0
        self.missed: tuple[Heard, ...] | None = ()
        self.known: dict[str, int | None] = {}
        """By id the last number that was heard; unset while that is being found out."""
        self.moving: asyncio.Task[None] | None = None
        self.moves = 0
        """How often the ids of the person changed."""
        self.closed = False
        self._left = left
        self._early: list[tuple[str, Heard]] = []
        self._waiting: list[Heard] = []
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False

    async def wait(self) -> tuple[Heard, ...]:
        """Wait until there is anything new and return all of it; see `Listening.wait`."""
        while not (self._waiting or self._ended or self.closed):
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        heard, self._waiting = tuple(self._waiting), []
        self.seq = max((self.seq, *(one.seq for one in heard)))
        return heard

    def close(self) -> None:
        """Listen no longer; who waits is let go."""
        if not self.closed:
            self.closed = True
            self._waiting.clear()
            if self.moving is not None:
                self.moving.cancel()
            self._wake()
            self._left(self)

    def hear(self, customer: str, heard: Heard) -> None:
        """Take what was written of one of the ids, unless it is known; keep it aside while what is known is not."""
        known = self.known.get(customer, NOTHING_MISSED)
        if known is None:
            self._early.append((customer, heard))
        elif heard.seq > known:
            self.known[customer] = heard.seq
            self.take(heard)

    def take(self, heard: Heard) -> None:
        """Keep what is to be handed out, and let who waits have it."""
        if self.closed or self._ended:
            return
        self._waiting.append(heard)
        if len(self._waiting) > MOST_WAITING:
            gone = self._waiting.pop(0)
            if self._waiting[0].kind not in (ERASED, UNKNOWN):
                self._waiting[0] = Heard(max(gone.seq, self._waiting[0].seq), UNKNOWN, "", "", gone.at_ms)
        self._ended = heard.kind == ERASED
        self._wake()

    def knows(self, customer: str, number: int) -> None:
        """Go on after a number of one of the ids, with what came while it was found out."""
        self.known[customer] = number
        early, self._early = self._early, []
        for one, heard in early:
            self.hear(one, heard)

    def begin(self, since: int | None, found: Mapping[str, Noted]) -> None:
        """Say what was missed, from what each id has noted."""
        self.seq = max(noted.last for noted in found.values())
        if since is not None:
            self.missed = missed_since(since, found.values()) if since <= self.seq else None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def missed_since(since: int, found: Iterable[Noted]) -> tuple[Heard, ...] | None:
    """Return what was written after a number, the oldest first; None where not all of it is known any more."""
    noted = tuple(found)
    if any(one.erased or one.dropped > since for one in noted):
        return None
    after = since if len(noted) == 1 else since - SKEW_MS
    return tuple(sorted(_heard_after(noted, after), key=lambda one: one.seq))


def _heard_after(noted: Iterable[Noted], number: int) -> Iterable[Heard]:
    notes: Iterable[Note] = (note for one in noted for note in one.notes)
    return (note.heard for note in notes if note.heard.seq > number)
