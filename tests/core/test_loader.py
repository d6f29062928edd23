from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from models.context import FoldKind, Purpose, Tense, ValueType
from models.documents import DocumentsRefused, Problem
from service.core.cel import check_condition
from service.core.loader import load_strategy
from service.core.rules import Kind, Per, Selector
from service.core.strategy import Strategy, Treatment
from tests.strategies import SECTIONS, edited, write_strategy

LONGEST_S = 0.1


@dataclass(frozen=True)
class Case:
    claim: str
    section: str
    text: str | None
    refused: tuple[str, ...]

    @classmethod
    def of(cls, table: str, written: dict[str, Any]) -> Case:
        """Read a case as its table writes it."""
        text = written.get("write")
        if "instead_of" in written:
            text = edited(written["section"], written["instead_of"], written["write"])
        return cls(f"{table}: {written['claim']}", written["section"], text, tuple(written["refused"]))


def cases() -> list[Case]:
    """Return the cases of all tables."""
    tables = sorted((Path(__file__).parent / "bad_strategies").glob("*.yaml"))
    return [Case.of(t.stem, case) for t in tables for case in yaml.safe_load(t.read_text(encoding="utf-8"))]


def refusal(folder: Path) -> DocumentsRefused:
    """Return how a folder is refused; a failure where it is not."""
    with pytest.raises(DocumentsRefused) as caught:
        load_strategy(folder)
    return caught.value


def refusal_s(folder: Path) -> float:
    """Return the CPU seconds that a refusal takes."""
    start = time.process_time()
    refusal(folder)
    return time.process_time() - start


@pytest.fixture
def small(tmp_path: Path) -> Strategy:
    """Return the strategy of tests/strategies.py."""
    return load_strategy(write_strategy(tmp_path))


# ---------------------------------------------------------------------------------------------------- good strategies


def test_the_head_is_read(small: Strategy) -> None:
    """A strategy knows its name, currency, safe greeting, exploration and the fields that models see."""
    assert (small.name, small.currency, small.safe_greeting, small.explore) == ("small", "EUR", "greet", 0.05)
    assert small.features[:2] == ("past.tier", "past.phones")


def test_consent_levels_keep_their_order(small: Strategy) -> None:
    """The first consent level is the lowest, and each has its purposes."""
    assert [level.id for level in small.levels] == ["none", "service", "personal", "full"]
    assert small.levels[0].purposes == ()
    assert small.levels[2].purposes == (Purpose.SERVICE, Purpose.PERSONALIZATION)


def test_channels_know_their_placements_and_whether_they_need_permission(small: Strategy) -> None:
    """Only the channel that says so needs the customer's permission."""
    assert [(c.id, c.permission) for c in small.channels] == [("web", False), ("desk", False), ("email", True)]
    assert small.channels[0].placements == ("greeting", "hero")


def test_an_action_is_read_with_its_money_and_a_treatment_a_placement(small: Strategy) -> None:
    """An action keeps its numbers, and each placement gets a treatment of its own."""
    action = small.actions[2]
    assert (action.index, action.id, action.kind, action.group) == (2, "fibre-upgrade", Kind.OFFER, "internet")
    assert (action.value, action.reward, action.cost, action.lever, action.propensity) == (60, 10, 0.1, 1.2, 0.03)
    assert action.treatments[1] == Treatment("web", "hero", "Three times faster for 10 € more.")
    assert len(action.treatments) == 4


def test_what_an_action_leaves_out_has_defaults(small: Strategy) -> None:
    """Without numbers an action costs and earns nothing, and its lever is one."""
    greet = small.actions[0]
    assert (greet.value, greet.reward, greet.cost, greet.lever, greet.group, greet.tags) == (0, 0, 0, 1, "", ())


def test_rules_are_read(small: Strategy) -> None:
    """Guardrails, eligibility rules, caps and weights are read with their selectors, conditions and windows."""
    guardrail = small.guardrails[0]
    assert guardrail.forbid == Selector(intents=("upsell", "cross_sell"))
    assert guardrail.instead == Selector(intents=("service", "recovery"))
    assert (guardrail.when.source, guardrail.when.file, guardrail.when.line) == (
        "past.open_tickets > 0",
        "guardrails.yaml",
        5,
    )
    assert [rule.permit.ids for rule in small.eligibility] == [("greet-gold",), ("ticket-status",)]
    assert (small.caps[0].count.kinds, small.caps[0].at_most, small.caps[0].within_ms) == (
        (Kind.OFFER,),
        2,
        604_800_000,
    )
    assert small.caps[1].per == (Per.CHANNEL,)
    assert (small.weights[0].factor, small.weights[0].boost.groups) == (1.5, ("phones",))


def test_all_selects_everything_and_no_condition_means_always(tmp_path: Path) -> None:
    """A guardrail over all actions without a condition has an empty selector and an empty condition."""
    text = "guardrails:\n  - {id: hush, says: Nothing at all., forbid: {all: true}}\n"
    rule = load_strategy(write_strategy(tmp_path, guardrails=text)).guardrails[0]
    assert (rule.forbid, rule.when.source, rule.instead) == (Selector(), "", None)


def test_the_context_is_read(small: Strategy) -> None:
    """Fields keep their declared order, tense, type and fold; every kind of fold is there but for rates."""
    schema = small.schema
    assert {field.fold.kind for field in schema.fields if field.fold} == set(FoldKind) - {FoldKind.RATE, FoldKind.MODEL}
    field = schema.fields[schema.index["past.open_tickets"]]
    assert (field.tense, field.type, field.max_age_ms) == (Tense.PAST, ValueType.INT, 400 * 86_400_000)


def test_sections_may_be_spread_over_documents(tmp_path: Path, small: Strategy) -> None:
    """Lists of one section in several documents are joined in the order of the documents' names."""
    head, rest = SECTIONS["actions"].split("  - id: new-phone\n")
    parts = {"actions": None, "a1": head, "a2": "actions:\n  - id: new-phone\n" + rest}
    spread = load_strategy(write_strategy(tmp_path / "spread", **parts))
    assert [action.id for action in spread.actions] == [action.id for action in small.actions]


def test_everything_may_stand_in_one_document(tmp_path: Path, small: Strategy) -> None:
    """One document with all sections says the same as a document a section."""
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "all.yaml").write_text("".join(SECTIONS.values()), encoding="utf-8")
    one = load_strategy(tmp_path / "one")
    assert (one.schema, one.actions, one.caps) == (small.schema, small.actions, small.caps)


def test_rules_fields_and_models_are_optional(tmp_path: Path) -> None:
    """A strategy that only greets needs neither context nor rules."""
    left_out = ("events", "fields", "guardrails", "eligibility", "caps", "weights", "model")
    strategy = load_strategy(write_strategy(tmp_path, **dict.fromkeys(left_out)))
    assert (strategy.schema.fields, strategy.guardrails, strategy.features) == ((), (), ())


def test_the_version_names_the_content(tmp_path: Path, small: Strategy) -> None:
    """The same documents have the same version wherever they stand; any change of a byte gives another."""
    again = load_strategy(write_strategy(tmp_path / "again"))
    other = load_strategy(write_strategy(tmp_path / "other", caps=SECTIONS["caps"] + "# a remark\n"))
    assert again.version == small.version
    assert other.version != small.version
    name, _, digest = small.version.partition("@")
    assert (name, len(digest)) == ("small", 12)


def test_conditions_in_blocks_are_kept(tmp_path: Path) -> None:
    """A condition over several lines is checked and kept as one expression."""
    block = "when: |\n      past.open_tickets > 0\n      || past.worst_score < 3\n"
    text = edited("guardrails", "when: past.open_tickets > 0\n", block)
    strategy = load_strategy(write_strategy(tmp_path, guardrails=text))
    checked = check_condition(strategy.guardrails[0].when.source, strategy.schema)
    assert checked.fields == ("past.open_tickets", "past.worst_score")


# ----------------------------------------------------------------------------------------------------- bad strategies


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.claim)
def test_a_bad_strategy_is_refused_with_place_and_remedy(case: Case, tmp_path: Path) -> None:
    """Each case of the tables is refused with exactly its problems, each with file, line and what would be right."""
    found = refusal(write_strategy(tmp_path, **{case.section: case.text})).problems
    assert len(found) == len(case.refused), [str(problem) for problem in found]
    for problem, wanted in zip(found, case.refused, strict=True):
        assert str(problem).startswith(wanted)
        assert "; " in problem.message


def test_bad_strategies_are_refused_at_once(tmp_path: Path) -> None:
    """Refusing takes less than 100 ms of CPU, whichever case of the tables it is."""
    for number, case in enumerate(cases()):
        folder = write_strategy(tmp_path / str(number), **{case.section: case.text})
        assert refusal_s(folder) < LONGEST_S or refusal_s(folder) < LONGEST_S, case.claim


def test_the_tables_are_large_enough() -> None:
    """There are more than a hundred bad strategies, and each claims something else."""
    claims = [case.claim for case in cases()]
    assert len(claims) > 100
    assert len(set(claims)) == len(claims)


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    """Problems of different kinds in different documents come in one refusal, sorted by file and line."""
    folder = write_strategy(
        tmp_path,
        actions=edited("actions", "propensity: 0.03", "propensity: 3"),
        caps=edited("caps", "at_most: 2", "at_most: 2\n    at_most: 3"),
        events=edited("events", "product: string", "product: string\n      oops: strnig"),
        fields=edited("fields", "max_age: 90d", "max_age: 90"),
        guardrails=edited("guardrails", "past.open_tickets > 0", "past.open_tickets > 0.0"),
        strategy=edited("strategy", "EUR", "euro") + "  more: 1\n",
        wights="wights: []\n",
    )
    found = refusal(folder)
    places = [(problem.file, problem.line) for problem in found.problems]
    assert places == sorted(places)
    assert {file for file, _ in places} == {
        "actions.yaml", "caps.yaml", "events.yaml", "fields.yaml", "guardrails.yaml", "strategy.yaml", "wights.yaml",
    }  # fmt: skip
    assert len(found.problems) == 8
    assert str(found).splitlines() == [str(problem) for problem in found.problems]


def test_a_condition_over_a_broken_field_is_not_called_wrong(tmp_path: Path) -> None:
    """A field that cannot be read is reported once, not again at each rule and model that uses it."""
    text = edited("fields", "type: int\n    purpose: service\n    max_age: 400d", "type: integer\n    purpose: service")
    assert [str(p) for p in refusal(write_strategy(tmp_path, fields=text)).problems] == [
        "fields.yaml:4: `type` is `integer`; write bool, int, double, string, timestamp or strings"
    ]


# -------------------------------------------------------------------------------------------------- hostile documents


def billion_laughs() -> str:
    """Return aliases of aliases, nine at a time."""
    levels = zip("abcdefgh", "bcdefghi", strict=True)
    return "a: &a [x]\n" + "".join(f"{outer}: &{outer} [{f'*{inner},' * 9}]\n" for inner, outer in levels)


HOSTILE: dict[str, Callable[[], str]] = {
    "a billion laughs": billion_laughs,
    "brackets without end": lambda: "[" * 900_000,
    "braces without end": lambda: "{a: " * 200_000,
    "dashes without end": lambda: "- " * 400_000,
    "a hundred thousand values": lambda: "weights: [" + "1," * 110_000 + "]",
    "forty thousand unknown keys": lambda: "".join(f"k{n}: 1\n" for n in range(40_000)),
    "a very long word": lambda: "weights: " + "1" * 900_000,
    "a very long key": lambda: "? " + "k" * 900_000 + "\n: 1\n",
    "a very long number": lambda: "strategy: {explore: " + "9" * 900_000 + "}",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_documents_cost_little(text: Callable[[], str], tmp_path: Path) -> None:
    """A document made to exhaust memory, stack or time is refused within seconds and in a message of bounded length."""
    folder = write_strategy(tmp_path, hostile=text())
    start = time.process_time()
    assert len(str(refusal(folder))) < 300_000
    assert time.process_time() - start < 3.0


def harmless(folder: Path) -> None:
    """Load a folder; anything but a strategy or a refusal is a failure."""
    found: tuple[Problem, ...] = (Problem("none", 1, "none"),)
    try:
        load_strategy(folder)
    except DocumentsRefused as refused:
        found = refused.problems
    assert found
    assert all(problem.line >= 1 and problem.message for problem in found)


relaxed = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@relaxed
@given(st.binary(max_size=400))
@example(b"\xff\xfe")
@example(b"\xef\xbb\xbfa: 1")
@example(b"%TAG ! tag:x,2000:\n--- !y\na: 1")
@example(b'a: "\\ud800"')
@example(b"? ? ? a\n: b")
def test_arbitrary_bytes_are_refused_and_nothing_else(content: bytes) -> None:
    """Whatever bytes a document holds, the loader refuses them in words."""
    with tempfile.TemporaryDirectory() as folder:
        write_strategy(Path(folder), model=None)
        (Path(folder) / "model.yaml").write_bytes(content)
        harmless(Path(folder))


WORDS = """
id says kind type fold event attribute where values low high key when forbid permit count boost instead all ids kinds
channels channel placements text treatments per within at_most factor features name explore none true 7d string int
open last purchase amount past.spend past.tier offer web greet apology
"""
words = st.sampled_from(WORDS.split())
scalars = words | st.text(max_size=6) | st.integers() | st.floats() | st.booleans() | st.none()
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words | st.text(max_size=4), inner, max_size=6)
)


@relaxed
@given(st.sampled_from(sorted(SECTIONS)), trees)
def test_arbitrary_structures_are_refused_and_nothing_else(section: str, tree: object) -> None:
    """Whatever structure stands in place of a section, the loader refuses it in words."""
    with tempfile.TemporaryDirectory() as folder:
        text = json.dumps({section: tree}, ensure_ascii=True)
        harmless(write_strategy(Path(folder), **{section: text}))


@relaxed
@given(st.sampled_from(sorted(SECTIONS)), st.data())
def test_arbitrary_edits_are_refused_and_nothing_else(section: str, data: st.DataObject) -> None:
    """Whatever is put in place of a word of a good document, the loader accepts it or refuses it in words."""
    lines = SECTIONS[section].split("\n")
    number = data.draw(st.integers(0, len(lines) - 1))
    start = data.draw(st.integers(0, len(lines[number])))
    end = data.draw(st.integers(start, len(lines[number])))
    lines[number] = lines[number][:start] + data.draw(words | st.text(max_size=5)) + lines[number][end:]
    text = "\n".join(lines).encode("utf-8", "replace").decode()
    with tempfile.TemporaryDirectory() as folder:
        harmless(write_strategy(Path(folder), **{section: text}))
