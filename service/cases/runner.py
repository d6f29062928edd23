"""Run cases against the engine that decides: what the store and the customer bring is made up, all else is the same."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import msgspec
from msgspec import Struct

from models.clock import Clock
from models.context import Purpose, Scalar
from models.propensity import Folded
from service.cases.case import Case, Said
from service.cases.due import DUE, DueThen
from service.cases.fitting import first_that_fit
from service.cases.memory import Past
from service.core.arbitrate import NO_EXPLORATION
from service.core.decision import Answer, Known, Reason, Request
from service.core.engine import Engine
from service.core.snapshot import Snapshot
from service.core.strategy import Strategy

DECISION = "0000000000000000000000case"


class Got(Struct, frozen=True):
    """What a case got: the answer at each placement, and all that forbids an action there, by placement and action.

    `due` tells what became of the case's trigger, where it has one: when it is not due, nothing is decided.
    """

    answers: tuple[Answer, ...]
    vetoes: Mapping[tuple[str, str], tuple[Reason, ...]]
    due: str = ""


class Runner:
    """Decides cases under one strategy, with one model or with the strategy's priors; it never explores."""

    def __init__(self, strategy: Strategy, model: Folded | None = None) -> None:
        self._strategy = strategy
        self._engine = Engine(strategy, model)
        self._past = Past(strategy)
        self._clock = Clock.of(strategy.schema)
        self._due = DueThen(strategy)

    def run(self, case: Case) -> Got:
        """Return what the strategy decides."""
        engine, known = self._engine, self._past.known(case, partial(self._then, case))
        request = _request(case)
        snapshot = self._seen(case.customer.facts, known, request)
        due = self._due.outcome(case.trigger, case.happened, snapshot) if case.trigger else ""
        if due not in ("", DUE):
            return Got((), {}, due)
        judged = engine.judge(snapshot, known, request)
        scores = engine.score(snapshot, judged, request)
        draws = (NO_EXPLORATION,) * len(case.placements)
        planned = engine.arbitrate(DECISION, request, snapshot, judged, scores, draws)
        entry = engine.check(planned, snapshot).entry
        commit = engine.commit(entry, request, memory=known.memory)
        answers = engine.answer(first_that_fit(commit, known.counters), entry).answers
        vetoes: dict[tuple[str, str], tuple[Reason, ...]] = {}
        for placement, capped in zip(case.placements, judged.capped, strict=True):
            here = msgspec.structs.replace(judged, capped=(capped,))
            there = msgspec.structs.replace(request, placements=(placement,))
            fates = engine.explain(snapshot, here, scores, there).fates
            vetoes |= {(placement, fate.action): fate.vetoes for fate in fates}
        return Got(answers, vetoes, due)

    def _then(self, case: Case, known: Known, said: Said) -> tuple[Scalar | None, ...]:
        """Return what was known when something was said: the facts of now, but for those that were others."""
        facts = {index: value for index, value in {**case.customer.facts, **said.then}.items() if value is not None}
        return self._seen(facts, known, _request(case)).values

    def _seen(self, facts: Mapping[int, Scalar], known: Known, request: Request) -> Snapshot:
        """Return what may be known of the customer: of the facts, those to whose use the consent agrees."""
        snapshot = self._engine.see(known, request)
        values = list(snapshot.values)
        for index, value in facts.items():
            if self._strategy.schema.fields[index].purpose in snapshot.level.purposes:
                values[index] = value
        if self._clock is not None and Purpose.SERVICE in snapshot.level.purposes:
            self._clock.fill(values, snapshot.now_ms)  # again, now that the customer's zone is there
        return msgspec.structs.replace(snapshot, values=tuple(values))


def _request(case: Case) -> Request:
    return Request(case.customer.id, case.channel, case.placements, {}, explain=True, trigger=case.trigger)
