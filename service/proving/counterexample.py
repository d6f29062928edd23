"""Decide a customer that the solver found by the real engine: only what it decides too is a counterexample."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from msgspec import structs

from models.clock import Clock
from models.context import Scalar
from service.core.arbitrate import NO_EXPLORATION
from service.core.cel import Checked, Conditions, Masks, Program, Rows
from service.core.check import Checker
from service.core.decision import Answer, Committed, Known, Reason, Request
from service.core.engine import Engine
from service.core.judge import Veto
from service.core.memory import Switched
from service.core.snapshot import Snapshot
from service.core.strategy import Strategy
from service.proving.keeping import Keeping
from service.proving.questions import Customer, Decided
from service.proving.world import comes_in

Real = Callable[[Decided], bool]


class Court:
    """Decides customers under one strategy, by its priors, and tells the truth of conditions about them."""

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        self._engine = Engine(strategy, None)
        self._checker = Checker(strategy)
        self._keeping = Keeping(strategy)
        self._levels = {level.id: level for level in strategy.levels}
        self._index = {action.id: action.index for action in strategy.actions}
        self._placements = {channel.id: channel.placements for channel in strategy.channels}
        self._treated = {channel.id: _treated(strategy, channel.id) for channel in strategy.channels}
        clock = Clock.of(strategy.schema)
        self._told = frozenset(clock.tells) if clock else frozenset()
        self._compiled = lru_cache(maxsize=1_024)(self._compile)

    def decisions(self, customer: Customer, action: str = "") -> Iterator[Decided]:
        """Yield the decision about what the engine sees of a customer in what a store would keep, and then, where that
        is something else, about the values as they are; none about what the service lets nobody be. For an action also
        what is answered if all others are off.
        """
        known, request, snapshot = self._see(customer)
        if not (self._comes_in(customer.values) and self._comes_in(snapshot.values)):
            return
        seen = replace(customer, values=snapshot.values)
        yield self._decide(seen, snapshot, known, request, action, seen=True)
        if seen != customer:
            plain = structs.replace(snapshot, values=customer.values)
            yield self._decide(customer, plain, known, request, action, seen=False)

    def plainest(self, decided: Decided, real: Real, action: str = "") -> Decided:
        """Return a decision that is as real as this one, about a customer of whom as little as possible is known."""
        for index, value in enumerate(decided.customer.values):
            if value is None or index in self._told:
                continue
            values = decided.customer.values
            fewer = replace(decided.customer, values=(*values[:index], None, *values[index + 1 :]))
            found = next(self.decisions(fewer, action), None)
            if found is None:
                continue
            if found.seen == decided.seen and found.customer.values[index] is None and real(found):
                decided = found
        return decided

    def truth(self, condition: Checked, customer: Customer, action: str = "") -> bool | None:
        """Return what the compiled condition says of a customer, and of an action where it asks about one."""
        found = self._compiled(condition)(customer.values, customer.now_ms)
        if not condition.attributes:
            return None if found[0] is None else bool(found[0])
        bit = 1 << self._index[action]
        holds, fails = (found[0] or 0) & bit, (found[1] or 0) & bit
        return True if holds else False if fails else None

    def _comes_in(self, values: Sequence[Scalar | None]) -> bool:
        schema = self.strategy.schema
        return all(comes_in(schema, field, value) for field, value in zip(schema.fields, values, strict=True))

    def _compile(self, condition: Checked) -> Conditions:
        program = Program()
        masks = Masks(program, Rows.of(self.strategy.actions))
        terms = masks.add(condition.node) if condition.attributes else (program.add(condition.node),)
        return program.compile(terms, self.strategy.schema)

    def _see(self, customer: Customer) -> tuple[Known, Request, Snapshot]:
        known, request, stocks = self._keeping.kept(customer, self._placements[customer.channel])
        return known, request, self._engine.see(known, request, stocks)

    def _decide(
        self, customer: Customer, snapshot: Snapshot, known: Known, request: Request, action: str, seen: bool
    ) -> Decided:
        engine, treated = self._engine, self._treated[customer.channel]
        judged = engine.judge(snapshot, known, request)
        objections = self._checker.objections(treated.values(), snapshot, customer.channel)
        may = {
            placement: frozenset(a for i, a in treated.items() if survivors >> i & 1 and a not in objections)
            for placement, survivors in zip(request.placements, judged.survivors, strict=True)
        }
        held = {a: _reasons(judged.verdicts.vetoes, i) for i, a in treated.items()}
        told = self._answers(snapshot, known, request)
        alone = self._alone(snapshot, known, request, action) if action else ()
        return Decided(customer, may, held, told, alone, seen, objections)

    def _alone(self, snapshot: Snapshot, known: Known, request: Request, action: str) -> tuple[Answer, ...]:
        off = Switched(frozenset(self._index) - {action})
        switched = structs.replace(known, off=off)
        return self._answers(structs.replace(snapshot, off=off), switched, request)

    def _answers(self, snapshot: Snapshot, known: Known, request: Request) -> tuple[Answer, ...]:
        """Return what is answered where nothing is explored and the commit takes the first of each placement."""
        engine = self._engine
        judged = engine.judge(snapshot, known, request)
        scores = engine.score(snapshot, judged, request)
        draws = [NO_EXPLORATION for _ in request.placements]
        planned = engine.arbitrate("", request, snapshot, judged, scores, draws)
        entry = engine.check(planned, snapshot, judged.verdicts.vetoes).entry
        chosen = tuple(0 if placed.candidates else -1 for placed in entry.placements)
        return engine.answer(Committed(b"", b"", chosen, (), False), entry).answers


def _treated(strategy: Strategy, channel: str) -> dict[int, str]:
    """Return the actions that have words on a channel, by their indexes."""
    said = (action for action in strategy.actions if any(one.channel == channel for one in action.treatments))
    return {action.index: action.id for action in said}


def _reasons(vetoes: tuple[Veto, ...], index: int) -> tuple[Reason, ...]:
    return tuple(veto.reason for veto in vetoes if veto.mask >> index & 1)


def value_of(strategy: Strategy, customer: Customer, field: str) -> Scalar | None:
    """Return what is known of a customer under a field's id; None is unknown."""
    return customer.values[strategy.schema.index[field]]
