"""One watch step by step, with the store's voice and the engine's answers played by the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from models.context import Purpose
from service.core.decision import Answer, Decision, Request
from service.core.standing import LOST, material
from service.core.strategy import ConsentLevel
from service.errors import StoreError
from service.listening import TRIES, Asked, Kind, Serving, Told, Watch
from service.standing import Look, Said
from service.watch_cursor import Cursor
from service.watching_people import CONSENT, DECISION, EVENT, SWITCH, UNKNOWN, Heard

LEVEL, NONE = ConsentLevel("full", ".", tuple(Purpose)), ConsentLevel("none", ".", ())
REQUEST = Request("anna", "desk", ("offer",), {})


def answer(action: str) -> Answer:
    """Return an answer that says an action."""
    return Answer("offer", action, "message", action, (), 0.0, 0.0, ())


@dataclass
class Ears:
    """What the store says, as the test lets it."""

    said: asyncio.Queue[tuple[Heard, ...]] = field(default_factory=asyncio.Queue)
    person: str = "anna"
    seq: int = 1
    missed: tuple[Heard, ...] | None = ()

    async def listen(self, customer: str, since: int | None = None, deadline_s: float | None = None) -> Ears:
        """Listen."""
        return self

    async def wait(self) -> tuple[Heard, ...]:
        """Wait for what the test says."""
        heard = await self.said.get()
        self.seq = max(self.seq, *(one.seq for one in heard))
        return heard

    def close(self) -> None:
        """Listen no longer."""

    def says(self, seq: int, at_ms: int) -> None:
        """Say that an event was written."""
        self.said.put_nowait((Heard(seq, EVENT, "ticket.opened", f"e{seq}", at_ms),))


@dataclass
class Engine:
    """Answers `says`, and decides `decides` where that is another thing; `now_ms` is the moment of a look."""

    says: str = "hello"
    decides: str = ""
    now_ms: int = 100
    away: bool = False
    again_ms: int | None = None
    level: ConsentLevel = LEVEL
    recalled: Said | None = None
    looks: int = 0
    keys: list[str] = field(default_factory=list)
    taken_back: list[str] = field(default_factory=list)

    def dice(self, request: Request) -> tuple[float, ...]:
        """Draw."""
        return (0.5,)

    async def look(self, request: Request, said: Said | None, dice: tuple[float, ...], deadline_s: float) -> Look:
        """Look."""
        self.looks += 1
        if self.away:
            raise StoreError("away")
        return Look((answer(self.says),), {}, self.level, self.again_ms, frozenset(), self.now_ms, (), "anna")

    async def decide(self, request: Request, dice: tuple[float, ...], deadline_s: float) -> Decision:
        """Decide."""
        self.keys.append(request.idempotency_key)
        name = "" if self.away else f"d{len(self.keys)}"
        says = "safe" if self.away else self.decides or self.says
        return Decision(name, (answer(says),), "s", "", self.now_ms)

    def said(self, request: Request, decision: Decision, dice: tuple[float, ...], look: Look | None) -> Said:
        """Keep."""
        return Said(decision, dice)

    def safe(self, request: Request) -> Decision:
        """Answer without a store."""
        return Decision("", (answer("safe"),), "s", "", 0)

    async def recall(self, request: Request, deadline_s: float) -> Said | None:
        """Recall the first."""
        return self.recalled if request.idempotency_key.endswith(".1") else None

    async def take_back(self, holds: object, household: str, deadline_s: float) -> None:
        """Take back."""
        self.taken_back.append("")


@dataclass
class World:
    """A watch of the two."""

    ears: Ears
    engine: Engine
    messages: AsyncGenerator[Told, None]

    async def next(self) -> Told:
        """Return what is told next, soon."""
        async with asyncio.timeout(5.0):
            return await anext(self.messages)

    async def quiet(self, seconds: float = 0.1) -> None:
        """See that nothing is told for a while."""
        told = asyncio.ensure_future(anext(self.messages))
        done, _ = await asyncio.wait((told,), timeout=seconds)
        assert not done, told
        told.cancel()
        await asyncio.wait((told,))


@asynccontextmanager
async def watched(
    engine: Engine | None = None, heartbeat_s: float = 15.0, cursor: Cursor | None = None, spread_s: float = 0.0
) -> AsyncIterator[World]:
    """Begin a watch."""

    @asynccontextmanager
    async def turn() -> AsyncIterator[float]:
        yield 1.0

    ears, engine = Ears(), engine or Engine()
    found: Any = engine
    serving = Serving(lambda: (found, REQUEST), turn, lambda: None, lambda: spread_s)
    messages = Watch(ears, Asked("w" * 24, cursor, heartbeat_s=heartbeat_s), serving).told()
    try:
        yield World(ears, engine, messages)
    finally:
        await messages.aclose()


async def test_what_changes_nothing_is_not_told() -> None:
    """An event after which the same would be said makes no message, and no decision."""
    async with watched() as world:
        assert (await world.next()).kind is Kind.ANSWER
        world.ears.says(2, at_ms=200)
        await world.quiet()
        assert world.engine.keys == [f"{'w' * 24}.1"]
        assert world.engine.looks == 2


async def test_a_cause_that_is_heard_late_is_told_all_the_same() -> None:
    """A look sees what an event did before the event is heard: the answer comes first, and then its cause."""
    async with watched() as world:
        await world.next()
        world.engine.says, world.engine.now_ms = "ticket", 300
        world.ears.says(2, at_ms=200)
        assert [cause.id for cause in (await world.next()).causes] == ["e2"]
        world.ears.says(3, at_ms=299)
        late = await world.next()
        assert (late.kind, [cause.id for cause in late.causes]) == (Kind.UNCHANGED, ["e3"])


async def test_what_comes_out_otherwise_is_decided_a_few_times_and_then_stands() -> None:
    """A race that is always lost, as for the last unit, ends: what was decided stands until something is heard."""
    async with watched(Engine(says="offer", decides="nothing")) as world:
        first = await world.next()
        assert first.decision is not None
        assert first.decision.answers[0].action == "nothing"
        assert len(world.engine.keys) == TRIES
        world.ears.says(2, at_ms=900)
        await world.quiet()
        assert len(world.engine.keys) == TRIES


async def test_a_store_that_is_away_gives_the_safe_answer_and_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be known: the safe answer is told; when the store is back the full one follows by itself."""
    monkeypatch.setattr("service.listening.AGAIN_S", 0.05)
    async with watched() as world:
        await world.next()
        world.engine.away = True
        world.ears.says(2, at_ms=200)
        safe = await world.next()
        assert safe.decision is not None
        assert safe.decision.answers[0].action == "safe"
        world.engine.away = False
        back = await world.next()
        assert back.decision is not None
        assert back.decision.answers[0].action == "hello"


async def test_a_watch_that_looks_too_often_waits() -> None:
    """A flood of events is looked at twenty times a second at most, after ten at once."""
    async with watched() as world:
        await world.next()
        for number in range(2, 42):
            world.ears.says(number, at_ms=200)
        await world.quiet(0.5)
        assert 10 <= world.engine.looks - 1 <= 25


async def test_silence_is_broken_by_heartbeats_that_go_on_from() -> None:
    """Where nothing is heard a heartbeat comes in time, with a cursor behind all that was heard."""
    async with watched(heartbeat_s=0.1) as world:
        await world.next()
        world.ears.says(7, at_ms=200)
        beat = await world.next()
        assert (beat.kind, beat.seq) == (Kind.HEARTBEAT, 7)
        assert "-1-7-" in beat.cursor


@pytest.mark.parametrize(("decision", "looks"), [("d1", 1), ("another", 2)])
async def test_what_a_watch_decided_itself_is_no_news_to_it(decision: str, looks: int) -> None:
    """Its own decision is heard as everybody's are, and makes it look no second time; another's does."""
    async with watched() as world:
        await world.next()
        world.ears.said.put_nowait((Heard(2, DECISION, "hello", decision, 200),))
        await world.quiet()
        assert world.engine.looks == looks


async def test_what_stands_is_not_lost_while_the_store_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """One look that fails is not told. Longer, the safe answer is; then the same decision again, not another one."""
    monkeypatch.setattr("service.listening.AGAIN_S", 0.1)
    async with watched() as world:
        first = await world.next()
        world.engine.away = True
        world.ears.says(2, at_ms=200)
        told = asyncio.ensure_future(world.next())
        await asyncio.sleep(0.05)
        world.engine.away = False
        await asyncio.sleep(0.2)
        assert world.engine.looks == 3
        assert not told.done()
        world.engine.away = True
        world.ears.says(3, at_ms=300)
        safe = await told
        assert first.decision is not None
        assert safe.decision is not None
        assert (safe.decision.decision_id, safe.level) == ("", None)
        world.engine.away = False
        again = await world.next()
        assert again.decision is not None
        assert again.decision.decision_id == first.decision.decision_id
        assert [cause.id for cause in again.causes] == ["e3"]
        assert (len(world.engine.keys), world.engine.taken_back) == (1, [])


async def test_a_consent_is_withdrawn_though_the_first_look_fails() -> None:
    """The look after it fails: from then on nothing is named, and what it withdraws is told when the store is back."""
    async with watched() as world:
        await world.next()
        world.engine.away = True
        world.ears.said.put_nowait((Heard(2, CONSENT, "none", "", 200),))
        assert (await world.next()).level is None
        world.engine.away, world.engine.says, world.engine.level = False, "nobody", NONE
        gone = await world.next()
        assert (gone.kind, gone.level) == (Kind.WITHDRAWN, NONE)
        assert [one.reasons for one in gone.withdrawn] == [(LOST,)]
        assert [cause.kind for cause in gone.causes] == [CONSENT]
        assert (await world.next()).kind is Kind.ANSWER


def resumed(level: ConsentLevel | None = LEVEL, told: str = "hello") -> tuple[Engine, Cursor]:
    """Return what goes on with the first answer of a watch, as it was told and as it reads now."""
    said = Said(Decision("d1", (answer("hello"),), "s", "", 100), (0.5,), level=level)
    return Engine(recalled=said), Cursor("w" * 24, 1, 1, material((answer(told),)))


async def test_who_goes_on_is_told_of_no_lost_consent_where_none_was_lost() -> None:
    """Another thing is worth more by now: the answer comes alone, with a cause though none is known."""
    engine, cursor = resumed()
    engine.says = "ticket"
    async with watched(engine, cursor=cursor) as world:
        told = await world.next()
        assert (told.kind, [cause.kind for cause in told.causes]) == (Kind.ANSWER, [UNKNOWN])


@pytest.mark.parametrize(("told", "says"), [("hello", "ticket"), ("hello anna", "hello")])
async def test_who_goes_on_is_told_of_a_lost_consent(told: str, says: str) -> None:
    """The consent was withdrawn meanwhile: also where the same action stays, in other words than were told."""
    engine, cursor = resumed(told=told)
    engine.says, engine.level = says, NONE
    async with watched(engine, cursor=cursor) as world:
        gone = await world.next()
        assert [one.reasons for one in gone.withdrawn] == [(LOST,)]
        assert (await world.next()).kind is Kind.ANSWER


async def test_what_concerns_one_customer_waits_for_no_common_cause() -> None:
    """All watches look again within a minute; an event of this customer is looked at now, with the common cause."""
    async with watched(spread_s=60.0) as world:
        await world.next()
        world.ears.said.put_nowait((Heard(0, SWITCH, "new-phone", "", 150),))
        told = asyncio.ensure_future(world.next())
        await asyncio.sleep(0.05)
        world.engine.says = "ticket"
        world.ears.says(2, at_ms=200)
        assert [cause.kind for cause in (await told).causes] == [SWITCH, EVENT]
