"""Conditions as z3 formulas over everything that can be known of a customer, with three truth values.

Everything is exact, bit by bit: whole numbers and moments are 64-bit vectors (compare `z3.BitVecRef` with `<` and `<=`,
which are signed), doubles are IEEE 754, texts are codes where conditions only compare them, else z3 strings. So what z3
calls impossible is impossible, and a model is a context; only a clock in another zone may need a `lemma`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import z3

from models.bounds import YEAR_2000_MS, YEAR_2100_MS
from models.context import ContextSchema, Purpose, Scalar
from service.core.cel.tree import Node
from service.core.strategy import ConsentLevel
from service.proving import reading
from service.proving.clocks import Clocks
from service.proving.conditions import Conditions
from service.proving.fields import Alphabets, symbols
from service.proving.logic import Bool, either, formula, implies
from service.proving.numbers import whole, within
from service.proving.texts import NotInSolver
from service.proving.usage import Usage
from service.proving.world import bounds

__all__ = ["NotInSolver", "Symbols", "Truth3"]

_CALCULATING = (
    "simplify",
    "propagate-values",
    "solve-eqs",
    "fpa2bv",
    "simplify",
    "max-bv-sharing",
    "bit-blast",
    "sat",
)
"""What brings doubles to bits and solves these: five times as fast as z3's solver for everything."""
_NO_ACTION: Mapping[str, Scalar] = {}


@dataclass(frozen=True, slots=True)
class Truth3:
    """When a condition is known to hold and when it is known to fail (z3 bools, never both); else it is unknown."""

    holds: z3.BoolRef
    fails: z3.BoolRef

    @property
    def unknown(self) -> z3.BoolRef:
        """When its truth cannot be known."""
        return z3.And(z3.Not(self.holds), z3.Not(self.fails))


class Symbols:
    """The symbols of one strategy: a value and a `known` flag for each field, the consent level and the moment.

    `nodes` are the conditions that will be asked about (they or parts of them): texts and lists are represented in the
    cheapest way that is exact for all of these. `rows` are what actions say of themselves, as `Rows.of(actions).rows`
    has it. `now` lies in [`from_ms`, `until_ms`): the years 2000 to 2099 unless told otherwise.

    >>> from models.clock import clock_fields
    >>> from models.context import TimeZone
    >>> from service.core.cel import check_condition
    >>> schema = ContextSchema.of((), clock_fields(), TimeZone("", "UTC"))
    >>> night = check_condition("present.hour < 6", schema).node
    >>> symbols = Symbols(schema, [ConsentLevel("all", "Everything.", tuple(Purpose))], [night])
    >>> solver = symbols.solver(timeout_ms=10_000)
    >>> solver.add(symbols.truth(night).holds, symbols.from_moment(1_790_000_000_000))
    >>> solver.check()
    sat
    >>> hour, weekday = symbols.values(solver.model())
    >>> hour < 6
    True
    """

    def __init__(
        self,
        schema: ContextSchema,
        levels: Sequence[ConsentLevel],
        nodes: Iterable[Node],
        rows: Iterable[Mapping[str, Scalar]] = (),
        from_ms: int = YEAR_2000_MS,
        until_ms: int = YEAR_2100_MS,
    ) -> None:
        usage = Usage(nodes, tuple(rows))
        alphabets = Alphabets(schema)
        self._usage = usage
        self._levels = tuple(levels)
        self._span = from_ms, until_ms
        self._now = z3.BitVec("now", 64)
        self._today = z3.Bool("all came in as it is declared today")
        self._level = z3.BitVec("level", len(self._levels).bit_length())
        self._symbols = symbols(schema, usage, alphabets)
        self._in_order = tuple(self._symbols.values())
        self._conditions = Conditions(self._symbols, self._now, usage, alphabets)
        self._clocks = Clocks(schema, self._symbols, self._now, self._span)
        self._world = tuple(formula(part) for part in self._facts(schema) if part is not True)

    def _facts(self, schema: ContextSchema) -> Iterator[Bool]:
        yield within(self._now, self._span[0], self._span[1] - 1)
        yield z3.ULT(self._level, len(self._levels))
        for symbol in self._in_order:
            yield implies(symbol.known, self._allowed(symbol.field.purpose))
        yield from bounds(schema, self._symbols, self._today)
        yield from self._clocks.world(self._allowed(Purpose.SERVICE))

    def _allowed(self, purpose: Purpose) -> Bool:
        may = [place for place, level in enumerate(self._levels) if purpose in level.purposes]
        return True if len(may) == len(self._levels) else either(*(self._level == place for place in may))

    @property
    def now(self) -> z3.BitVecRef:
        """The moment of the decision: signed 64 bits of milliseconds since 1970."""
        return self._now

    @property
    def today(self) -> z3.BoolRef:
        """That all that is kept came in under the bounds that are declared today; the world does not say so."""
        return self._today

    @property
    def world(self) -> tuple[z3.BoolRef, ...]:
        """What is true of every customer: bounds, purposes, the clock; under `today` what is declared of what is kept.

        `solver` has it asserted.
        """
        return self._world

    def at_level(self, level: str) -> z3.BoolRef:
        """When the customer's consent level is this one (its id)."""
        return either(*(self._level == place for place, one in enumerate(self._levels) if one.id == level))

    def allows(self, purpose: Purpose) -> z3.BoolRef:
        """When the customer's consent allows this purpose."""
        return formula(self._allowed(purpose))

    def known(self, field: str) -> z3.BoolRef:
        """When the field of this id is known."""
        return self._symbols[field].known

    def from_moment(self, at_ms: int) -> z3.BoolRef:
        """When it is this moment (ms) or later: `now >= at_ms`."""
        return self._now >= whole(at_ms)

    def truth(self, node: Node, action: Mapping[str, Scalar] | None = None) -> Truth3:
        """Return when a condition holds and fails, of the action of this row where it is over actions. It is cached.

        Raises NotInSolver where the language goes beyond the solver, and ValueError for a condition or an action that
        was not among those announced.
        """
        if not self._usage.announced(node):
            raise ValueError("this condition was not among those announced")
        found = self._conditions.logic(node, action or _NO_ACTION)
        return Truth3(formula(found.holds), formula(found.fails))

    def solver(self, timeout_ms: int = 0, facts: Iterable[z3.BoolRef] | None = None) -> z3.Solver:
        """Return a new solver with the world asserted, whose checks take about `timeout_ms` at most; 0 is no limit.

        It is the fastest for the theories that the announced conditions need. With `facts`, these are asserted in place
        of the world.
        """
        solver = _solver(self._usage)
        if timeout_ms:
            solver.set("timeout", timeout_ms)
        solver.add(*(self._world if facts is None else facts))
        return solver

    # ------------------------------------------------------------------------------------------------ what a model says

    def values(self, model: z3.ModelRef) -> tuple[Scalar | None, ...]:
        """Return the values of a snapshot in schema order; None is unknown. What the model leaves open is unknown."""
        return tuple(reading.value(model, symbol) for symbol in self._in_order)

    def now_ms(self, model: z3.ModelRef) -> int:
        """Return the moment of the decision."""
        return int(model.eval(self._now, model_completion=True).as_signed_long())

    def level(self, model: z3.ModelRef) -> ConsentLevel:
        """Return the customer's consent level."""
        return self._levels[int(model.eval(self._level, model_completion=True).as_long())]

    def lemma(self, model: z3.ModelRef) -> z3.BoolRef | None:
        """Return a fact of the real world that rules out a model whose clock goes wrong; None where it goes right.

        The zones of the world are too many for the solver: add the lemma and check again.
        """
        if Purpose.SERVICE not in self.level(model).purposes:
            return None
        found = self._clocks.lemma(self.values(model), self.now_ms(model), self._allowed(Purpose.SERVICE))
        return None if found is None else formula(found)

    def pinned(self, values: Sequence[Scalar | None], now_ms: int) -> tuple[z3.BoolRef, ...]:
        """Return that the context is exactly this one (values in schema order; None is unknown)."""
        return (self._now == whole(now_ms), *reading.Pins().pinned(self._in_order, values))


def _solver(usage: Usage) -> z3.Solver:
    if usage.spells:
        return z3.Solver()
    return z3.Then(*_CALCULATING).solver() if usage.calculates else z3.SolverFor("QF_BV")
