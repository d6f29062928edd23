"""Ask z3 about a strategy, and decide every customer that it finds by the real engine before it counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from time import monotonic

import z3

from service.core.cel import Checked
from service.core.strategy import Strategy
from service.proving.counterexample import Court
from service.proving.questions import Customer, Decided, Outcome, Question, Verdict
from service.proving.solving import Asked, Solvers, Undecided
from service.proving.strategy import Model

TIMEOUT_S = 5.0
WIDER = (
    "it holds for all that comes in under the bounds and values that are declared now, but not for what may have been "
    "kept of somebody under wider ones: the service looks at them when something comes in, and never again"
)
_TRIES = 24
"""So many customers of the solver may turn out not to be real before the question is given up."""
_SHOWN = 12
"""So many of the models that were found last are looked at before another one is searched for."""
_NEAR_MS = (1_767_225_600_000, 1_793_491_200_000)
"""January to October 2026: a counterexample of these days is plainer, where there is one, and can be asked about."""
_TIMELESS_MS = 1_781_172_000_000
"""A morning in June 2026: the moment of a customer in whose case the moment does not matter."""


class Prover:
    """Answers questions about one strategy, each within `timeout_s` seconds. Its `model` gives the formulas.

    Conditions that questions name beside the strategy's own are given as `extra`. It is not for several threads.
    """

    def __init__(self, strategy: Strategy, timeout_s: float = TIMEOUT_S, extra: Iterable[Checked] = ()) -> None:
        self.model = Model(strategy, extra)
        self.court = Court(strategy)
        self._solvers = Solvers(self.model, timeout_s)
        self._unasked = {channel.id for channel in strategy.channels if channel.permission}
        self._proven: dict[tuple[int, bool], z3.BoolRef] = {}
        self._possible: dict[tuple[int, ...], tuple[tuple[z3.BoolRef, ...], bool | None]] = {}
        self._latest: deque[tuple[bool, z3.ModelRef]] = deque(maxlen=_SHOWN)
        symbols = self.model.symbols
        self._near = z3.And(symbols.from_moment(_NEAR_MS[0]), z3.Not(symbols.from_moment(_NEAR_MS[1])))

    def ask(self, question: Question) -> Verdict:
        """Return the verdict over a question: proven, a counterexample, or unknown with the reason in words."""
        asked = question.channel not in self._unasked
        key = question.formula.get_id(), asked
        if key in self._proven:
            return Verdict(question, Outcome.PROVEN)
        given = (question.formula, self.model.permitted) if asked else (question.formula,)
        with self._solvers.given(*given) as solver:
            found = self._answered(question, solver)
        if found.outcome is Outcome.PROVEN:
            self._proven[key] = question.formula  # kept, so that no other formula gets its id
        return found

    def takes(self, timeout_s: float, together_s: float) -> None:
        """Let questions from now on take this long each, and all of them together no longer than that."""
        self._solvers.timeout_s, self._solvers.ends = timeout_s, monotonic() + together_s
        self._possible = {key: kept for key, kept in self._possible.items() if kept[1] is not None}

    def possible(self, *formulas: z3.BoolRef) -> bool | None:
        """Tell whether all of these can be true of one customer; None where the solver does not know in time."""
        key = tuple(formula.get_id() for formula in formulas)
        if key not in self._possible:  # actions with the same rules are the same question
            timed = any(map(self._solvers.asks_the_clock, formulas))
            found = self._shown(timed, formulas) or self._found(timed, formulas)
            self._possible[key] = formulas, found  # kept with the formulas, so that no others get their ids
        return self._possible[key][1]

    def find(self, *formulas: z3.BoolRef) -> z3.ModelRef | None:
        """Return a model in which all of these are true of what can come in today, None where there is none.

        Raises Undecided.
        """
        return self.find_kept(*formulas, self.model.symbols.today)

    def find_kept(self, *formulas: z3.BoolRef) -> z3.ModelRef | None:
        """Return the same also of what may have been kept under other bounds than those that are declared today."""
        with self._solvers.given(*formulas) as solver:
            return solver.check()

    def core(self, named: Iterable[tuple[str, z3.BoolRef]], *given: z3.BoolRef) -> tuple[str, ...] | None:
        """Return the names of formulas that cannot all be true together, given the others; None where they can be.

        No name can be left out of them.
        """
        left = dict(named)
        if self.possible(*left.values(), *given) is not False:
            return None
        for name in list(left):
            fewer = {other: formula for other, formula in left.items() if other != name}
            if self.possible(*fewer.values(), *given) is False:
                left = fewer
        return tuple(left)

    def customer(self, model: z3.ModelRef, channel: str, timed: bool = True) -> Customer:
        """Return the customer of a model, who is asked about on a channel; of one that is not `timed` at any time."""
        symbols = self.model.symbols
        permitted = channel not in self._unasked or z3.is_true(model.eval(self.model.permitted, True))
        level, now_ms = symbols.level(model).id, symbols.now_ms(model) if timed else _TIMELESS_MS
        return Customer(symbols.values(model), level, permitted, now_ms, channel)

    def symbols_of(self, formula: z3.BoolRef) -> list[z3.ExprRef]:
        """Return every symbol of a formula, in the order in which they were made."""
        return self._solvers.symbols_of(formula)

    # --------------------------------------------------------------------------------------------------------- inside

    def _shown(self, timed: bool, formulas: tuple[z3.BoolRef, ...]) -> bool:
        """Tell whether one of the customers who were found last is such a one: looking is quicker than searching."""
        return any(
            all(z3.is_true(model.eval(formula, model_completion=True)) for formula in formulas)
            for of_clocks, model in reversed(self._latest)
            if of_clocks or not timed
        )

    def _found(self, timed: bool, formulas: tuple[z3.BoolRef, ...]) -> bool | None:
        try:
            model = self.find(*formulas)
        except Undecided:
            return None
        if model is not None:
            self._latest.append((timed, model))
        return model is not None

    def _answered(self, question: Question, solver: Asked) -> Verdict:
        unreal, plain = 0, None
        try:
            if solver.check() is None:
                return Verdict(question, Outcome.PROVEN)
            solver.add(self.model.symbols.today)
            while unreal < _TRIES and (model := solver.check()) is not None:
                model = _these_days(solver, self._near) or model
                found = self._real(question, self.customer(model, question.channel, solver.timed))
                if found is not None and found.seen:
                    return Verdict(question, Outcome.COUNTEREXAMPLE, found)
                plain, unreal = plain or found, unreal + 1
                solver.add(self._unlike(question.formula, model))
        except Undecided:
            why = f"the solver did not know within {self._solvers.timeout_s:g} seconds"
            return Verdict(question, Outcome.COUNTEREXAMPLE if plain else Outcome.UNKNOWN, plain, "" if plain else why)
        if plain is not None:
            return Verdict(question, Outcome.COUNTEREXAMPLE, plain)
        return Verdict(question, Outcome.UNKNOWN, why=self._why(question, unreal) if unreal else WIDER)

    def _real(self, question: Question, customer: Customer) -> Decided | None:
        """Return the decision that shows a customer to be a counterexample; one that a store could give, if it can."""
        for decided in self.court.decisions(customer, question.action):
            if question.real(decided):
                return self.court.plainest(decided, question.real, question.action) if decided.seen else decided
        return None

    def _unlike(self, formula: z3.BoolRef, model: z3.ModelRef) -> z3.BoolRef:
        """Return that what the formula looks at is not all as it is in a model."""
        return z3.Or([symbol != model.eval(symbol, True) for symbol in self.symbols_of(formula)])

    def _why(self, question: Question, unreal: int) -> str:
        """Return in words why customers were found who turned out not to be real."""
        names = sorted(symbol.decl().name() for symbol in self.symbols_of(question.formula))
        doubts = [self.model.doubts[name] for name in names if name in self.model.doubts]
        if doubts:
            return "; ".join(dict.fromkeys(doubts))
        return f"the solver found {unreal} customers, and the real engine decides none of them so"


def _these_days(solver: Asked, near: z3.BoolRef) -> z3.ModelRef | None:
    try:
        return solver.check(near) if solver.timed else None
    except Undecided:
        return None
