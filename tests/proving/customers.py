"""Random conditions with their formulas and their compiled truth, and schemas whose customers formulas are about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

import z3

from models.clock import clock_fields
from models.contact import contact_fields
from models.context import ContextSchema, Field, Purpose, Scalar, TimeZone
from service.core.cel import Checked, Conditions, Masks, Program, Rows, check_condition
from service.core.strategy import ActionAttribute, ConsentLevel
from service.proving.symbols import Symbols, Truth3
from tests.core.expressions import ATTRIBUTES, NOW_MS, SCHEMA
from tests.core.grammar import Grammar, Values

NOTHING = ConsentLevel("nothing", "Nothing.", ())
BASIC = ConsentLevel("basic", "What the service needs.", (Purpose.SERVICE,))
ALL = ConsentLevel("all", "Everything.", tuple(Purpose))
LEVELS = (BASIC, ALL)
ROWS = Rows(({},))


@dataclass(frozen=True, slots=True)
class Asked:
    """One condition, and one action if it is about actions: its formula, and its truth for a snapshot's values."""

    checked: Checked
    formula: Truth3
    place: int
    action: int
    tell: Conditions

    def truth(self, values: Sequence[Scalar | None], now_ms: int) -> bool | None:
        """Return the compiled truth."""
        found = self.tell(values, now_ms)
        holds, fails = found[2 * self.place] or 0, found[2 * self.place + 1] or 0
        return True if holds >> self.action & 1 else False if fails >> self.action & 1 else None

    def when(self, truth: bool | None) -> z3.BoolRef:
        """Return when the condition has a truth."""
        return self.formula.unknown if truth is None else self.formula.holds if truth else self.formula.fails


@dataclass(frozen=True, slots=True)
class World:
    """Conditions over one schema as a strategy has them, with what can be known of customers."""

    symbols: Symbols
    asked: tuple[Asked, ...]
    values: Values

    @classmethod
    def of(cls, checked: Sequence[Checked], rows: Rows, values: Values, schema: ContextSchema = SCHEMA) -> World:
        """Make formulas of conditions, and compile them."""
        program = Program()
        masks = Masks(program, rows)
        terms = [term for one in checked for term in masks.add(one.node)]
        tell = program.compile(terms, schema)
        symbols = Symbols(schema, LEVELS, [one.node for one in checked], rows.rows)
        asked = (
            Asked(one, symbols.truth(one.node, row), place, action, tell)
            for place, one in enumerate(checked)
            for action, row in enumerate(rows.rows if one.attributes else rows.rows[:1])
        )
        return cls(symbols, tuple(asked), values)


def drawn(random: Random, conditions: int, actions: int) -> World:
    """Draw conditions, every second one about actions, which are drawn too."""
    sources = [Grammar(random, actions=place % 2 == 0).condition() for place in range(conditions)]
    checked = [check_condition(source, SCHEMA, ATTRIBUTES) for source in sources]
    nodes = [one.node for one in checked]
    said = Values.near(random, nodes).actions(actions)
    return World.of(checked, Rows.of(said), Values.near(random, nodes, said))


def written(*sources: str, schema: ContextSchema = SCHEMA, rows: Rows = ROWS, attributes: bool = True) -> World:
    """Return the world of conditions as they are written."""
    named: tuple[ActionAttribute, ...] | None = ATTRIBUTES if attributes else None
    checked = [check_condition(source, schema, named) for source in sources]
    return World.of(checked, rows, Values.near(Random(0), [one.node for one in checked]), schema)


def of_clock(zone: TimeZone, *fields: Field) -> ContextSchema:
    """Return a schema with a clock and what is told of the contact before."""
    return ContextSchema.of((), (*fields, *clock_fields(), *contact_fields()), zone)


def in_world(symbols: Symbols, values: Sequence[Scalar | None], now_ms: int = NOW_MS) -> bool:
    """Tell whether there can be this customer at this moment."""
    solver = symbols.solver()
    solver.add(*symbols.pinned(values, now_ms), symbols.today)
    return bool(solver.check() == z3.sat)


def found(world: World, *wanted: z3.BoolRef) -> Iterator[z3.ModelRef]:
    """Yield a customer of whom these formulas are true, if there is one; facts about clocks are told on the way."""
    solver = world.symbols.solver(20_000)
    solver.add(*wanted, world.symbols.today)
    while (verdict := solver.check()) == z3.sat:
        lemma = world.symbols.lemma(solver.model())
        if lemma is None:
            yield solver.model()
            return
        solver.add(lemma)
    assert verdict == z3.unsat, solver.reason_unknown()
