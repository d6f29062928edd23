"""Conditions mean what Google's CEL engine says they mean, in the compiler and in the independent check."""

from __future__ import annotations

import os
from datetime import datetime

import pytest
from cel_expr_python import cel
from hypothesis import example, given, settings

from models.context import Scalar
from service.core.cel import ConditionRefused, Program, check_condition
from service.core.cel.check import environment
from service.core.check import reading
from tests.core.expressions import CONDITIONS, NOW_MS, SCHEMA, activation, contexts

EXAMPLES = int(os.environ.get("TACT_CONDITIONS", "250"))


def compiled(source: str, values: tuple[Scalar | None, ...]) -> bool | None:
    """Evaluate a condition with the compiler under test."""
    program = Program()
    term = program.add(check_condition(source, SCHEMA).node)
    truth = program.compile([term], SCHEMA)(values, NOW_MS)[0]
    assert truth is None or isinstance(truth, bool)
    return truth


def oracle(source: str, values: tuple[Scalar | None, ...]) -> bool | None:
    """Evaluate a condition with Google's engine, whose errors are what Tact calls unknown."""
    result = environment(SCHEMA).compile(source).eval(data=activation(values))
    return None if result.type() == cel.Type.ERROR else bool(result.value())


@settings(max_examples=EXAMPLES, deadline=None)
@given(CONDITIONS, contexts())
@example("past.purchases / past.open_tickets > 1", (0, 5, *[None] * 10))
@example("past.purchases + 9223372036854775807 > 1", (0, 5, *[None] * 10))
@example("now + duration('24h') > past.last_seen", tuple([None] * 8 + [253_402_300_799_999] + [None] * 3))
def test_compiled_conditions_equal_the_cel_engine(source: str, values: tuple[Scalar | None, ...]) -> None:
    """Every condition has the truth that the CEL engine gives it, unknown included."""
    assert compiled(source, values) is oracle(source, values), source


@settings(max_examples=EXAMPLES, deadline=None)
@given(CONDITIONS, contexts())
def test_the_independent_check_reads_conditions_as_the_cel_engine_does(
    source: str, values: tuple[Scalar | None, ...]
) -> None:
    """The second implementation agrees with the CEL engine too, so it can vouch for the first."""
    assert reading(source, dict(SCHEMA.index))(values, NOW_MS) is oracle(source, values), source


NO_MOMENTS = [
    "2026-W01-1T00:00:00Z",
    "20260101T000000Z",
    "2026-01-01T00Z",
    "2026-01-01T00:00Z",
    "2026-01-01 00:00:00Z",
    "2026-01-01T00:00:00,5Z",
    "2026-01-01T00:00:00+0100",
    "2026-01-01T00:00:00+01:00:30",
    "2026-01-01T24:00:00Z",
    "2026-01-01T00:00:00.0000001Z",
    "0001-01-01T00:00:00+01:00",
    "2026-01-01T00:00:00",
    "\u0662\u0660\u0662\u0666-01-01T00:00:00Z",
]


@pytest.mark.parametrize("end", ["Z", ".125-05:30", ".500000Z"])
def test_a_moment_of_rfc_3339_is_the_one_that_the_cel_engine_reads(end: str) -> None:
    """Both readings and the engine hold a moment for the same millisecond."""
    text = f"2026-01-31T12:00:00{end}"
    at_ms = round(datetime.fromisoformat(text).timestamp() * 1000)
    for now_ms, before in ((at_ms - 1, True), (at_ms, False)):
        source = f"past.last_seen < timestamp('{text}')"
        values = tuple(now_ms if field.id == "past.last_seen" else None for field in SCHEMA.fields)
        assert [ask(source, values) for ask in (compiled, oracle)] == [before, before]
        assert reading(source, dict(SCHEMA.index))(values, NOW_MS) is before


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("past.spend > 1", "such as 1.0"),
        ("past.spent > 1.0", "did you mean past.spend?"),
        ("past.spend", "of type double; compare it"),
        ("past.topics.exists(t, t == 'x')", "exists() is a macro"),
        ("past.tier.matches('a+')", "matches()"),
        ("past.open_tickets >", "Syntax error"),
        ("duration(past.tier) > duration('1h')", "anything but a text literal"),
        ("past.last_seen > timestamp('yesterday')", "write it as '2026-01-31T12:00:00Z'"),
        *((f"now > timestamp('{text}')", "write it as '2026-01-31T12:00:00Z'") for text in NO_MOMENTS),
        ("now - past.joined > duration('1.5h')", "whole h, m, s or ms"),
        ("now - past.joined > duration('\u0661h')", "whole h, m, s or ms"),
        ("past.tier == null", ""),
        ("{'a': 1}.size() > 0", "a message or map"),
        ("x" * 3000, "split it"),
    ],
)
def test_a_condition_that_cannot_be_used_is_refused_in_plain_words(source: str, says: str) -> None:
    """Each refusal says what is wrong and what would be right, and points into the text."""
    with pytest.raises(ConditionRefused) as refused:
        check_condition(source, SCHEMA)
    assert says in refused.value.message
    assert refused.value.line >= 1
    assert refused.value.column >= 1


def test_a_condition_names_the_fields_it_reads() -> None:
    """The fields a condition reads, and so the consent it needs, are known when it is loaded."""
    checked = check_condition("past.spend > 1.0 && (past.tier == 'gold' || now > past.joined)", SCHEMA)
    assert checked.fields == ("past.joined", "past.spend", "past.tier")


def test_a_subexpression_of_several_conditions_is_computed_once() -> None:
    """Two conditions that share a part share its computation."""
    program = Program()
    first = program.add(check_condition("past.open_tickets > 0 && past.vulnerable", SCHEMA).node)
    lines = len(program.lines)
    second = program.add(check_condition("!(past.open_tickets > 0)", SCHEMA).node)
    assert len(program.lines) == lines + 1
    values = (1, *[None] * 11)
    assert program.compile([first, second], SCHEMA)(values, NOW_MS) == (None, False)
