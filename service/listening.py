"""Listening: one customer's answer, looked at again whenever something is heard that may change it.

    watch = Watch(ears, asked, serving, turn)
    async for told in watch.told(): …      # the answer, what is withdrawn, and each answer that follows

A watch is numbered through: each answer is decided under a key of the watch's name and its number, so that whoever goes
on with it elsewhere is answered what was decided and not heard, and nothing counts twice.
docs/decisions/0054-watch.md has the reasons and the figures.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from enum import IntEnum
from math import inf
from random import random

from msgspec import Struct
from msgspec.structs import replace

from service.core.decision import Decision, Request
from service.core.standing import Withdrawn, lost, material, withdrawn
from service.core.stock import Shelf
from service.core.strategy import ConsentLevel
from service.core.validity import ERASED as GONE
from service.errors import CustomerErased, StoreError
from service.standing import Look, Said, Standing
from service.watch_cursor import NOTHING_TOLD, Cursor
from service.watch_mattering import Mattering
from service.watching_people import CONSENT, ERASED, IDENTITY, TIME, UNKNOWN, Ears, Heard, Listening

SOON_S, AGAIN_S = 0.1, 1.0
"""How long after the store did not answer it is asked again, at first and from then on."""
LEAST_S = 0.02
"""How long passes at least until time alone is a reason to look."""
BURST, A_SECOND = 10.0, 20.0
"""How many looks a watch may take at once, and a second: what is written faster than that is looked at together."""
TRIES = 3
"""How often an answer is decided that came out otherwise than it was looked at, as in a race for the last unit."""
TOLD = 16
"""How many causes are told."""
OWED = 64
"""How many causes are kept that were heard while the store did not tell what follows from them."""
SOMETHING = Heard(0, UNKNOWN, "", "", 0)
ALWAYS_TOLD = frozenset({CONSENT, IDENTITY, ERASED, UNKNOWN})


class Kind(IntEnum):
    """What is told; the numbers are those of the public contract."""

    ANSWER = 1
    WITHDRAWN = 2
    UNCHANGED = 3
    HEARTBEAT = 4


class Told(Struct, frozen=True):
    """One thing that is told to who watches. `level` is the consent level of now, unset where it is not known."""

    kind: Kind
    seq: int
    cursor: str
    decision: Decision | None = None
    withdrawn: tuple[Withdrawn, ...] = ()
    causes: tuple[Heard, ...] = ()
    more: int = 0
    level: ConsentLevel | None = None


class Asked(Struct, frozen=True):
    """How it is to be watched: the name under which answers are decided, where to go on, and what is told besides."""

    name: str
    cursor: Cursor | None = None
    heartbeat_s: float = 15.0
    every_cause: bool = False


class Serving(Struct, frozen=True):
    """What a watch needs of the service, which may change while it goes on.

    `now` gives what looks after answers under the version in force, and the question in its words; `turn` waits for the
    turn to work and gives the seconds that one call of the store may take. `still` raises where the watch has to end.
    `spread_s` is over how long all watches may take their looks that something makes necessary for all of them.
    """

    now: Callable[[], tuple[Standing, Request]]
    turn: Callable[[], AbstractAsyncContextManager[float]]
    still: Callable[[], None]
    spread_s: Callable[[], float]


class Watch:
    """One watch, for one stream. `nudge` makes it look whether it may go on."""

    def __init__(self, ears: Ears, asked: Asked, serving: Serving) -> None:
        self._ears, self._asked, self._serving = ears, asked, serving
        cursor = asked.cursor
        self._number, self._seq = (cursor.number, cursor.seq) if cursor else (0, 0)
        self._told = self._stands = cursor.told if cursor else NOTHING_TOLD
        self._said: Said | None = None
        self._look: Look | None = None
        self._shelves: frozenset[Shelf] | None = None
        self._level: ConsentLevel | None = None
        self._agreed: ConsentLevel | None = None
        self._reworded = False
        self._failed = 0
        self._owed: tuple[Heard, ...] = ()
        self._otherwise: tuple[Heard, ...] = ()
        self._dice: tuple[float, ...] = ()
        self._mattering = Mattering()
        self._paid_s = 0.0
        self._due_s, self._beat_s, self._known_ms = inf, inf, 0
        self._over = False
        self._pause: asyncio.Timeout | None = None
        self._listening: Listening

    def nudge(self) -> None:
        """Make it see soon whether it may go on."""
        if self._pause is not None:
            with suppress(RuntimeError):  # it is just ending its pause
                self._pause.reschedule(asyncio.get_running_loop().time())

    async def told(self) -> AsyncGenerator[Told, None]:
        """Tell the answer, or where the watch goes on what changed since; then each change, until the caller leaves.

        Raises `StoreError` where the store cannot be listened to, and what `still` raises.
        """
        _, request = self._serving.now()
        async with self._serving.turn() as deadline_s:
            since = self._asked.cursor.seq if self._asked.cursor else None
            self._listening = await self._ears.listen(request.customer, since, deadline_s)
        try:
            causes: tuple[Heard, ...] | None = await self._begin()
            while True:
                if causes is None:
                    yield self._tell(Kind.HEARTBEAT)
                else:
                    causes, self._owed = (*self._owed, *causes), ()
                    if (told := await self._withdraw(causes)) is not None:
                        yield told
                    told = await self._settle(causes)
                    self._keep_little()
                    if told is not None:
                        yield told
                        del told  # it would stay as long as nothing happens
                    elif self._beat_s == inf:  # who goes on hears at once that nothing changed
                        yield self._tell(Kind.HEARTBEAT)
                causes = None if self._is_over() else await self._heard()
                if self._is_over():
                    return
        finally:
            self._listening.close()

    async def _begin(self) -> tuple[Heard, ...]:
        """Find the last answer where the watch goes on, also one that was never heard; return what was missed."""
        listening, cursor = self._listening, self._asked.cursor
        self._seq = max(self._seq, listening.seq)
        standing, request = self._serving.now()
        if cursor is None:
            self._dice = standing.dice(request)
            return ()
        async with self._serving.turn() as deadline_s:
            self._said = await standing.recall(self._keyed(request), deadline_s)
            while (later := await standing.recall(self._keyed(request, self._number + 1), deadline_s)) is not None:
                self._number, self._said, self._stands = self._number + 1, later, material(later.decision.answers)
                self._told = NOTHING_TOLD
        self._dice = self._said.dice if self._said else standing.dice(request)
        if self._said:
            self._mattering.own(self._said.decision.decision_id)
            self._agreed = self._said.level
            self._reworded = material(self._said.decision.answers) != self._stands
        missed, self._otherwise = listening.missed, (SOMETHING,)
        return (SOMETHING,) if missed is None else self._mattering.of(missed, None)

    async def _heard(self) -> tuple[Heard, ...] | None:
        """Wait until there is a reason to look, and return it; nothing in it stands for time, None for a heartbeat."""
        now_s = asyncio.get_running_loop().time
        self._otherwise = ()
        while True:
            self._serving.still()
            try:
                async with asyncio.timeout_at(min(self._due_s, self._beat_s)) as self._pause:
                    heard = await self._listening.wait()
            except TimeoutError:
                if now_s() >= self._due_s:
                    self._otherwise = (Heard(0, TIME, "", "", 0),)
                    return ()
                if now_s() >= self._beat_s:
                    return None
                continue
            finally:
                self._pause = None
            self._seq = max(self._seq, self._listening.seq)
            if not heard:
                self._serving.still()
                self._over = True
                return ()
            if found := self._mattering.of(heard, self._shelves):
                found = await self._in_turn(found)
                await self._paced()
                return found

    async def _in_turn(self, causes: tuple[Heard, ...]) -> tuple[Heard, ...]:
        """Wait where all watches have the same cause, each for another time; return what was heard meanwhile, too.

        What concerns this customer alone waits for nobody.
        """
        now_s = asyncio.get_running_loop().time
        until_s = now_s() + random() * self._serving.spread_s()  # noqa: S311 - spreads work, hides nothing
        while all(one.seq == 0 for one in causes) and now_s() < until_s and not self._over:
            try:
                async with asyncio.timeout_at(until_s) as self._pause:
                    heard = await self._listening.wait()
            except TimeoutError:
                self._serving.still()
                continue
            finally:
                self._pause = None
            self._seq = max(self._seq, self._listening.seq)
            self._over = not heard
            causes = (*causes, *self._mattering.of(heard, self._shelves))
        return causes

    async def _paced(self) -> None:
        """Wait where this watch looks too often."""
        now_s = asyncio.get_running_loop().time()
        self._paid_s = max(self._paid_s, now_s) + 1 / A_SECOND
        if (wait_s := self._paid_s - now_s - BURST / A_SECOND) > 0:
            await asyncio.sleep(wait_s)

    async def _withdraw(self, causes: tuple[Heard, ...]) -> Told | None:
        """Look what would be said now; return what may not be said any more, before anything is decided."""
        standing, request = self._serving.now()
        gone: tuple[Withdrawn, ...] = ()
        said, before, self._look = self._said, self._agreed, None
        answers = said.decision.answers if said else ()
        try:
            look = self._look = await self._looked(standing, request)
            self._level = self._agreed = look.level
            self._failed = 0
            self._due_in(inf if look.again_ms is None else look.again_ms / 1000)
            if self._reworded and material(look.answers) != self._stands:
                answers = tuple(replace(one, text="") for one in answers)  # in which words it was told is not known
            consent_lost = bool(lost(before, look.level))
            gone = withdrawn(answers, look.answers, look.against, consent_lost=consent_lost) if said else ()
        except CustomerErased:
            self._over, self._level = True, None
            gone = tuple(Withdrawn(one.placement, one.action, (GONE,)) for one in answers if one.action)
        except StoreError:
            self._failed, self._level = self._failed + 1, None
            self._due_in(SOON_S if self._failed == 1 else AGAIN_S)
        if not gone:
            return None
        self._told = NOTHING_TOLD
        return self._tell(Kind.WITHDRAWN, causes or self._otherwise, withdrawn=gone)

    async def _looked(self, standing: Standing, request: Request) -> Look:
        async with self._serving.turn() as deadline_s:
            return await standing.look(request, self._said, self._dice, deadline_s)

    async def _settle(self, causes: tuple[Heard, ...]) -> Told | None:
        """Decide anew where another thing would be said; return the answer where it is another one than was told."""
        if self._look is None and not self._over:
            return self._unknown(causes)
        if self._look is None:
            await self._decide(None)
        elif self._said is None or material(self._look.answers) != self._stands:
            await self._supersede()
        if self._stands != self._told and self._said is not None:
            self._told, self._known_ms = self._stands, self._look.now_ms if self._look else 0
            return self._tell(Kind.ANSWER, causes or self._otherwise, decision=self._whole(self._said.decision))
        # What was written before the look that the answer is from, and heard after it, may be why it changed.
        if any(one.kind in ALWAYS_TOLD or (one.seq > 0 and one.at_ms <= self._known_ms) for one in causes):
            return self._tell(Kind.UNCHANGED, causes)
        return self._tell(Kind.UNCHANGED, causes) if causes and self._asked.every_cause else None

    def _whole(self, decision: Decision) -> Decision:
        """Return a decision with its reasons, which are not kept, where the look says the same."""
        if self._look is None or [(one.action, one.text) for one in decision.answers] != [
            (one.action, one.text) for one in self._look.answers
        ]:
            return decision
        return replace(decision, answers=self._look.answers)

    def _unknown(self, causes: tuple[Heard, ...]) -> Told | None:
        """Tell the safe answer where the store does not tell what may be said, the second time in turn.

        What stands keeps what it holds: when the store is back it is told again, or withdrawn with these causes.
        """
        self._owed = causes[-OWED:]
        if self._failed == 1 and self._beat_s < inf:
            return None
        standing, request = self._serving.now()
        decision = standing.safe(request)
        if (told := material(decision.answers)) == self._told:
            return None
        self._told, self._known_ms = told, 0
        return self._tell(Kind.ANSWER, causes or self._otherwise, decision=decision)

    async def _supersede(self) -> None:
        """Decide until it comes out as it was looked at, a few times; then it stands as it came out."""
        standing, request = self._serving.now()
        for last in (False,) * (TRIES - 1) + (True,):
            look = self._look
            if look is None:
                return
            if self._said is not None:
                async with self._serving.turn() as deadline_s:
                    await standing.take_back(self._said.holds, look.household, deadline_s)
            await self._decide(look)
            wanted = material(look.answers)
            if self._stands == wanted or self._said is None or not self._said.decision.decision_id:
                return
            if last:
                self._stands = wanted
                return
            with suppress(StoreError, CustomerErased):
                self._look = await self._looked(standing, request)
                if self._stands == material(self._look.answers):
                    return

    async def _decide(self, look: Look | None) -> None:
        standing, request = self._serving.now()
        self._number += 1
        request = self._keyed(request)
        async with self._serving.turn() as deadline_s:
            decision = await standing.decide(request, self._dice, deadline_s)
        self._said = standing.said(request, decision, self._dice, look)
        self._stands = material(decision.answers)
        self._reworded = False
        self._mattering.own(decision.decision_id)

    def _is_over(self) -> bool:
        return self._over

    def _keyed(self, request: Request, number: int | None = None) -> Request:
        return replace(request, idempotency_key=f"{self._asked.name}.{self._number if number is None else number}")

    def _keep_little(self) -> None:
        """Forget what no message needs any more: there may be thousands of watches."""
        self._shelves, self._look = self._look.shelves if self._look else None, None
        if self._said is not None:
            answers = tuple(replace(answer, reasons=()) for answer in self._said.decision.answers)
            self._said = replace(self._said, decision=replace(self._said.decision, answers=answers, explanation=None))

    def _due_in(self, seconds: float) -> None:
        self._due_s = asyncio.get_running_loop().time() + max(LEAST_S, seconds)

    def _tell(
        self,
        kind: Kind,
        causes: tuple[Heard, ...] = (),
        *,
        decision: Decision | None = None,
        withdrawn: tuple[Withdrawn, ...] = (),
    ) -> Told:
        self._beat_s = asyncio.get_running_loop().time() + self._asked.heartbeat_s
        cursor = str(Cursor(self._asked.name, self._number, self._seq, self._told))
        more = max(0, len(causes) - TOLD)
        return Told(kind, self._seq, cursor, decision, withdrawn, causes[more:], more, self._level)
