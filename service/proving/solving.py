"""Solvers that are asked one question after the other: what is true of every customer is told to them once.

Few questions are about the hour or the moment, and the clock is the dearest part of the world by far. So there are two
solvers: one knows everything, and a quick one, for questions in which no clock has a part, knows nothing of clocks.
Where z3 needs no theory but that of bits it is told so, which halves its time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from time import monotonic

import z3

from models.clock import HOUR, WEEKDAY
from service.proving.strategy import Model

_OF_BITS = (z3.Z3_BOOL_SORT, z3.Z3_BV_SORT)
_CLOCK = "clock "


class Undecided(Exception):
    """The solver does not know in time."""


class Solvers:
    """The two solvers of one model. A question takes at most `timeout_s` seconds."""

    def __init__(self, model: Model, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.ends = inf  # when (monotonic seconds) all questions end, whatever each of them may take
        self._model = model
        self._parts = Parts()
        symbols = model.symbols
        told = {symbols.now.decl().name(), HOUR, WEEKDAY}
        told |= {symbols.known(name).decl().name() for name in (HOUR, WEEKDAY) if name in model.strategy.schema.index}
        self._told = frozenset(told)
        formulas = (*symbols.world, *model.formulas())
        bits = all(self._parts.of_bits(formula) for formula in formulas)
        self._knowing = z3.SolverFor("QF_BV") if bits else z3.Solver()
        self._knowing.add(*symbols.world)
        self._quick = z3.Solver()
        self._quick.add(*(fact for fact in symbols.world if not self.asks_the_clock(fact)))

    @contextmanager
    def given(self, *formulas: z3.BoolRef) -> Iterator[Asked]:
        """Ask with these formulas, beside what is true of every customer."""
        timed = any(map(self.asks_the_clock, formulas))
        solver = self._knowing if timed else self._quick
        asked = Asked(self._model, solver, timed, min(self.ends, monotonic() + self.timeout_s))
        solver.push()
        try:
            solver.add(*formulas)
            yield asked
        finally:
            solver.pop()
            solver.add(*asked.learned)

    def symbols_of(self, formula: z3.BoolRef) -> list[z3.ExprRef]:
        """Return every symbol of a formula, in the order in which they were made."""
        return self._parts.symbols(formula)

    def asks_the_clock(self, formula: z3.BoolRef) -> bool:
        """Tell whether the moment, or what a clock shows, has a part in a formula."""
        names = {symbol.decl().name() for symbol in self._parts.symbols(formula)}
        return not names.isdisjoint(self._told) or any(name.startswith(_CLOCK) for name in names)


class Asked:
    """One question to a solver. `timed` says whether the clock has a part in it; what is found else is timeless.

    `learned` are facts about the clocks of the world that came up on the way.
    """

    def __init__(self, model: Model, solver: z3.Solver, timed: bool, ends: float) -> None:
        self.timed = timed
        self.learned: list[z3.BoolRef] = []
        self._symbols = model.symbols
        self._solver = solver
        self._ends = ends

    def add(self, *formulas: z3.BoolRef) -> None:
        """Ask for this, too."""
        self._solver.add(*formulas)

    def check(self, *assumed: z3.BoolRef) -> z3.ModelRef | None:
        """Return a model of all that is asked for, None where there is none; raise Undecided."""
        while (left_s := self._ends - monotonic()) > 0:
            self._solver.set("timeout", max(1, int(left_s * 1000)))
            found = self._solver.check(*assumed)
            if found == z3.unsat:
                return None
            model = self._solver.model() if found == z3.sat else None
            lemma = self._lemma(model) if model is not None and self.timed else None
            if model is not None and lemma is None:
                return model
            if lemma is not None:
                self.learned.append(lemma)
                self._solver.add(lemma)
        raise Undecided

    def _lemma(self, model: z3.ModelRef) -> z3.BoolRef | None:
        try:
            return self._symbols.lemma(model)
        except ValueError as wrong:  # a solver that is interrupted can give a model of what it was told is impossible
            raise Undecided from wrong


class Parts:
    """What formulas are made of; each part of them is looked at once."""

    def __init__(self) -> None:
        self._symbols: dict[int, frozenset[int]] = {}
        self._bits: dict[int, bool] = {}
        self._kept: dict[int, z3.ExprRef] = {}  # an id stands for a part as long as the part lives

    def symbols(self, part: z3.ExprRef) -> list[z3.ExprRef]:
        """Return every symbol of a formula, in the order in which they were made."""
        self._look(part)
        return [self._kept[number] for number in sorted(self._symbols[part.get_id()])]

    def of_bits(self, part: z3.ExprRef) -> bool:
        """Tell whether a formula is of truth values and bits alone."""
        self._look(part)
        return self._bits[part.get_id()]

    def _look(self, part: z3.ExprRef) -> None:
        left = [(part, False)]
        while left:
            one, opened = left.pop()
            if one.get_id() in self._kept:
                continue
            children = one.children()
            if opened:
                self._note(one, [child.get_id() for child in children])
            else:
                left += [(one, True), *((child, False) for child in children)]

    def _note(self, one: z3.ExprRef, children: list[int]) -> None:
        number = one.get_id()
        self._kept[number] = one
        own = frozenset([number]) if _is_symbol(one) else frozenset[int]()
        self._symbols[number] = own.union(*(self._symbols[child] for child in children))
        self._bits[number] = one.sort().kind() in _OF_BITS and all(self._bits[child] for child in children)


def _is_symbol(part: z3.ExprRef) -> bool:
    return bool(z3.is_const(part)) and part.decl().kind() == z3.Z3_OP_UNINTERPRETED
