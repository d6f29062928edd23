"""The switches as one process sees them: set at once in every bucket, finished where somebody died half way."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle
from typing import Protocol

from service.core.audit import NOBODY, Who
from service.core.control import EVERYTHING, Off, Switches
from service.core.memory import Switched
from service.store.calls import StoreUnreadable
from service.store.switches import UNREADABLE

log = logging.getLogger(__name__)

LOOKED_AT = 16
"""How many buckets are compared with each look: all of them within about a minute."""
EVERYTHING_OFF = Switches(sys.maxsize, 0, (Off(EVERYTHING, 0, UNREADABLE, ""),))
"""What holds while nobody can tell what does; nothing that is read is newer."""
LOST = "It was found switched off; why is not known any more."


class Store(Protocol):
    """Keeps what is switched off. Raises StoreError when the store fails."""

    async def listed(self, deadline_s: float | None = None) -> Switches:
        """Return what the master copy says; raise StoreUnreadable when it cannot be read."""
        ...

    async def set(
        self, action: str, details: tuple[str, str] | None, deadline_s: float | None = None, who: Who = NOBODY
    ) -> tuple[Switches, bool]:
        """Switch something off (with why and by whom) or on in the master copy, and note who.

        Return all, and whether it changed; raise TooManySwitches.
        """
        ...

    async def restore(self, switches: Switches, deadline_s: float | None = None) -> None:
        """Put back what the master copy has lost, beside what it alone knows."""
        ...

    async def spread(self, switches: Switches, deadline_s: float | None = None) -> Switches:
        """Write every bucket's copy and note it in the master; return the newest version that was found."""
        ...

    async def compare(self, switches: Switches, buckets: Iterable[int], deadline_s: float | None = None) -> Switches:
        """Write the copies of some buckets where they are older; return the newest version that was found."""
        ...


class Switching:
    """Knows what is switched off, for answers that the store has no part in, and sees that every bucket says it.

    `buckets` is how many there are; `clock()` gives now in milliseconds.
    """

    def __init__(self, store: Store, buckets: int, clock: Callable[[], int]) -> None:
        self.known = Switches()
        self._unreadable = False
        self._store = store
        self._clock = clock
        self._buckets = buckets
        self._next: Iterator[int] = cycle(range(buckets))

    @property
    def told(self) -> Switches:
        """What was known last; everything while the master copy cannot be read."""
        return EVERYTHING_OFF if self._unreadable else self.known

    @property
    def off(self) -> Switched:
        """What `told` says, as decisions look at it."""
        return self.told.switched

    @property
    def version(self) -> int:
        """How new that is."""
        return self.told.version

    async def set(
        self, action: str, details: tuple[str, str] | None, deadline_s: float | None = None, who: Who = NOBODY
    ) -> tuple[Switches, bool]:
        """Switch something off (with why and by whom) or on, for every process; return all, and whether it changed.

        When this returns, every bucket says so: no decision that is committed later says what is off. When it
        fails, the switch may hold already, or come to hold within seconds: repeat it.
        """
        await self._found(deadline_s)
        switches, changed = await self._store.set(action, details, deadline_s, who)
        if self._lacks(switches):  # the store lost what it had in between
            switches = await self._found(deadline_s)
        return await self._spread(switches, deadline_s), changed

    async def listed(self, deadline_s: float | None = None) -> Switches:
        """Return all that is switched off, as the store says, after putting back what it has lost."""
        await self._found(deadline_s)
        return self.known

    async def look(self, *, anew: bool) -> None:
        """Read what is off, and finish what is not in every bucket yet; `anew` doubts all of it, as after a restart."""
        anew = anew or self._unreadable
        listed = await self._found(None)
        if listed.spread < listed.version:
            await self._spread(listed, None)
        elif anew or listed.version:
            some = range(self._buckets) if anew else [next(self._next) for _ in range(LOOKED_AT)]
            await self._settled(await self._store.compare(listed, some), None)

    async def _found(self, deadline_s: float | None) -> Switches:
        """Return what the master says, after putting back what it has lost."""
        listed = await self._listed(deadline_s)
        if self._lacks(listed):
            log.warning("the store has lost what was switched off; it is put back")
            await self._store.restore(self.known, deadline_s)
            listed = await self._listed(deadline_s)
        self._learn(listed)
        return listed

    async def _listed(self, deadline_s: float | None) -> Switches:
        """Return what the master says; while it cannot be read, everything is off."""
        try:
            listed = await self._store.listed(deadline_s)
        except StoreUnreadable as error:
            if not self._unreadable:
                log.critical("%s", error)
            self._unreadable = True
            raise
        self._unreadable = False
        return listed

    async def _spread(self, switches: Switches, deadline_s: float | None) -> Switches:
        self._learn(switches)
        return await self._settled(await self._store.spread(switches, deadline_s), deadline_s)

    async def _settled(self, newest: Switches, deadline_s: float | None) -> Switches:
        """Go on from what only a bucket knew: the master was told of it meanwhile, or has lost it."""
        while self._is_news(newest):
            self._learn(await self._listed(deadline_s))
            if self._is_news(newest):
                log.warning("the store has lost why something was switched off; it stays off")
                await self._store.restore(self._with(newest), deadline_s)
                self._learn(await self._listed(deadline_s))
            newest = await self._store.spread(self.known, deadline_s)
        return self.known

    def _lacks(self, listed: Switches) -> bool:
        """Tell whether the master is older than what is known, or as new and says something else."""
        if listed.version == self.known.version:
            return listed.switched != self.known.switched
        return listed.version < self.known.version

    def _is_news(self, found: Switches) -> bool:
        if found.version == self.known.version:
            return found.switched != self.known.switched
        return found.version > self.known.version

    def _with(self, found: Switches) -> Switches:
        """Return what was found; together with what is known, where both are as new: what either says is off is off."""
        at_ms, same = self._clock(), found.version == self.known.version
        off = {one.action: Off(one.action, at_ms, LOST, "") for one in found.off}
        off |= {one.action: one for one in self.known.off if same or one.action in off}
        return Switches(found.version + same, 0, tuple(off.values()))

    def _learn(self, switches: Switches) -> None:
        """Go by what is newer; of two that are as new and differ, neither is, until they are put together."""
        if switches.version > self.known.version or not self._lacks(switches):
            self.known = switches
