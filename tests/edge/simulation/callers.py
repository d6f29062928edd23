"""Those who call the service: they ask, tell and withdraw, repeat what was not answered, and hang up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from models import folds
from service.core.decision import Decision, Request
from service.core.records import ConsentRecord, EventToFold, OutcomeRecord
from service.core.validity import Validity
from tests.edge.simulation.backing import EPOCH_MS
from tests.edge.simulation.history import Call, History
from tests.edge.simulation.loop import VirtualLoop
from tests.edge.simulation.process import Process
from tests.edge.simulation.strategy import OFFERS

ATTEMPTS = 4
TELLS_WITHIN_S = 1.0
ASKS_WITHIN_S = 1.0
DECIDES_WITHIN_S = (0.1, 0.1, 0.3, 1.0)
AT_ONCE_S = 1e-3
"""How long it may take in virtual time until a call that was cancelled has ended: it takes none."""
SHOWN, ACCEPTED, REFUSED, NEVER = 1, 3, 4, 6
MOST_EVENTS = 14

Do = Callable[[Process], Awaitable[dict[str, Any]]]


class Street:
    """Where callers meet the processes; `running` are the calls under way, by process."""

    def __init__(self, loop: VirtualLoop, history: History, processes: dict[str, Process], rng: Random) -> None:
        self.loop = loop
        self.history = history
        self.processes = processes
        self.rng = rng
        self.running: dict[str, list[tuple[Call, asyncio.Task[dict[str, Any]]]]] = {name: [] for name in processes}
        self.said: list[tuple[str, str, str]] = []
        self.numbers: dict[str, int] = {}

    async def call(self, kind: str, process: str, told: dict[str, Any], do: Do, hangs_up_s: float = 0.0) -> Call:
        """Call one process and note what came of it; hang up after a while where that is said."""
        call = Call(kind, process, self.loop.now, told)
        self.history.calls.append(call)
        task = self.loop.create_task(_done(do(self.processes[process])))
        under_way, running = (call, task), self.running[process]
        running.append(under_way)
        await asyncio.wait([task], timeout=hangs_up_s or None)
        if not task.done():
            await self._hung_up(call, task)
        running.remove(under_way)
        call.ended = self.loop.now
        if task.cancelled():
            call.failed = "cancelled"
        elif (error := task.exception()) is not None:
            call.failed = type(error).__name__
        else:
            call.answer = task.result()
        return call

    async def _hung_up(self, call: Call, task: asyncio.Task[dict[str, Any]]) -> None:
        call.left = True
        task.cancel()
        await asyncio.wait([task], timeout=AT_ONCE_S)
        if not task.done():
            self.history.broken.append(f"a cancelled {call.kind} goes on")
            await asyncio.wait([task])
        elif not task.cancelled():
            self.history.broken.append(f"a cancelled {call.kind} was not cancelled: {task.exception()!r}")

    async def repeated(self, kind: str, told: dict[str, Any], do: Do) -> None:
        """Call until there is an answer, a few times, any process."""
        for attempt in range(ATTEMPTS):
            call = await self.call(kind, self.any_process(), {**told, "attempt": attempt}, do, self.hangs_up_s())
            if call.acked:
                return
            await asyncio.sleep(self.rng.choice((0.001, 0.05, 0.5)))

    def any_process(self) -> str:
        """Return one of the processes."""
        return self.rng.choice(tuple(self.processes))

    def hangs_up_s(self) -> float:
        """Return after how long a caller hangs up; 0 for mostly not at all."""
        return self.rng.choice((0.0005, 0.002, 0.05)) if self.rng.random() < 0.1 else 0.0

    def crash(self, name: str, fresh: Process) -> None:
        """End a process as kill -9 does, and start another in its place."""
        for call, task in self.running[name]:
            call.left = True
            task.cancel()
        died, self.processes[name] = self.processes[name], fresh
        self.loop.create_task(_closed(died))


async def _done(awaitable: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    return await awaitable


async def _closed(process: Process) -> None:
    closing = process.close()
    assert isinstance(closing, Awaitable)
    await closing


async def decides(street: Street, customer: str, key: str, email: bool, wish: str, repeats: int) -> None:
    """Ask what to say, and where there is a key and no answer ask again."""
    within_s = street.rng.choice(DECIDES_WITHIN_S)
    channel, placements = ("email", ("body",)) if email else ("web", ("greeting", "hero"))

    async def do(process: Process) -> dict[str, Any]:
        context = {process.decider.engine.strategy.schema.index["present.wish"]: wish}
        request = Request(customer, channel, placements, context, False, key)
        return decided(await process.decider.decide(request, within_s))

    for _ in range(repeats):
        told = {"customer": customer, "key": key, "within_s": within_s, "email": email}
        call = await street.call("decide", street.any_process(), told, do, street.hangs_up_s())
        if call.answer is not None and call.answer["id"]:
            street.said += [(call.answer["id"], customer, action) for action in call.answer["said"] if action]
            if street.rng.random() < 0.7:
                break
        await asyncio.sleep(street.rng.choice((0.0, 0.001, 0.05)))


async def asks(street: Street, process: str, customer: str) -> Call:
    """Ask one process, with time enough, and stay until it answers."""
    told = {"customer": customer, "key": "", "within_s": ASKS_WITHIN_S, "email": False}

    async def do(process: Process) -> dict[str, Any]:
        request = Request(customer, "web", ("greeting", "hero"), {})
        return decided(await process.decider.decide(request, ASKS_WITHIN_S))

    return await street.call("decide", process, told, do)


def decided(decision: Decision) -> dict[str, Any]:
    """Return of a decision what is checked."""
    return {
        "id": decision.decision_id,
        "at_ms": decision.at_ms,
        "said": [answer.action for answer in decision.answers],
        "kinds": [answer.kind for answer in decision.answers],
        "texts": [answer.text for answer in decision.answers],
        "degraded": [int(reason.code) for reason in decision.degraded],
    }


async def buys(street: Street, customer: str, owner: str) -> None:
    """Tell that something was bought: each purchase has an amount of its own, so that sums show which were counted."""
    number = street.numbers.get(owner, 0)
    if number >= MOST_EVENTS:
        return
    street.numbers[owner] = number + 1
    at_ms = EPOCH_MS - street.rng.randrange(1, 3_600_000)
    told = {"customer": customer, "owner": owner, "number": number, "at_ms": at_ms}

    async def do(process: Process) -> dict[str, Any]:
        schema = process.decider.engine.strategy.schema
        operations = folds.operations(schema, "bought", {"amount": float(4**number)})
        events = [EventToFold(f"{owner}-{number}", at_ms, operations)]
        async with asyncio.timeout(TELLS_WITHIN_S):
            (fate,) = await process.store.events.fold(customer, events, TELLS_WITHIN_S)
        return {"fate": int(fate)}

    await street.repeated("event", told, do)


async def agrees(street: Street, customer: str, level: str, given: bool) -> None:
    """Tell what a customer agrees to from now on; one caller does that for a customer, one thing after the other."""
    given_ms = EPOCH_MS + int(street.loop.now * 1000) if given else 0
    told = {"customer": customer, "level": level, "given_ms": given_ms}

    async def do(process: Process) -> dict[str, Any]:
        record = ConsentRecord(level, ("email",) if level == "full" else (), given_ms, "sim")
        async with asyncio.timeout(TELLS_WITHIN_S):
            kept = await process.store.consents.set_consent(customer, record, TELLS_WITHIN_S)
        return {"level": kept.level}

    await street.repeated("consent", told, do)


async def answers(street: Street) -> None:
    """Tell what came of something that was said."""
    if not street.said:
        return
    decision, customer, action = street.rng.choice(street.said)
    offered = action in OFFERS
    kind = street.rng.choice((SHOWN, ACCEPTED, REFUSED, REFUSED, NEVER) if offered else (SHOWN,))
    told = {"customer": customer, "decision": decision, "action": action, "kind": kind}

    async def do(process: Process) -> dict[str, Any]:
        outcome = OutcomeRecord(decision, action, kind, None, 0.0)
        async with asyncio.timeout(TELLS_WITHIN_S):
            status = await process.warehouse.outcomes.record_outcome(outcome, TELLS_WITHIN_S)
        return {"status": int(status)}

    await street.repeated("outcome", told, do)


async def validates(street: Street) -> None:
    """Ask whether what was decided may still be said."""
    if not street.said:
        return
    decision, customer, action = street.rng.choice(street.said)

    async def do(process: Process) -> dict[str, Any]:
        async with asyncio.timeout(TELLS_WITHIN_S):
            return judged(await process.validator.validate(decision, None, TELLS_WITHIN_S))

    await street.repeated("validate", {"customer": customer, "decision": decision, "action": action}, do)


def judged(validity: Validity) -> dict[str, Any]:
    """Return of a judgement what is checked."""
    return {"forbidden": [one.action for one in validity.placements if one.reasons]}
