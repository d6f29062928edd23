"""What a condition observed is what it was decided by: the same truth, and the comparisons that were enough for it."""

from __future__ import annotations

import os
from dataclasses import replace
from random import Random

import pytest

from models.context import Scalar
from service.core.cel import Masks, Program, Rows, check_condition
from service.core.cel.spelling import spelled
from service.core.cel.tree import Call, Node, parts
from service.core.observed import Observer
from service.core.strategy import Action
from tests.core.expressions import ATTRIBUTES, NOW_MS, SCHEMA
from tests.core.grammar import Grammar, Values
from tests.core.worlds import EMPTY

CONDITIONS = int(os.environ.get("TACT_CONDITIONS", "150"))
STRATEGY = replace(EMPTY, attributes=ATTRIBUTES)
INDEX = SCHEMA.index


def judged(source: str, values: tuple[Scalar | None, ...], actions: tuple[Action, ...]) -> list[bool | None]:
    """Return what the judge's own program says of a condition, for each action."""
    node, program = check_condition(source, SCHEMA, ATTRIBUTES).node, Program()
    terms = Masks(program, Rows.of(actions)).add(node)
    holds, fails = program.compile(terms, SCHEMA)(values, NOW_MS)
    assert holds is not None
    assert fails is not None
    return [True if holds >> i & 1 else False if fails >> i & 1 else None for i in range(len(actions))]


def drawn(seed: int) -> tuple[str, Node, tuple[Scalar | None, ...], tuple[Action, ...]]:
    """Draw a condition, a customer near its bounds, and actions."""
    random = Random(seed)
    source = Grammar(random, actions=seed % 2 == 0).condition()
    node = check_condition(source, SCHEMA, ATTRIBUTES).node
    actions = Values.near(random, [node]).actions(2)
    return source, node, Values.near(random, [node], actions).context(), actions


def test_it_holds_where_the_judge_says_so() -> None:
    """Asked part by part, a condition holds, does not hold or is unknown exactly where the compiled rules say it is."""
    observer, told = Observer(STRATEGY), set()
    for seed in range(CONDITIONS):
        source, _, values, actions = drawn(seed)
        for action, truth in zip(actions, judged(source, values, actions), strict=True):
            assert observer.seen(source, values, NOW_MS, action)[0] is truth, source
            told.add(truth)
    assert told == {True, False, None}


def test_what_is_spelled_again_is_the_same_condition() -> None:
    """The text of a comparison is CEL, and means what it was taken from."""
    for seed in range(CONDITIONS):
        source, node, _, _ = drawn(seed)
        assert check_condition(spelled(node), SCHEMA, ATTRIBUTES).node == node, source


def decided_by(node: Node, told: dict[str, bool | None], otherwise: Random) -> bool | None:
    """Return what a condition comes to where the told comparisons are as told, and all others anything."""
    if isinstance(node, Call) and node.overload in ("logical_and", "logical_or"):
        decisive = node.overload == "logical_or"
        both = [decided_by(part, told, otherwise) for part in node.args]
        return decisive if decisive in both else None if None in both else not decisive
    if isinstance(node, Call) and node.overload == "logical_not":
        inner = decided_by(node.args[0], told, otherwise)
        return None if inner is None else not inner
    if isinstance(node, Call) and node.overload == "conditional":
        test, then, other = node.args
        found = decided_by(test, told, otherwise)
        return None if found is None else decided_by(then if found else other, told, otherwise)
    return told[spelled(node)] if spelled(node) in told else otherwise.choice((True, False, None))


def test_the_comparisons_that_are_told_decide() -> None:
    """Where it is known whether a condition holds, it comes out the same whatever all the other comparisons were."""
    observer, random, left_out = Observer(STRATEGY), Random(3), 0
    for seed in range(CONDITIONS):
        source, node, values, actions = drawn(seed)
        truth, comparisons = observer.seen(source, values, NOW_MS, actions[0])
        told = {one.expression: one.holds for one in comparisons}
        left_out += len(told) < len(set(leaves(node)))
        if truth is not None:
            assert all(decided_by(node, told, random) is truth for _ in range(5)), source
    assert left_out


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("past.vulnerable && present.logged_in", ["past.vulnerable"]),
        ("present.logged_in && past.vulnerable", ["past.vulnerable"]),
        ("past.vulnerable || present.logged_in", ["present.logged_in"]),
        ("past.open_tickets > 0 || present.logged_in", ["present.logged_in"]),
        ("past.open_tickets > 0 && present.logged_in", ["past.open_tickets > 0"]),
        ("past.vulnerable || !present.logged_in", ["past.vulnerable", "present.logged_in"]),
        ("present.logged_in ? past.vulnerable : past.open_tickets > 0", ["present.logged_in", "past.vulnerable"]),
        ("past.vulnerable ? past.vulnerable : present.logged_in", ["past.vulnerable", "present.logged_in"]),
    ],
)
def test_no_comparison_is_told_that_decided_nothing(source: str, told: list[str]) -> None:
    """Of what is vulnerable (false), logged in (true) and open (unknown) only that is told by which it came out."""
    known = {"past.vulnerable": False, "present.logged_in": True}
    values = tuple(known.get(field.id) for field in SCHEMA.fields)
    _, comparisons = Observer(STRATEGY).seen(source, values, NOW_MS, EMPTY.actions[0])
    assert [one.expression for one in comparisons] == told


def leaves(node: Node) -> list[str]:
    """Return the comparisons that a condition is made of."""
    if isinstance(node, Call) and node.overload in ("logical_and", "logical_or", "logical_not"):
        return [leaf for part in parts(node) for leaf in leaves(part)]
    return [spelled(node)]


@pytest.mark.parametrize(
    ("source", "told", "observed", "bound", "holds"),
    [
        ("past.open_tickets > 2", {"past.open_tickets": 3}, 3, 2, True),
        ("2 < past.open_tickets", {"past.open_tickets": 3}, 3, 2, True),
        ("past.open_tickets > 2", {}, None, 2, None),
        ("past.tier in ['gold', 'silver']", {"past.tier": "gold"}, "gold", ("gold", "silver"), True),
        ("past.vulnerable", {"past.vulnerable": False}, False, None, False),
        ("action.price <= past.spend", {"past.spend": 5.0}, 5.0, 9.5, False),
        ("past.last_seen > now - duration('24h')", {"past.last_seen": 5}, 5, NOW_MS - 86_400_000, False),
        ("past.tier.startsWith('go')", {"past.tier": "gold"}, "gold", "go", True),
    ],
)
def test_the_observed_value_stands_against_its_bound(
    source: str, told: dict[str, Scalar], observed: Scalar | None, bound: Scalar | None, holds: bool | None
) -> None:
    """What is known of the customer is what was observed, on whichever side it is written; the rest is its bound."""
    values = tuple(told.get(field.id) for field in SCHEMA.fields)
    action = replace(EMPTY.actions[0], attributes=(("price", 9.5),))
    truth, (one,) = Observer(STRATEGY).seen(source, values, NOW_MS, action)
    assert (truth, one.observed, one.bound, one.holds) == (holds, observed, bound, holds)
