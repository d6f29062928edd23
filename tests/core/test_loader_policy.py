"""What policy says is read from the documents, and every mistake is named with what would be right, at once."""

from __future__ import annotations

import json
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from models.context import ContextSchema, Told
from models.documents import DocumentsRefused, Problem
from service.core.cel import ConditionRefused, check_condition
from service.core.check import reading
from service.core.engine import Engine
from service.core.judge import Judge
from service.core.loader import load_strategy
from service.core.rules import (
    ALWAYS,
    CONTACT_PERMISSION,
    Answered,
    Cap,
    CoolOff,
    Counts,
    Exemption,
    Kind,
    Layer,
    Per,
    Promise,
    Selector,
    Valid,
)
from service.core.strategy import Strategy
from tests.core.deciding import decisions
from tests.core.policies import POLICY, changed, write_policy
from tests.core.test_loader import harmless, relaxed, trees
from tests.strategies import SECTIONS

LONGEST_S = 0.1
DAY = 86_400_000
OFFERS = Selector(kinds=(Kind.OFFER,))
Case = dict[str, Any]


def cases() -> list[Case]:
    """Return the cases of all tables of policy."""
    tables = sorted((Path(__file__).parent / "bad_strategies" / "policy").glob("*.yaml"))
    return [case for table in tables for case in yaml.safe_load(table.read_text(encoding="utf-8"))]


def bad(folder: Path, case: Case) -> Path:
    """Write the strategy that a case spoils."""
    section = case["section"]
    text = changed(section, case["instead_of"], case["write"]) if "instead_of" in case else None
    return write_policy(folder, **{section: text})


def refusal(folder: Path) -> DocumentsRefused:
    """Return how a folder is refused; a failure where it is not."""
    with pytest.raises(DocumentsRefused) as caught:
        load_strategy(folder)
    return caught.value


def refused_in_s(folder: Path) -> tuple[float, tuple[Problem, ...]]:
    """Return the CPU seconds that a refusal takes, and its problems."""
    start = time.process_time()
    problems = refusal(folder).problems
    return time.process_time() - start, problems


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Strategy:
    """Return the strategy of tests/core/policies.py."""
    return load_strategy(write_policy(tmp_path_factory.mktemp("policy") / "good"))


# ------------------------------------------------------------------------------------------------------ what is read


def test_layers_are_read_with_owner_and_instead(policy: Strategy) -> None:
    """Rules of the three layers stand together, in the order of the layers, each with what it asks for instead."""
    assert [(rule.id, rule.layer) for rule in policy.eligibility] == [
        ("gold-greeting-for-gold", Layer.ELIGIBILITY),
        ("status-needs-a-ticket", Layer.ELIGIBILITY),
        ("phones-when-asked", Layer.APPLICABILITY),
        ("fibre-that-they-can-pay", Layer.SUITABILITY),
    ]
    assert [rule.instead for rule in policy.eligibility[1:3]] == [None, Selector(ids=("ticket-status",))]


def test_a_rule_knows_its_owner_and_when_it_is_in_force(policy: Strategy) -> None:
    """A date is midnight in UTC, a moment is in its zone, and a rule without either is always in force."""
    dated = policy.guardrails[1]
    assert (dated.owner, dated.valid) == ("Compliance", Valid(1_767_225_600_000, 4_070_905_200_000))
    assert policy.guardrails[0].valid is ALWAYS


@pytest.mark.parametrize(
    ("written", "ms"),
    [
        ("2026-12-01", 1_796_083_200_000),
        ("2026-12-01T00:00Z", 1_796_083_200_000),
        ("2026-12-01T00:00:00+00:00", 1_796_083_200_000),
        ("'2026-12-01 00:00:00Z'", 1_796_083_200_000),
        ("2026-12-01T01:30:00.5+01:30", 1_796_083_200_500),
    ],
)
def test_dates_and_moments(tmp_path: Path, written: str, ms: int) -> None:
    """A moment can be written as a date, or with a time and its zone."""
    text = changed("guardrails", "from: 2026-01-01", f"from: {written}")
    assert load_strategy(write_policy(tmp_path, guardrails=text)).guardrails[1].valid.from_ms == ms


def test_a_weight_counts_only_while_it_is_in_force(tmp_path: Path) -> None:
    """The validity of a weight is a part of its condition: outside of it the weight is known not to hold."""
    text = changed(
        "weights", "factor: 1.5", "factor: 1.5\n    from: 2026-12-01\n    until: 2027-01-01\n    owner: Sales"
    )
    strategy = load_strategy(write_policy(tmp_path, weights=text))
    (weight,), index = strategy.weights, dict(strategy.schema.index)
    assert weight.owner == "Sales"
    assert weight.valid == Valid(1_796_083_200_000, 1_798_761_600_000)
    values: list[Any] = [None] * len(index)
    values[index["present.cart_value"]] = 60.0
    holds = reading(weight.when.source, index)
    moments = [(weight.valid.from_ms or 0) + at for at in (-1, 0, 31 * DAY - 1, 31 * DAY)]
    assert [holds(values, now) for now in moments] == [False, True, True, False]


def test_a_weight_that_is_in_force_for_a_time_may_end_in_a_comment(tmp_path: Path) -> None:
    """What is written behind the condition of a weight ends with its line, and its validity holds all the same."""
    text = changed("weights", "factor: 1.5", "factor: 1.5\n    from: 2026-12-01")
    commented = text.replace("when: present.cart_value > 50.0", 'when: "present.cart_value > 50.0 // a full cart"')
    assert commented != text
    strategy = load_strategy(write_policy(tmp_path, weights=commented))
    (weight,), index = strategy.weights, dict(strategy.schema.index)
    holds = Judge(strategy)._conditions
    values: list[Any] = [None] * len(index)
    values[index["present.cart_value"]] = 60.0
    assert [holds(values, (weight.valid.from_ms or 0) + at)[-1] for at in (-1, 0)] == [False, True]


def test_a_condition_that_is_read_alone_and_not_beside_its_validity_is_refused_at_its_line(
    tmp_path: Path, policy: Strategy
) -> None:
    """What is composed is checked as well: a condition at the limit of depth is a problem, with its file and line."""
    text = changed("weights", "factor: 1.5", "factor: 1.5\n    from: 2026-12-01\n    until: 2027-01-01")
    alone = deepest(policy.schema)
    load_strategy(write_policy(tmp_path / "alone", weights=nested(POLICY["weights"], alone)))
    (problem,) = refusal(write_policy(tmp_path / "both", weights=nested(text, alone))).problems
    assert problem.file.endswith("weights.yaml")
    assert problem.line == 1 + nested(text, alone)[: nested(text, alone).index("    when:")].count("\n")
    assert problem.message.startswith("`when` cannot be read beside `from` and `until`: ")


def nested(text: str, depth: int) -> str:
    """Return the weight with a condition inside so many brackets."""
    condition = "present.cart_value > 50.0"
    return text.replace(f"when: {condition}", f"when: {'(' * depth}{condition}{')' * depth}")


def deepest(schema: ContextSchema) -> int:
    """Return the most brackets around a condition with which it is read."""
    depth = 1
    while True:
        try:
            check_condition(f"{'(' * depth}true{')' * depth}", schema)
        except ConditionRefused:
            return depth - 1
        depth += 1


def test_attributes_of_actions_are_read(policy: Strategy) -> None:
    """Each attribute has its type, in the order of their declaration; an action that says nothing has none."""
    assert [attribute.name for attribute in policy.attributes] == [
        "price", "tiers", "months", "bundled", "maker", "sold_until",
    ]  # fmt: skip
    values = dict(policy.actions[3].attributes)
    assert values == {
        "price": 29.5, "tiers": ("gold",), "months": 24, "bundled": False, "maker": "Nord",
        "sold_until": 1_814_313_600_000,
    }  # fmt: skip
    assert policy.actions[0].attributes == ()


def test_recovery_is_a_guardrail(policy: Strategy) -> None:
    """After so many bad experiences what sells is forbidden, and a greeting is asked for."""
    rule = next(rule for rule in policy.guardrails if rule.id == "win-back")
    assert (rule.when.source, rule.forbid, rule.instead) == (
        "past.failed_7d >= 3",
        OFFERS,
        Selector(ids=("greet-gold",)),
    )


def test_recovery_may_sum(tmp_path: Path) -> None:
    """A sum over a window is compared as a double, so that the condition has one type."""
    text = changed("recovery", "past.failed_7d\n    reaches: 3", "past.failed_cost_30d\n    reaches: 3")
    rule = load_strategy(write_policy(tmp_path, recovery=text)).guardrails[2]
    assert rule.when.source == "past.failed_cost_30d >= 3.0"


HOURS = [
    ("21:00-08:00", "", {21, 22, 23, *range(8)}),
    ("12:00-14:00", "", {12, 13}),
    ("00:00-06:00", "", set(range(6))),
    ("22:00-24:00", "", {22, 23}),
    ("22:00-00:00", "", {22, 23}),
    ("23:00 - 22:00", "", set(range(24)) - {22}),
]


@pytest.mark.parametrize(("between", "quiet"), [(row[0], row[2]) for row in HOURS], ids=[row[0] for row in HOURS])
def test_quiet_hours_hold_from_the_first_hour_to_the_last(tmp_path: Path, between: str, quiet: set[int]) -> None:
    """Quiet hours begin with their first hour and end with their last one, past midnight too, on every day."""
    holds = quiet_at(tmp_path, f'between: "{between}"')
    assert {hour for hour in range(24) for day in range(1, 8) if holds(hour, day)} == quiet
    assert all(holds(hour, day) is (hour in quiet) for hour in range(24) for day in range(1, 8))


def test_quiet_hours_past_midnight_belong_to_the_day_on_which_they_begin(tmp_path: Path) -> None:
    """The night of Friday lasts into Saturday, that of Sunday into Monday, and no other night is quiet."""
    holds = quiet_at(tmp_path, 'between: "21:00-08:00"\n    weekdays: [friday, sunday]')
    quiet = {(hour, day) for hour in range(24) for day in range(1, 8) if holds(hour, day)}
    evenings = {(hour, day) for hour in (21, 22, 23) for day in (5, 7)}
    assert quiet == evenings | {(hour, day) for hour in range(8) for day in (6, 1)}


def test_an_unknown_hour_is_quiet(tmp_path: Path) -> None:
    """Where the hour is not known, nobody can tell that it is not quiet."""
    assert quiet_at(tmp_path, 'between: "21:00-08:00"')(None, None) is None


def quiet_at(folder: Path, written: str) -> Any:  # noqa: ANN401  a function of hour and weekday
    """Return what the quiet hours' condition says of an hour and a weekday."""
    text = changed("quiet_hours", 'between: "21:00-08:00"', written)
    strategy = load_strategy(write_policy(folder, quiet_hours=text))
    index = dict(strategy.schema.index)
    rule = next(rule for rule in strategy.guardrails if rule.id == "quiet-nights")
    holds = reading(rule.when.source, index)

    def at(hour: int | None, weekday: int | None) -> object:
        values: list[Any] = [None] * len(index)
        values[index["present.hour"]], values[index["present.weekday"]] = hour, weekday
        return holds(values, 0)

    return at


def test_quiet_hours_know_their_hours(policy: Strategy) -> None:
    """The guardrail keeps from when until when it is quiet, so that the answer can say when that ends."""
    assert [rule.quiet for rule in policy.guardrails] == [None, None, None, (21, 8), (0, 24)]


@pytest.mark.parametrize(
    ("days", "quiet"), [("saturday", (0, 24)), ("saturday, sunday", None), ("monday, sunday", None)]
)
def test_whole_days_in_a_row_end_at_no_one_hour(tmp_path: Path, days: str, quiet: tuple[int, int] | None) -> None:
    """The first of two whole days does not end at midnight, so no hour is told as its end."""
    text = changed("quiet_hours", "weekdays: [sunday]", f"weekdays: [{days}]")
    rules = load_strategy(write_policy(tmp_path, quiet_hours=text)).guardrails
    assert rules[-1].quiet == quiet


def test_caps_say_what_counts_and_for_whom(policy: Strategy) -> None:
    """A day is 25 hours at the longest; what is shown is reserved for a while; a household may count together."""
    assert policy.caps[2] == Cap(
        "one-offer-a-day", "One offer of a group a day.", OFFERS, 1, 90_000_000, (Per.GROUP,),
        True, Counts.SHOWN, 600_000, False, Selector(kinds=(Kind.GREETING,)), "Marketing",
    )  # fmt: skip
    assert (policy.caps[0].counts, policy.caps[0].hold_ms, policy.caps[0].household) == (Counts.DECIDED, 0, False)
    assert (policy.caps[3].counts, policy.caps[3].within_ms, policy.caps[3].household) == (
        Counts.DECIDED,
        7 * DAY,
        True,
    )
    assert policy.household == "past.household"


@pytest.mark.parametrize(("within", "hold_ms"), [("7d", 1_800_000), ("10m", 600_000)])
def test_a_reservation_lasts_half_an_hour_unless_said_otherwise(tmp_path: Path, within: str, hold_ms: int) -> None:
    """What need not be said: half an hour, or all of a window that is shorter."""
    text = changed("caps", "within: day", f"within: {within}").replace("    hold: 10m\n", "")
    assert load_strategy(write_policy(tmp_path, caps=text)).caps[2].hold_ms == hold_ms


def test_cool_offs_are_read(policy: Strategy) -> None:
    """A cool-off rests longer with every answer, or for good; without `per` it is the action that rests."""
    after, never = policy.cool_offs
    assert after == CoolOff(
        "after-a-no", "Who says no hears nothing of the kind for a month, then for three.", OFFERS,
        (Answered.REFUSED, Answered.NOT_NOW), (30 * DAY, 90 * DAY), 365 * DAY, (Per.GROUP,),
    )  # fmt: skip
    assert (never.after, never.durations_ms, never.per, never.permanent) == ((Answered.NEVER,), (), (Per.ACTION,), True)
    assert never.forget_ms > 36_000 * DAY


def test_one_rest_needs_no_list(tmp_path: Path) -> None:
    """`for: 30d` is `for: [30d]`, and answers count for two years unless said otherwise."""
    text = changed("cool_offs", "for: [30d, 90d]", "for: 30d").replace("    forget: 365d\n", "")
    rule = load_strategy(write_policy(tmp_path, cool_offs=text)).cool_offs[0]
    assert (rule.durations_ms, rule.forget_ms) == ((30 * DAY,), 730 * DAY)


def test_promises_are_read(policy: Strategy) -> None:
    """A promise knows what it keeps, for how long, and which facts end it."""
    assert policy.promises == (
        Promise("the-same-price-everywhere", "What was offered is offered everywhere.", OFFERS, 7 * DAY, (),
                ("past.plan", "predicted.churn")),
    )  # fmt: skip


def test_exemptions_are_read(policy: Strategy) -> None:
    """An exemption names its actions, the rules, and the permission to contact."""
    law, tickets = policy.exemptions
    assert law == Exemption(
        "the-law-first", "What the law demands is told to everyone, at any hour.", Selector(ids=("legal-notice",)),
        ("quiet-nights", CONTACT_PERMISSION), valid=Valid(None, 3_786_912_000_000),
    )  # fmt: skip
    assert tickets.exempt_from == ("quiet-nights",)


def test_fields_say_whether_words_may_name_them(tmp_path: Path) -> None:
    """A field is expected unless it is marked; what a model writes is inferred, or sensitive."""
    marked = changed("fields", "says: The town they live in.\n", "says: The town they live in.\n    told: sensitive\n")
    fields = {field.id: field.told for field in load_strategy(write_policy(tmp_path, fields=marked)).schema.fields}
    assert fields["past.city"] is Told.SENSITIVE
    assert fields["predicted.churn"] is Told.INFERRED
    assert {fields["past.household"], fields["present.hour"]} == {Told.EXPECTED}
    model = changed("fields", "source: model}", "source: model, told: sensitive}")
    schema = load_strategy(write_policy(tmp_path / "model", fields=model)).schema
    assert schema.fields[schema.index["predicted.churn"]].told is Told.SENSITIVE


def test_cases_are_no_part_of_the_strategy(tmp_path: Path, policy: Strategy) -> None:
    """What stands in the folder `cases` is not read as a document and changes no version; another folder is refused."""
    folder = write_policy(tmp_path / "good")
    (folder / "cases").mkdir()
    (folder / "cases" / "first.yaml").write_text("cases: [", encoding="utf-8")
    assert load_strategy(folder).version == policy.version
    (folder / "case").mkdir()
    (folder / "case" / "first.yaml").write_text("cases: []", encoding="utf-8")
    assert [str(problem) for problem in refusal(folder).problems] == [
        "case/first.yaml:1: is in a subfolder, which is not read; move it up"
    ]


# ----------------------------------------------------------------------------------------------------- bad strategies


@pytest.mark.parametrize("case", cases(), ids=lambda case: str(case["claim"]))
def test_a_bad_policy_is_refused_at_once_with_place_and_remedy(case: Case, tmp_path: Path) -> None:
    """Each case is refused with exactly its problems, each with file, line and remedy, in less than 100 ms of CPU."""
    folder = bad(tmp_path, case)
    taken, found = refused_in_s(folder)
    assert len(found) == len(case["refused"]), [str(problem) for problem in found]
    for problem, wanted in zip(found, case["refused"], strict=True):
        assert str(problem).startswith(wanted)
        assert "; " in problem.message
    in_time = [taken < LONGEST_S, refused_in_s(folder)[0] < LONGEST_S]
    assert all(in_time) or (any(in_time) and refused_in_s(folder)[0] < LONGEST_S), "the median of three, at most"


POLICIES = sorted(set(POLICY) - set(SECTIONS) | {"caps", "guardrails", "weights", "fields", "actions"})
WORDS = """
    id says owner from until instead forbid permit count about keep actions exempt_from at_most within day per counts
    hold by household after for permanent forget until_changes between weekdays reaches field type attributes told
    [refused] [30d,90d] {all:true} {ids:[apology]} "21:00-08:00" 2026-01-01 2026-01-01T00:00Z true 7d offer group 3
"""
policy_words = st.sampled_from(WORDS.split())


@relaxed
@given(st.sampled_from(POLICIES), st.data())
def test_arbitrary_edits_of_policy_are_refused_and_nothing_else(section: str, data: st.DataObject) -> None:
    """Whatever is put in place of a word of a good policy, it is refused with a remedy, or loads and compiles."""
    text = POLICY[section]
    found = [match.span() for match in re.finditer(r"[^\s:,{}\[\]]+", text)]
    start, end = data.draw(st.sampled_from(found))
    new = data.draw(policy_words | st.text(max_size=5))
    with tempfile.TemporaryDirectory() as folder:
        spoiled = (text[:start] + new + text[end:]).encode("utf-8", "replace").decode()
        compiles_or_is_refused(write_policy(Path(folder), **{section: spoiled}))


def compiles_or_is_refused(folder: Path) -> None:
    """Load a folder and compile what was loaded; anything but that or a refusal is a failure."""
    problems: tuple[Problem, ...] = ()
    try:
        Engine(load_strategy(folder), None)
    except DocumentsRefused as refused:
        problems = refused.problems
    assert all(problem.line >= 1 and "; " in problem.message for problem in problems)


@relaxed
@given(st.sampled_from(POLICIES), st.lists(st.dictionaries(policy_words, trees, max_size=8), min_size=1, max_size=3))
def test_arbitrary_rules_are_refused_and_nothing_else(section: str, rules: list[object]) -> None:
    """Whatever stands in place of the rules of a section, the loader refuses it in words."""
    with tempfile.TemporaryDirectory() as folder:
        harmless(write_policy(Path(folder), **{section: json.dumps({section: rules})}))


def test_there_are_more_than_forty_kinds_of_bad_policy() -> None:
    """The tables claim enough, each case something else, in every section of policy."""
    found = cases()
    assert len({case["claim"] for case in found}) == len(found) > 100
    assert {case["section"] for case in found} >= {
        "applicability", "suitability", "guardrails", "attributes", "actions", "quiet_hours", "recovery", "caps",
        "household", "cool_offs", "consistency", "exemptions", "weights", "fields",
    }  # fmt: skip


def test_decisions_before_and_after_refused_strategies_are_the_same(tmp_path: Path, policy: Strategy) -> None:
    """Whatever bad strategies are loaded meanwhile, a good one decides as it did, byte by byte, loaded anew or not."""
    before = decisions(policy)
    assert len(set(before)) > len(before) // 2, "the decisions differ from each other"
    for place, case in enumerate(cases()):
        refusal(bad(tmp_path / str(place), case))
    assert decisions(policy) == before
    assert decisions(load_strategy(write_policy(tmp_path / "again"))) == before
