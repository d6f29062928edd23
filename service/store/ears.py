"""The ears of a process: one line to the store for all who listen, and what the store has noted where that was cut.

Notes come by the line, each with the number of the one before it. Where one is missing, after the line was cut, and
every `LISTENED_EVERY_S` seconds for everybody, what stands in the store is read: a line may lose what it likes.
It is a way of `Ears` of service/watching_people.py; docs/decisions/0053-hearing.md has the reasons and the figures.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Protocol
from urllib.parse import unquote

from service.core.records import Person
from service.errors import StoreError
from service.store import keys
from service.store.calls import StoreUnreadable
from service.store.heard import HeardStore, Noted, common_of, notes_of
from service.store.line import Line, Opens
from service.store.listening import NOTHING_MISSED, SKEW_MS, Ear, Listener
from service.watching_people import ERASED, IDENTITY, SUPPLY, UNKNOWN, Heard

log = logging.getLogger(__name__)

LISTENED_EVERY_S = 15.0
"""How often the store is told that somebody still listens, and asked whether anything was missed."""
PATIENCE_S = 1.0
PAUSE_S = 0.2
READ_AT_ONCE = 64
_MOST_MOVES = 8


class People(Protocol):
    """Knows which ids are one person's."""

    async def person(self, customer: str, deadline_s: float | None = None) -> Person:
        """Return who a customer is, with all aliases."""
        ...


class StoreEars:
    """Listens to the store for all watches of a process. Nothing is asked of it before somebody does."""

    def __init__(self, opens: Opens, store: HeardStore, every_s: float = LISTENED_EVERY_S) -> None:
        self._store, self._every_s = store, every_s
        self._line = Line(opens, self._said, self._read_anew)
        self._people: People | None = None
        self._restocked: Callable[[str, str], Awaitable[None]] | None = None
        self._anew: Callable[[], Awaitable[None]] | None = None
        self._ears: dict[bytes, Ear] = {}
        self._listeners: set[Listener] = set()
        self._renewing: asyncio.Task[None] | None = None
        self._at_work: set[asyncio.Task[None]] = set()
        self._reading: set[Ear] = set()
        self._restock: dict[str, Heard] = {}
        self._restocking = False

    def follow(
        self,
        people: People,
        restocked: Callable[[str, str], Awaitable[None]] | None = None,
        anew: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Ask these who is who from now on. `restocked` is awaited with an item and a place before it is told of, and
        `anew`, which renews all of them, before it is told that anything may have changed: after an outage.
        """
        self._people, self._restocked, self._anew = people, restocked, anew

    async def listen(self, customer: str, since: int | None = None, deadline_s: float | None = None) -> Listener:
        """Listen for the person behind an id from now on; see `Ears.listen`."""
        listener = Listener(customer, self._left)
        listener.seq = since or 0
        self._listeners.add(listener)
        try:
            async with asyncio.timeout(PATIENCE_S if deadline_s is None else deadline_s):
                await self._line.hear(keys.heard_channel(), PATIENCE_S)
                listener.begin(since, await self._settled(listener, since))
        except TimeoutError:
            listener.close()
            raise StoreError("The store did not say in time what it has noted of the customer.") from None
        except BaseException:
            listener.close()
            raise
        if self._renewing is None:
            self._renewing = asyncio.get_running_loop().create_task(self._renew())
        return listener

    def announce(self, kind: str, name: str = "", one: str = "", at_ms: int = 0) -> None:
        """Tell all who listen here what concerns everybody."""
        for listener in tuple(self._listeners):
            listener.take(Heard(0, kind, name, one, at_ms))

    async def close(self) -> None:
        """Let all who wait go, and hear nothing any more."""
        for listener in tuple(self._listeners):
            listener.close()
        tasks = [*self._at_work, *((self._renewing,) if self._renewing else ())]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._line.close()

    async def _settled(self, listener: Listener, since: int | None) -> dict[str, Noted]:
        """Listen for all ids of the person, and return what is noted of each; until then others may be linked."""
        found = {listener.asked: await self._joined(listener, listener.asked, since)}
        if not found[listener.asked].linked or self._people is None:
            self._keep_only(listener, listener.asked, found)
            return found
        known = since if since is None else max(0, since - SKEW_MS)
        for _ in range(_MOST_MOVES):
            person = await self._people.person(listener.asked)
            new = [one for one in person.identities if one not in found]
            found |= {one: await self._joined(listener, one, known) for one in new}
            if not new:
                if known is not None:
                    found[listener.asked] = await self._store.listen(listener.asked, known, 0)
                found = {one: found[one] for one in person.identities}
                self._keep_only(listener, person.id, found)
                return found
        raise StoreError("The identities of a customer do not settle.")

    async def _joined(self, listener: Listener, customer: str, known: int | None) -> Noted:
        """Listen for one id, and return what is noted of it after the number that is known."""
        ear, joins = self._ear(customer), customer not in listener.known
        if joins:
            ear.listeners.add(listener)
            listener.known[customer] = None
        await self._line.hear(ear.channel, PATIENCE_S)
        wanted = min(NOTHING_MISSED if one is None else one for one in (known, ear.last))
        noted = await self._store.listen(customer, wanted, listener.seq)
        self._take(ear, noted)
        if joins:
            listener.knows(customer, noted.last)
        return noted

    def _ear(self, customer: str) -> Ear:
        channel = keys.heard_key(customer)
        ear = self._ears.get(channel)
        if ear is None:
            ear = self._ears[channel] = Ear(customer, channel)
        return ear

    def _keep_only(self, listener: Listener, person: str, ids: Iterable[str]) -> None:
        listener.person = person
        for gone in listener.known.keys() - set(ids):
            del listener.known[gone]
            self._leave(listener, gone)

    def _left(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        for customer in listener.known:
            self._leave(listener, customer)

    def _leave(self, listener: Listener, customer: str) -> None:
        ear = self._ears.get(keys.heard_key(customer))
        if ear is not None:
            ear.listeners.discard(listener)
            if not ear.listeners:
                del self._ears[ear.channel]
                self._line.leave(ear.channel)

    def _said(self, channel: bytes, message: bytes) -> None:
        """Hand on what the line brought; read what it did not bring."""
        try:
            ear = self._ears.get(channel)
            if ear is not None:
                self._noted(ear, message)
            elif channel == keys.heard_channel():
                self._common(common_of(message))
        except StoreUnreadable as error:
            log.warning("%s", error)

    def _noted(self, ear: Ear, message: bytes) -> None:
        for note in notes_of(message):
            number = note.heard.seq
            ear.told = max(ear.told, number)
            if ear.last is None:
                ear.hear(note.heard)  # those who are joining keep it aside
            elif note.before > ear.last:
                self._read_soon(ear)
                return
            elif number > ear.last:
                ear.last = number
                self._hear(ear, note.heard)

    def _hear(self, ear: Ear, heard: Heard) -> None:
        if heard.kind == IDENTITY:
            for listener in tuple(ear.listeners):
                self._move(listener, heard)
        else:
            ear.hear(heard)

    def _take(self, ear: Ear, noted: Noted) -> None:
        """Hand on what was read and is not known yet."""
        if noted.erased:
            for listener in tuple(ear.listeners):
                listener.take(Heard(listener.seq, ERASED, "", "", 0))
            return
        if ear.last is None:
            ear.last, ear.linked, ear.told = noted.last, noted.linked, noted.last
            return
        new = [note.heard for note in noted.notes if note.heard.seq > ear.last]
        if new:
            ear.read = new[-1].seq
        if noted.dropped > ear.last:
            new = [Heard(noted.last, UNKNOWN, "", "", 0)]
        elif noted.linked != ear.linked and not any(one.kind == IDENTITY for one in new):
            new.append(Heard(noted.last, IDENTITY, "", "", 0))
        ear.linked, ear.last = noted.linked, max(ear.last, noted.last)
        for one in new:
            self._hear(ear, one)

    def _move(self, listener: Listener, heard: Heard) -> None:
        """Listen for all ids that are the person's from now on, and then tell that there are others."""
        listener.moves += 1
        if listener.moving is None and not listener.closed:
            listener.moving = self._work(self._moved(listener, heard))

    async def _moved(self, listener: Listener, heard: Heard) -> None:
        moves, last = 0, heard.seq
        while moves != listener.moves:
            moves = listener.moves
            try:
                found = await self._settled(listener, None)
            except StoreError:
                moves = 0
                await asyncio.sleep(PAUSE_S)
            else:
                last = max((last, *(one.last for one in found.values())))
        listener.moving = None
        listener.take(Heard(last, IDENTITY, "", "", heard.at_ms))

    def _common(self, heard: Heard) -> None:
        if heard.kind != SUPPLY or self._restocked is None:
            self.announce(heard.kind, heard.name, heard.id, heard.at_ms)
        elif self._listeners:
            self._restock[heard.name] = heard
            if not self._restocking:
                self._restocking = True
                self._work(self._supplied(self._restocked))

    async def _supplied(self, restocked: Callable[[str, str], Awaitable[None]]) -> None:
        """Tell of supplies when this process knows what there is of them, for by that it is decided."""
        while self._restock:
            name, heard = next(iter(self._restock.items()))
            item, _, place = name.partition("@")
            try:
                await restocked(unquote(item), unquote(place))
            except StoreError as error:
                log.warning("what there is of a supply was not read anew: %s", type(error).__name__)
            if self._restock[name] is heard:
                del self._restock[name]
                self.announce(heard.kind, heard.name, heard.id, heard.at_ms)
        self._restocking = False

    def _read_soon(self, ear: Ear) -> None:
        if ear not in self._reading:
            self._reading.add(ear)
            self._work(self._read_once(ear))

    async def _read_once(self, ear: Ear) -> None:
        try:
            await self._read(ear)
        finally:
            self._reading.discard(ear)

    async def _read(self, ear: Ear) -> bool:
        """Read what is noted of one id; False where the store fails, and whoever asks may ask again."""
        if ear.last is None or not ear.listeners:
            return True
        try:
            self._take(ear, await self._store.listen(ear.customer, ear.last, 0, PATIENCE_S))
        except StoreError:
            return False
        return True

    async def _read_anew(self) -> None:
        """Read all that the line may have lost. Of what concerns everybody nothing is noted: whoever listens looks."""
        await asyncio.gather(self._read_all(), self._tell_anew())

    async def _tell_anew(self) -> None:
        try:
            if self._anew is not None:
                await self._anew()
        except StoreError as error:
            log.warning("what there is of supplies was not read anew: %s", type(error).__name__)
        self.announce(UNKNOWN)

    async def _read_all(self) -> None:
        """Read what all ids have noted, until that is known: after an outage."""
        waiting = list(self._ears.values())
        while waiting:
            some, waiting = waiting[:READ_AT_ONCE], waiting[READ_AT_ONCE:]
            done = await asyncio.gather(*map(self._read, some))
            failed = [ear for ear, read in zip(some, done, strict=True) if not read]
            waiting += failed
            if failed:
                await asyncio.sleep(PAUSE_S)

    async def _renew(self) -> None:
        """Tell the store again and again for whom somebody listens, spread over time, and read what the line lost."""
        while True:
            ears = tuple(self._ears.values())
            for ear in ears:
                await asyncio.sleep(self._every_s / len(ears))
                if ear.read > ear.told:
                    self._line.doubt()
                ear.read = 0
                self._read_soon(ear)
            if not ears:
                await asyncio.sleep(self._every_s)

    def _work(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)
        return task
