"""Compiled conditions against Google's CEL engine, over as many random conditions and contexts as one has time for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from time import perf_counter
from typing import Any

import pytest
from cel_expr_python import cel

from models.context import Scalar
from service.core.cel import Checked, Masks, Program, Rows, check_condition
from service.core.cel.attributes import variables
from service.core.cel.check import environment
from tests.core.expressions import ATTRIBUTES, NOW_MS, SCHEMA, activation, native
from tests.core.grammar import Grammar, Values
from tests.core.grammar_coverage import Coverage, extended

PAIRS = int(os.environ.get("TACT_CONDITION_PAIRS", "60000"))
SEED = int(os.environ.get("TACT_CONDITION_SEED", "4"))
AT_ONCE = 20
"""Conditions that are compiled together, as those of a strategy are, and share what they have in common."""
CONTEXTS = 40
ACTIONS = 5
LOOKED_AT = 4
"""Contexts of which the results of every part are counted."""
TYPES = variables(ATTRIBUTES)
INDEX = extended(TYPES)


@dataclass(slots=True)
class Compared:
    """How much was compared, and what differed."""

    pairs: int = 0
    evaluations: int = 0
    differences: list[str] = field(default_factory=list)
    coverage: Coverage = field(default_factory=Coverage)


def test_compiled_rules_equal_the_cel_engine(record_property: Callable[[str, object], None]) -> None:
    """Every condition has, for every customer and action, the truth that the CEL engine gives it; and all of the
    language was tried, each operation with each of its results, each in each other one where types allow it.
    """
    began, compared, random = perf_counter(), Compared(), Random(SEED)
    while compared.pairs < PAIRS:
        compare(random, compared)
    seconds = perf_counter() - began
    counted = (
        f"{compared.pairs:,} pairs of a condition and a context, {compared.evaluations:,} evaluations by the engine"
    )
    said = f"{counted}, {len(compared.differences):,} differences, {seconds:.0f} s, seed {SEED}"
    record_property("printed", f"Compiled conditions against the CEL engine: {said}\n{compared.coverage.table()}")
    assert not compared.differences, "\n".join(compared.differences[:5])
    assert not compared.coverage.missing()


NAN, INF = float("nan"), float("inf")
EDGES = [
    ("past.spend / action.price > 0.0", {"past.spend": 1.0}, [0.0, -0.0, None, NAN]),
    ("action.price == past.spend", {"past.spend": -0.0}, [0.0, -0.0, NAN, 1.0]),
    ("action.price != past.spend / past.spend", {"past.spend": 0.0}, [0.0, NAN, INF, None]),
    ("action.price >= past.spend", {"past.spend": NAN}, [0.0, NAN, INF, -INF]),
    ("past.spend < action.price", {"past.spend": -INF}, [0.0, NAN, INF, -INF]),
    ("action.price / action.price in [past.spend / past.spend]", {"past.spend": 0.0}, [0.0, NAN, 1.0, None]),
    ("past.spend / past.spend in [action.price / action.price]", {"past.spend": 0.0}, [0.0, NAN, 1.0, None]),
    ("[action.price / past.spend] == [past.spend / action.price]", {"past.spend": 0.0}, [0.0, NAN, -0.0, None]),
    ("past.vulnerable || action.price > past.spend", {"past.spend": 1.0}, [0.5, 2.0, None, NAN]),
    ("past.vulnerable && action.price > past.spend", {"past.spend": 1.0}, [0.5, 2.0, None, NAN]),
    ("(action.price > past.spend) == past.vulnerable", {"past.vulnerable": False}, [0.5, 2.0, None, NAN]),
    ("(action.price > past.spend) != past.vulnerable", {"past.vulnerable": True, "past.spend": 1.0}, [0.5, None]),
    ("past.purchases + 9223372036854775807 > 1 || action.price > 1.0", {"past.purchases": 5}, [0.5, 2.0, None]),
    ("past.vulnerable ? action.price > past.spend : past.spend > 0.0", {"past.spend": 1.0}, [0.5, 2.0, None]),
]


@pytest.mark.parametrize(("source", "told", "prices"), EDGES, ids=[source for source, _, _ in EDGES])
def test_no_edge_of_numbers_or_of_the_unknown_is_rounded_off(
    source: str, told: dict[str, Scalar], prices: list[float | None]
) -> None:
    """What is no number, infinite, a negative zero or unknown is as the CEL engine says, for each action by itself."""
    rows = Rows(tuple({} if price is None else {"action.price": price} for price in prices))
    condition = check_condition(source, SCHEMA, ATTRIBUTES)
    values = tuple(told.get(declared.id) for declared in SCHEMA.fields)
    engine = environment(SCHEMA, ATTRIBUTES).compile(source)
    wanted = [asked(engine, condition, activation(values), row) for row in rows.rows]
    assert compiled([condition], rows)(values) == [wanted]


def compare(random: Random, compared: Compared) -> None:
    """Compare a program of some conditions with the engine, in some contexts and for some actions."""
    conditions = list(drawn(random))
    nodes = [condition.node for condition, _ in conditions]
    actions = Values.near(random, nodes).actions(ACTIONS)
    rows = Rows.of(actions)
    values = Values.near(random, nodes, actions)
    contexts = [values.context() for _ in range(CONTEXTS)]
    compared.coverage.add(nodes)
    compared.coverage.see(nodes, _seen(contexts[:LOOKED_AT], rows), INDEX)
    said = [_natives(row) for row in rows.rows]
    tell = compiled([condition for condition, _ in conditions], rows)
    for context in contexts:
        known, truths = activation(context), tell(context)
        for (condition, engine), found in zip(conditions, truths, strict=True):
            compared.pairs += 1
            for row, truth in zip(said if condition.attributes else said[:1], found, strict=True):
                compared.evaluations += 1
                if truth is not asked(engine, condition, known, row):
                    compared.differences.append(f"{condition.source}\n  {known}\n  {row}\n  compiled: {truth}")


def drawn(random: Random) -> Iterator[tuple[Checked, Any]]:
    """Draw the conditions of one program, each with what the engine makes of it."""
    for place in range(AT_ONCE):
        over_actions = place % 2 == 0
        source = Grammar(random, over_actions).condition()
        attributes = ATTRIBUTES if over_actions else None
        yield check_condition(source, SCHEMA, attributes), environment(SCHEMA, attributes).compile(source)


def compiled(
    conditions: Sequence[Checked], rows: Rows
) -> Callable[[tuple[Scalar | None, ...]], list[list[bool | None]]]:
    """Compile conditions together; return how to tell each one's truth, for each action where it is about actions."""
    program = Program()
    masks = Masks(program, rows)
    terms: list[str] = []
    for condition in conditions:
        terms += masks.add(condition.node) if condition.attributes else [program.add(condition.node), "None"]
    tell = program.compile(terms, SCHEMA)

    def truths(values: tuple[Scalar | None, ...]) -> list[list[bool | None]]:
        found = tell(values, NOW_MS)
        told = []
        for condition, holds, fails in zip(conditions, found[::2], found[1::2], strict=True):
            each = [_of_mask(index, holds or 0, fails or 0) for index in range(len(rows.rows))]
            told.append(each if condition.attributes else [_truth(holds)])
        return told

    return truths


def _of_mask(index: int, holds: int, fails: int) -> bool | None:
    return True if holds >> index & 1 else False if fails >> index & 1 else None


def _truth(value: int | None) -> bool | None:
    assert value is None or isinstance(value, bool)
    return value


def asked(
    engine: Any,  # noqa: ANN401  the CEL library ships no type for it
    condition: Checked,
    known: Mapping[str, object],
    row: Mapping[str, object],
) -> bool | None:
    """Return what the engine says of a condition, whose errors are what Tact calls unknown."""
    read = {name: known[name] for name in (*condition.fields, "now") if name in known}
    read |= {name: row[name] for name in condition.attributes if name in row}
    result = engine.eval(data=read)
    return None if result.type() == cel.Type.ERROR else bool(result.value())


def _natives(row: Mapping[str, Scalar]) -> dict[str, object]:
    return {name: native(TYPES[name], value) for name, value in row.items()}


def _seen(contexts: Sequence[tuple[Scalar | None, ...]], rows: Rows) -> Iterator[tuple[Scalar | None, ...]]:
    for place, context in enumerate(contexts):
        row = rows.rows[place % len(rows.rows)]
        yield (*context, *(row.get(name) for name in TYPES))
