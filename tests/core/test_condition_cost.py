"""Conditions have a bounded cost: what has none is refused by name, and a strategy that costs too much by its rule."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import pytest

from models.documents import DocumentsRefused, Problem
from service.core.cel import ConditionRefused, Masks, Program, Rows, check_condition
from service.core.cel.cost import LIMIT, Costs
from service.core.loader import load_strategy
from tests.core.expressions import ATTRIBUTES, NOW_MS, SCHEMA
from tests.core.worlds import HELLO
from tests.strategies import SECTIONS, write_strategy

MANY = 1_000


def rows(number: int) -> Rows:
    """Return actions of which no two cost the same."""
    return Rows(tuple({"action.price": float(n), "action.group": f"group {n % 7}"} for n in range(number)))


def cost(source: str, actions: int = 1) -> int:
    """Return what a condition costs, in units."""
    return Costs(SCHEMA, rows(actions)).of(check_condition(source, SCHEMA, ATTRIBUTES).node)


@pytest.mark.parametrize(
    ("source", "name", "remedy"),
    [
        ("past.topics.exists(t, t == 'x')", "exists() is a macro", "'gold' in past.tiers"),
        ("past.topics.all(t, t == 'x')", "all() is a macro", "joined by &&"),
        ("past.topics.exists_one(t, t == 'x')", "exists_one() is a macro", "'gold' in past.tiers"),
        ("past.topics.map(t, t + 'x') == ['x']", "map() is a macro", "an event fold"),
        ("past.topics.filter(t, t != 'x') == []", "filter() is a macro", "an event fold"),
        ("has(past.vulnerable)", "has() is a macro", "leave it out"),
        ("has (past.tier) && past.vulnerable", "has() is a macro", "leave it out"),
        ("past.tier.matches('(a+)+$')", "matches() is a regular expression", "startsWith()"),
        ("matches(past.tier, 'a')", "matches() is a regular expression", "startsWith()"),
        ("past.open_tickets in [1, true]", "a list whose items are of different types", "they know"),
        ("past.topics[0] == 'x'", "[_]() as index_list", "they know"),
        ("now - past.joined > duration('2600000h')", "the duration", "at most 292 years"),
    ],
)
def test_what_has_no_bounded_cost_is_refused_by_name(source: str, name: str, remedy: str) -> None:
    """Macros, regular expressions and what conditions do not know are named, with what to write instead."""
    with pytest.raises(ConditionRefused) as refused:
        check_condition(source, SCHEMA)
    assert name in refused.value.message
    assert remedy in refused.value.message


def test_a_macro_is_found_where_it_stands() -> None:
    """The line and column are those of the macro's name; the same words in a text or a comment are nothing."""
    with pytest.raises(ConditionRefused) as refused:
        check_condition("past.tier == 'all(x)' ||\n  past.topics.all(t, t == 'x')", SCHEMA)
    assert (refused.value.line, refused.value.column) == (2, 15)
    assert check_condition("past.tier == 'has(x)' // matches(y)", SCHEMA).fields == ("past.tier",)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("action.price > 1.0", "only guardrails, eligibility, applicability and suitability"),
        ("action > 1", "only guardrails, eligibility, applicability and suitability"),
    ],
)
def test_where_no_action_is_asked_about_conditions_may_not_ask(source: str, says: str) -> None:
    """A weight is about the customer alone; the refusal says where actions can be asked about."""
    with pytest.raises(ConditionRefused) as refused:
        check_condition(source, SCHEMA)
    assert says in refused.value.message


def test_an_attribute_that_is_not_declared_is_refused() -> None:
    """The refusal names the nearest one, or where to declare it; what every action has needs no declaration."""
    with pytest.raises(ConditionRefused, match=r"did you mean action.price\?"):
        check_condition("action.prize > 1.0", SCHEMA, ATTRIBUTES)
    with pytest.raises(ConditionRefused, match="declare it under attributes"):
        check_condition("action.quux > 1", SCHEMA, ())
    assert check_condition("action.value > past.spend", SCHEMA, ()).attributes == ("action.value",)
    assert check_condition("action.value > past.spend", SCHEMA, ()).fields == ("past.spend",)


# --------------------------------------------------------------------------------------------------------------- cost


def test_a_plain_comparison_is_one_unit_and_a_look_hardly_more_for_many_actions() -> None:
    """What is asked once counts once; a look into a table counts for the width of the masks alone."""
    assert cost("past.open_tickets > 0") == 1
    assert cost("past.spend > 1.0 && past.vulnerable") == 2
    assert cost("action.price > past.spend") < cost("action.price > past.spend", MANY) < 150


def test_what_is_computed_counts_for_each_distinct_combination() -> None:
    """A calculation over a thousand prices counts a thousand times, one over seven groups seven times."""
    computed = "action.price * past.spend > present.sentiment"
    assert cost(computed, MANY) > 0.9 * MANY / 10 * cost(computed, 10)
    assert cost("action.group.startsWith(past.tier)", MANY) < cost(computed, MANY) / 10


def test_texts_weigh_by_how_long_they_can_be() -> None:
    """To look for a long text in a long one costs more than for a short one, and that more than a comparison."""
    short, long = cost("past.tier.contains('gold')"), cost("past.tier.contains(present.reason)")
    assert cost("past.tier == 'gold'") < short < long
    assert cost("past.tier in past.topics") >= 64 * 3


@pytest.mark.parametrize(
    "source",
    [
        "past.open_tickets > 0 && past.purchases % 3 == 1 || past.spend / 2.0 > present.sentiment",
        "action.price * past.spend > present.sentiment",
        "action.price > past.spend && !past.vulnerable",
        "past.tier.contains(present.reason)",
        "action.group.startsWith(past.tier)",
    ],
)
def test_a_unit_bounds_what_a_condition_takes(source: str) -> None:
    """No condition takes longer than its units say, at a generous tenth of a microsecond for each."""
    checked = check_condition(source, SCHEMA, ATTRIBUTES)
    program = Program()
    masks = Masks(program, rows(MANY))
    terms = masks.add(checked.node) if checked.attributes else (program.add(checked.node),)
    tell = program.compile(terms, SCHEMA)
    text = "a" * 512 + "b" + "a" * 511
    values = (1, 2, 50.0, 0.5, "a" * 1024, text[300:700], False, False, NOW_MS, NOW_MS, (), ())
    took_us = min(_took_us(lambda: tell(values, NOW_MS)) for _ in range(20))
    assert took_us < 0.1 * cost(source, MANY) + 2.0


def _took_us(work: object) -> float:
    assert callable(work)
    began = perf_counter()
    work()
    return (perf_counter() - began) * 1e6


def test_a_strategy_within_the_limit_loads(tmp_path: Path) -> None:
    """What strategists write costs a small part of what is allowed."""
    strategy = load_strategy(write_strategy(tmp_path))
    estimate = Costs(strategy.schema, Rows.of(strategy.actions))
    nodes = [check_condition(rule.when.source, strategy.schema).node for rule in strategy.guardrails]
    assert 0 < sum(map(estimate.of, nodes)) < LIMIT / 10


def test_a_strategy_over_the_limit_is_refused_at_its_costliest_rule(tmp_path: Path) -> None:
    """The refusal names the rule that costs most, its file and line, what all cost together, and what to do."""
    costly = " || ".join(f"present.note.contains(present.plan + '{n}')" for n in range(8))
    text = SECTIONS["guardrails"] + _guardrail("cheap", "present.plan == 'x'") + _guardrail("costly", costly)
    fields = SECTIONS["fields"] + _text_field("present.note") + _text_field("present.plan")
    folder = write_strategy(tmp_path, guardrails=text, fields=fields)
    with pytest.raises(DocumentsRefused) as refused:
        load_strategy(folder)
    (problem,) = refused.value.problems
    assert isinstance(problem, Problem)
    assert "`costly` costs most" in problem.message
    assert f"of {LIMIT:,}" in problem.message
    assert "startsWith()" in problem.message
    assert costly.split(" ||")[0] in (folder / problem.file).read_text().splitlines()[problem.line - 1]


def _guardrail(name: str, when: str) -> str:
    return f'  - {{id: {name}, says: A rule., forbid: {{kinds: [offer]}}, when: "{when}"}}\n'


def _text_field(name: str) -> str:
    return f"  - {{id: {name}, says: A text., type: string, purpose: service, source: request}}\n"


def test_the_hello_of_the_worlds_can_be_asked_about() -> None:
    """What every action has can be asked of one that says nothing else of itself."""
    row = Rows.of((HELLO,)).rows[0]
    assert row["action.kind"] == "greeting"
    assert row["action.intents"] == ("welcome",)
    assert "action.price" not in row
