"""Formulas mean what compiled conditions mean: for any customer, and for whatever z3 finds or calls impossible."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from random import Random

import pytest
import z3

from models.context import Scalar
from service.core.cel import Rows, check_condition
from service.proving.symbols import NotInSolver, Symbols
from tests.core.expressions import ATTRIBUTES, NOW_MS, SCHEMA
from tests.core.grammar_coverage import OVERLOADS, Coverage
from tests.proving.customers import LEVELS, Asked, World, drawn, found, written

PINNED = int(os.environ.get("TACT_PINNED", "1200"))
"""Pairs of a condition and a customer that are compared."""
OPEN = int(os.environ.get("TACT_OPEN_QUESTIONS", "50"))
"""Questions for which z3 looks for a customer."""
EFFORT = 300_000
"""What a question may cost, in z3's own units, which no busy machine makes dearer."""
SEED = int(os.environ.get("TACT_PROVING_SEED", "7"))
TRUTHS = (True, False, None)


def pinned(world: World, values: tuple[Scalar | None, ...], now_ms: int = NOW_MS) -> z3.ModelRef:
    """Return the model in which the customer is this one."""
    solver = z3.Solver()
    solver.add(*world.symbols.pinned(values, now_ms))
    assert solver.check() == z3.sat
    return solver.model()


def said(asked: Asked, model: z3.ModelRef) -> bool | None:
    """Return the truth that the formula has in a model."""
    true = [truth for truth in TRUTHS if z3.is_true(z3.simplify(model.eval(asked.when(truth), model_completion=True)))]
    assert len(true) == 1, f"{asked.checked.source} is {true} at once"
    return true[0]


def test_formulas_of_pinned_customers_equal_compiled_conditions() -> None:
    """Every condition of the language has, for every customer, the truth in z3 that it has when compiled; what is no
    number, infinite, a negative zero, at the limits of 64 bits, empty or unknown included.
    """
    random, compared, coverage = Random(SEED), 0, Coverage()
    while compared < PINNED:
        world = drawn(random, conditions=random.randrange(1, 6), actions=2)
        coverage.add([asked.checked.node for asked in world.asked])
        for values in (world.values.context() for _ in range(4)):
            model = pinned(world, values)
            for asked in world.asked:
                compared += 1
                assert said(asked, model) is asked.truth(values, NOW_MS), (asked.checked.source, values)
    assert not [overload for overload in OVERLOADS if not coverage.operations[overload]]


TOLD: dict[str, Sequence[Scalar]] = {
    "past.tier": ("", "naïve", "日本", "😀", "\\u{61}", "a", "\x00", "\uffff"),
    "present.reason": ("", "n", "本", "\\", "😀", "a"),
    "past.vulnerable": (True, False),
    "past.topics": ((), ("", ""), ("😀",), ("a", "日本", "a")),
    "past.open_tickets": (2**63 - 1, -(2**63), -1, 0, 7),
    "past.purchases": (-1, 0, 2**63 - 1, -(2**63), 3),
    "past.spend": (math.nan, math.inf, -math.inf, -0.0, 0.0, 5e-324, 1.7976931348623157e308),
    "present.sentiment": (0.0, -0.0, math.nan, 1.0, -math.inf),
}
EDGES = (
    "past.tier.startsWith(present.reason) || past.tier.endsWith(present.reason)",
    "past.tier.contains('\\\\u') || past.tier < present.reason",
    "past.tier + present.reason >= '日本n'",
    "size(past.tier) > size(present.reason)",
    "past.tier in past.topics",
    "past.tier in past.topics || past.tier == present.reason",
    "past.topics == [past.tier, '日本', 'a'] || size(past.topics) == 2",
    "past.topics == ['a'] || 'a' in past.topics || past.tier in past.topics",
    "past.tier.endsWith('a') && past.tier in past.topics",
    "past.tier == 'a' || present.reason.startsWith('a')",
    "size(past.vulnerable ? past.topics : ['a']) == 2",
    "past.topics == (past.vulnerable ? ['', past.tier] : past.topics)",
    "size(past.topics) > 0 && !('😀' in past.topics)",
    "past.open_tickets / past.purchases > -1",
    "past.open_tickets % past.purchases <= 0",
    "past.open_tickets * past.purchases == -past.open_tickets",
    "past.open_tickets + past.purchases > past.open_tickets - past.purchases",
    "double(past.open_tickets) == 9223372036854775807.0",
    "past.spend == present.sentiment || past.spend < present.sentiment",
    "past.spend / present.sentiment > 0.0",
    "past.spend in [present.sentiment] || [past.spend] == [present.sentiment]",
    "-past.spend <= present.sentiment * past.spend",
)


@pytest.mark.parametrize("source", EDGES)
def test_no_edge_is_rounded_off(source: str) -> None:
    """Texts of any script, the limits of numbers and the two zeros are in z3 as they are when compiled."""
    world = written(source)
    (asked,) = world.asked
    names = [name for name in asked.checked.fields if name in TOLD]
    for values in _products(names):
        told = tuple(values.get(field.id) for field in SCHEMA.fields)
        assert said(asked, pinned(world, told)) is asked.truth(told, NOW_MS), values


def _products(names: Sequence[str]) -> list[dict[str, Scalar]]:
    combined: list[dict[str, Scalar]] = [{}]
    for name in names:
        combined = [before | {name: value} for before in combined for value in TOLD[name]]
    return combined


def test_what_z3_finds_is_so_and_what_it_calls_impossible_never_is() -> None:
    """A customer that z3 finds for a truth of a condition has it when decided, and is one of this world; a truth that
    it calls impossible no random customer has.
    """
    random, answered = Random(SEED), 0
    for _ in range(OPEN):
        world = drawn(random, conditions=1, actions=1)
        (asked,) = world.asked
        truth = random.choice(TRUTHS)
        solver = world.symbols.solver()
        solver.set("rlimit", EFFORT)
        solver.add(asked.when(truth))
        verdict = solver.check()
        answered += verdict != z3.unknown
        if verdict == z3.sat:
            assert _is_so(world, asked, truth, solver.model()), asked.checked.source
        elif verdict == z3.unsat:
            contexts = (_kept(world.values.context()) for _ in range(40))
            assert all(asked.truth(values, NOW_MS) is not truth for values in contexts), asked.checked.source
    assert answered > OPEN * 0.8


def _is_so(world: World, asked: Asked, truth: bool | None, model: z3.ModelRef) -> bool:
    values, now_ms = world.symbols.values(model), world.symbols.now_ms(model)
    solver = world.symbols.solver()
    solver.add(*world.symbols.pinned(values, now_ms))
    return asked.truth(values, now_ms) is truth and solver.check() == z3.sat


def _kept(values: tuple[Scalar | None, ...]) -> tuple[Scalar | None, ...]:
    """Leave out what the service refuses: numbers that are not finite, and those that are not kept exactly."""
    return tuple(None if isinstance(one, int | float) and not abs(one) < 2**53 else one for one in values)


def test_a_solver_answers_about_pinned_customers() -> None:
    """A search, too, finds a pinned customer's truth and no other one."""
    random = Random(SEED + 1)
    for _ in range(12):
        world = drawn(random, conditions=2, actions=1)
        values = world.values.context()
        solver = z3.Solver()
        solver.add(*world.symbols.pinned(values, NOW_MS))
        for asked in world.asked:
            truth = asked.truth(values, NOW_MS)
            assert [solver.check(asked.when(one)) == z3.sat for one in TRUTHS] == [one is truth for one in TRUTHS]


# ------------------------------------------------------------------------------------------------------ texts and lists


def test_texts_that_are_only_compared_can_all_be_different() -> None:
    """Two customers' texts may be none of the literals, and different from each other or the same."""
    world = written("past.tier == 'gold'", "present.reason == past.tier", "present.reason == 'billing'")
    tier, same, reason = world.asked
    for alike in (True, False):
        (model,) = found(world, tier.formula.fails, reason.formula.fails, same.when(alike))
        values = world.symbols.values(model)
        told = values[4], values[5]
        assert None not in told
        assert "gold" not in told[:1]
        assert (told[0] == told[1]) is alike


def test_a_list_holds_what_is_asked_for_and_no_more_than_it_has_room_for() -> None:
    """A list's size is at least the number of texts that are in it."""
    world = written("'a' in past.topics", "'b' in past.topics", "past.tier in past.topics", "size(past.topics) == 2")
    a, b, tier, two = world.asked
    both = (a.formula.holds, b.formula.holds, two.formula.holds)
    (model,) = found(world, *both, tier.formula.holds)
    topics, told = world.symbols.values(model)[10], world.symbols.values(model)[4]
    assert topics in (("a", "b"), ("b", "a"))
    assert told in ("a", "b")
    larger = written("past.tier == 'a' || past.tier == 'b'", *(one.checked.source for one in world.asked))
    outside, in_a, in_b, in_topics, size = larger.asked
    formulas = (one.formula.holds for one in (in_a, in_b, in_topics, size))
    assert not list(found(larger, outside.formula.fails, *formulas))


@pytest.mark.parametrize("size", [64, 65])
def test_a_list_holds_64_texts_at_most(size: int) -> None:
    """What a request or an event can tell is what a list can hold."""
    world = written(f"size(past.topics) == {size}")
    models = list(found(world, world.asked[0].formula.holds))
    assert bool(models) is (size == 64)
    for model in models:
        topics = world.symbols.values(model)[10]
        assert isinstance(topics, tuple)
        assert len(set(topics)) == 64


# -------------------------------------------------------------------------------------------------------- what it lacks


def test_a_text_beyond_the_solver_is_told_in_words() -> None:
    """Where a condition looks into texts with characters that z3 lacks, the formula is refused and says why."""
    node = check_condition("past.tier.startsWith('\U000f0000')", SCHEMA).node
    with pytest.raises(NotInSolver, match=r"beyond U\+2FFFF"):
        Symbols(SCHEMA, LEVELS, [node]).truth(node)
    compared = written("past.tier == '\U000f0000'")
    assert list(found(compared, compared.asked[0].formula.holds))


@pytest.mark.parametrize(("last", "told"), [("\U0001f600", True), ("\U00020000", False), ("\U0002ffff", False)])
def test_there_are_texts_after_each_one_that_a_condition_names(last: str, told: bool) -> None:
    """A text that z3 has can stand for every one after an emoji; where few would come after it, words say so."""
    if told:
        world = written(f"past.tier > '{last}' && size(past.tier) == 1")
        assert list(found(world, world.asked[0].formula.holds))
        return
    node = check_condition(f"past.tier <= '{last}'", SCHEMA).node
    with pytest.raises(NotInSolver, match=r"beyond U\+1FFFF"):
        Symbols(SCHEMA, LEVELS, [node]).truth(node)


def test_what_was_not_announced_is_refused() -> None:
    """A condition or an action that the symbols were not made for gets no formula, and never a wrong one."""
    known, other = (check_condition(f"past.tier == '{tier}'", SCHEMA).node for tier in ("gold", "silver"))
    of_action = check_condition("action.tier == past.tier", SCHEMA, ATTRIBUTES).node
    symbols = Symbols(SCHEMA, LEVELS, [known, of_action], Rows(({"action.tier": "gold"},)).rows)
    with pytest.raises(ValueError, match="condition was not among"):
        symbols.truth(other)
    with pytest.raises(ValueError, match="announced"):
        symbols.truth(of_action, {"action.tier": "silver"})
    assert z3.eq(symbols.truth(known).holds, symbols.truth(of_action, {"action.tier": "gold"}).holds)


def test_an_action_that_lacks_an_attribute_leaves_its_condition_unknown() -> None:
    """What an action does not say is unknown, whoever the customer is."""
    world = written("action.price < past.spend", rows=Rows(({}, {"action.price": 2.0})))
    lacking, priced = world.asked
    assert z3.is_true(z3.simplify(lacking.formula.unknown))
    assert [bool(list(found(world, priced.when(truth)))) for truth in TRUTHS] == [True, True, True]
