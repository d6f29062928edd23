"""Our whole logic in process, without store and gRPC: `ours logic|decide STRATEGY MODEL`.

`logic` is the steps of the engine from see to answer: unpacking what is known, all rules, all scores, arbitration, the
independent check, packing the entry of the log, and the words and reasons of the answer. `decide` is the same within
`service.decide.Decider`, as the service runs it, which also draws its dice, names the decision, counts it and calls a
store. What a customer did and agreed to comes as the same bytes as from the real store; the one here is in memory, and
a commit takes the first candidate of each placement.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

import msgspec

from benchmarks.peers.programs.answering import answer_when_told
from benchmarks.peers.programs.asked import Asked
from benchmarks.population import Happened, Population
from models import folds, states
from models.artifacts import load_folded
from models.features import FeatureSpace
from service.core.decision import Commit, Committed, Decision, Known, Request
from service.core.engine import Engine
from service.core.loader import load_strategy
from service.core.strategy import Strategy
from service.decide import Decider
from service.rpc.values import scalar_of
from service.store.keys import fresh_decision_id

CUSTOMERS = 256
NOW_MS = 1_793_491_200_000
DECISION_ID = "0" * 26
WAITS_S = 10.0  # nothing is waited for; less than a few milliseconds would be answered without deciding


class NotDecided(Exception):
    """An answer was no full decision: the message says which."""


class InMemory:
    """A store that holds what it was given, and keeps nothing of what it is told but what a customer was told last."""

    def __init__(self, known: dict[str, Known]) -> None:
        self.known = known

    def decision_id(self, customer: str, idempotency_key: str, entropy: bytes) -> str:
        """Name a decision as the real store does."""
        return fresh_decision_id(customer, entropy)

    async def read(self, customer: str, decision_id: str | None, deadline_s: float, idempotency_key: str = "") -> Known:
        """Return what is known of a customer."""
        return self.known[customer]

    async def commit(self, commit: Commit, deadline_s: float) -> Committed:
        """Take the first candidate of each placement."""
        return taken(commit)


class Remembering(InMemory):
    """The same, which counts what it takes, so that customers are known with uses of their caps."""

    async def commit(self, commit: Commit, deadline_s: float) -> Committed:
        """Take the first candidate of each placement and count it."""
        known = self.known[commit.customer]
        used = {counter.key for placed in commit.candidates for counter in (placed[0][1] if placed else ())}
        counters = {**known.counters, **dict.fromkeys(used, (commit.now_ms - 1000,))}
        self.known[commit.customer] = msgspec.structs.replace(known, counters=counters)
        return await super().commit(commit, deadline_s)


def customers(strategy: Strategy, population: Population) -> dict[str, Known]:
    """Return what the store would hold of each customer and their consent allows to be known."""
    allowed = {level.id: {purpose.group for purpose in level.purposes} for level in strategy.levels}
    lowest = strategy.levels[0].id
    found = {}
    for customer, groups in _folded(strategy, population.events()).items():
        level = population.level(customer)
        may = allowed[level or lowest]
        packed = {letter: states.packed(kept) for letter, kept in groups.items() if letter in may}
        found[customer] = Known(population.now_ms, level, (), packed, {})
    return found


def _folded(strategy: Strategy, events: Iterable[Happened]) -> dict[str, dict[str, dict[int, folds.State]]]:
    folding = folds.Folding(strategy.schema)
    found: dict[str, dict[str, dict[int, folds.State]]] = defaultdict(lambda: defaultdict(dict))
    for event in events:
        for one in folding.operations(event.type, event.attributes):
            kept = found[event.customer][one.group]
            kept[one.key] = folds.apply(kept.get(one.key), one, event.at_ms)
    return found


def requests(strategy: Strategy, population: Population, number: int) -> list[Request]:
    """Return what is asked about them, as the edge hands it on."""
    fields, index = strategy.schema.fields, strategy.schema.index
    return [
        Request(
            message.customer_id,
            message.channel,
            tuple(message.placements),
            {index[field]: scalar_of(value, fields[index[field]].bounds) for field, value in message.context.items()},
        )
        for message in population.requests(number)
    ]


class Ours:
    """One engine and so many customers, about each of whom one thing is asked."""

    def __init__(self, strategy: Path, model: Path, number: int = CUSTOMERS) -> None:
        self.strategy = load_strategy(strategy)
        self._space = FeatureSpace.of(self.strategy.schema, self.strategy.features)
        self.engine = Engine(self.strategy, load_folded(model, self._space))
        population = Population.of(number, NOW_MS)
        self.requests = requests(self.strategy, population, number)
        self._known = customers(self.strategy, population)

    def asked(self) -> Asked:
        """Return the same customers as rows, for the peers."""
        seen = [self.engine.see(self._known[request.customer], request) for request in self.requests]
        rows = [tuple(map(float, self._space.encode(one.values, one.now_ms))) for one in seen]
        return Asked(self._space.columns, tuple(rows), tuple(action.id for action in self.strategy.actions))

    async def known(self) -> dict[str, Known]:
        """Return what is known of customers each of whom was told something before."""
        remembering = Remembering(dict(self._known))
        before = self.decider(remembering)
        for request in self.requests:
            await before.decide(request, WAITS_S)
        return remembering.known

    def decider(self, store: InMemory, entropy: Callable[[int], bytes] = os.urandom) -> Decider:
        """Return what decides over a store."""
        return Decider(self.engine, store, entropy, lambda: NOW_MS)

    def logic(self, known: Known, request: Request, draw: float) -> Decision:
        """Take the steps of the engine, from see to answer."""
        engine = self.engine
        snapshot = engine.see(known, request)
        judged = engine.judge(snapshot, known, request)
        scores = engine.score(snapshot, judged, request)
        planned = engine.arbitrate(DECISION_ID, request, snapshot, judged, scores, (draw,))
        checked = engine.check(planned, snapshot, judged.verdicts.vetoes)
        commit = engine.commit(checked.entry, request, known.now_ms, request.customer, known.consent, known.memory)
        return engine.answer(taken(commit), checked.entry)

    def seen(self, decisions: Iterable[Decision]) -> dict[str, object]:
        """Look at decisions and tell what they were; raise `NotDecided` for one that is none."""
        kinds, actions = Counter[str](), set[str]()
        for decision in decisions:
            if decision.degraded or not decision.model or not all(answer.reasons for answer in decision.answers):
                raise NotDecided(f"degraded, without a model or without a reason: {decision}")
            for answer in decision.answers:
                kinds[answer.kind or "suppression"] += 1
                actions.add(answer.action)
        return {"distinct": len(actions - {""}), "kinds": dict(kinds)}


def taken(commit: Commit) -> Committed:
    """Take the first candidate of each placement."""
    chosen = tuple([0 if candidates else -1 for candidates in commit.candidates])
    return Committed(commit.entry, commit.digest, chosen, (), repeated=False)


async def answering(ours: Ours, how: str) -> Callable[[int], Decision]:
    """Return what answers the request of a number, at once."""
    known = await ours.known()
    if how == "logic":
        asked = [(known[request.customer], request) for request in ours.requests]
        dice = Random(7)
        draws = [dice.random() for _ in asked]
        return lambda number: ours.logic(*asked[number], draws[number])
    decider = ours.decider(InMemory(known))

    def decide(number: int) -> Decision:
        deciding = decider.decide(ours.requests[number], WAITS_S)
        try:
            deciding.send(None)
        except StopIteration as ended:
            return ended.value  # type: ignore[no-any-return]  # what a coroutine returns is not typed here
        raise NotDecided("a decision waited for something, and there is nothing to wait for")

    return decide


async def _run(how: str, strategy: Path, model: Path) -> None:
    ours = Ours(strategy, model)
    answer = await answering(ours, how)
    answer_when_told(answer, len(ours.requests), ours.seen(map(answer, range(len(ours.requests)))))


def main(how: str, *folders: str) -> None:
    """Look at every answer once, and answer when told."""
    asyncio.run(_run(how, *map(Path, folders)))


if __name__ == "__main__":
    main(*sys.argv[1:])
