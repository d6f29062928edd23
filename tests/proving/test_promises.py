"""Each sort of promise is proven where it holds, and broken with a reason where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.core.loader import load_strategy
from service.proving.proofs import Proof, Ruling
from service.proving.prove import Wanted, prove
from service.proving.words import proof_lines
from tests.cli.commands import typed
from tests.core.policies import POLICY, write_policy

ENDLESS = """\
  - id: once-is-enough
    says: Who ever had bad contacts that cost anything is sold nothing.
    forbid: {kinds: [offer]}
    when: past.failures > 0
"""
COUNT = """\
  - id: past.failures
    says: All bad contacts.
    type: int
    purpose: service
    fold: {kind: count, event: contact.failed}
"""


def proofs(folder: Path, promises: str, **changes: str | None) -> dict[str, Proof]:
    """Return the proofs of these promises, by their ids."""
    strategy = load_strategy(write_policy(folder, **{"invariants": f"invariants:\n{promises}", **changes}))
    found = prove(strategy, Wanted(only=tuple(one.written.id for one in strategy.invariants), findings=False)).proofs
    for proof in found:
        assert all("\n" not in line for line in proof_lines(proof, strategy))
    return {proof.id: proof for proof in found}


def test_a_suppression_that_never_ends_is_told_unless_it_is_meant(tmp_path: Path) -> None:
    """A count that only grows holds back for good; named as an exception it is what was meant."""
    rules = {"fields": POLICY["fields"] + COUNT, "guardrails": POLICY["guardrails"] + ENDLESS}
    promises = (
        "  - {id: all, says: All ends., always: suppressions end}\n"
        "  - {id: others, says: All others end., always: suppressions end, except: [once-is-enough]}\n"
    )
    found = proofs(tmp_path, promises, **rules)
    assert found["all"].ruling is Ruling.BROKEN
    assert "once-is-enough" in found["all"].why
    assert "once-is-enough" not in found["others"].why


def test_what_is_unknown_breaks_a_promise_unless_it_is_said_to_permit(tmp_path: Path) -> None:
    """A rule that looks at something else lets the unknown through: only who says so has promised less."""
    guard = POLICY["guardrails"].replace(
        "when: past.open_tickets > 0", "when: past.open_tickets > 0 && past.open_tickets < 1000000", 1
    )
    promise = (
        "never: action.kind == 'offer', while: past.open_tickets == 5 || (past.tier == 'gold' && past.tier != 'gold')"
    )
    promises = f"  - {{id: strict, says: S., {promise}}}\n  - {{id: loose, says: L., {promise}, unknown: permits}}\n"
    found = proofs(tmp_path, promises, guardrails=guard)
    assert found["strict"].ruling is Ruling.BROKEN
    assert found["loose"].ruling is Ruling.PROVEN


def test_permission_can_be_promised_of_a_channel_that_does_not_ask(tmp_path: Path) -> None:
    """On a channel that a promise names, whatever is said unasked breaks it; on others only what is exempt."""
    promises = (
        "  - {id: web, says: W., never: contact without permission, on: [web]}\n"
        "  - {id: law, says: L., never: contact without permission, except: {ids: [legal-notice]}}\n"
        "  - {id: none, says: N., never: contact without permission}\n"
    )
    found = proofs(tmp_path, promises)
    assert {name: proof.ruling for name, proof in found.items()} == {
        "web": Ruling.BROKEN,
        "law": Ruling.PROVEN,
        "none": Ruling.BROKEN,
    }
    assert found["none"].example is not None
    assert found["none"].example.action == "legal-notice"


HANDED_OVER = """\
caps:
  - {id: until-then, says: One., count: {kinds: [offer]}, at_most: 1, within: 7d, until: 2027-01-01}
  - {id: from-then, says: One., count: {kinds: [offer]}, at_most: 1, within: 7d, from: 2027-01-01}
"""
ONCE = "  - {id: once, says: Once., at_most: 1, of: {kinds: [offer]}, within: 7d}\n"


def test_what_cannot_be_told_is_said_in_words_and_ends_with_three(tmp_path: Path) -> None:
    """Two caps that follow each other let one more through between them, which no one customer is found for."""
    folder = write_policy(tmp_path, caps=HANDED_OVER, invariants=f"invariants:\n{ONCE}")
    ran = typed("prove", folder, "--only", "once", "--no-cache")
    assert ran.returncode == 3
    assert ran.stdout.startswith("unknown  once (invariants.yaml:2): Once.")
    assert "the caps let more through" in ran.stdout


PLAIN = dict.fromkeys(
    ("recovery", "quiet_hours", "applicability", "suitability", "cool_offs", "consistency", "exemptions", "caps")
)
"""The policy without what costs the solver time and has no part in the question."""
ALL_END = "  - {id: all, says: All ends., always: suppressions end}\n"
ENDLESS_RULES = {
    "a guardrail without a condition": ("guardrails", "  - {id: shut, says: S., forbid: {kinds: [offer]}}\n"),
    "a permit that never permits": (
        "eligibility",
        "  - {id: shut, says: S., permit: {kinds: [offer]}, when: 'false'}\n",
    ),
}


@pytest.mark.parametrize("what", ENDLESS_RULES)
def test_what_never_lets_go_is_no_suppression_that_ends(what: str, tmp_path: Path) -> None:
    """Whatever the rule is, one that nothing can end breaks the promise; the same with an end keeps it."""
    section, rule = ENDLESS_RULES[what]
    found = proofs(tmp_path / "open", ALL_END, **{**PLAIN, section: f"{section}:\n{rule}"})["all"]
    assert found.ruling is Ruling.BROKEN
    assert "`shut`" in found.why
    ends = rule.replace("says: S.", "says: S., until: 2027-01-01")
    ended = proofs(tmp_path / "ended", ALL_END, **{**PLAIN, section: f"{section}:\n{ends}"})["all"]
    assert "`shut`" not in ended.why


@pytest.mark.parametrize("counts", ["shown", "clicked"])
@pytest.mark.parametrize("by", ["", ", counts: shown, hold: 1m"])
def test_how_often_something_is_shown_cannot_be_told(counts: str, by: str, tmp_path: Path) -> None:
    """What was decided before may be shown today: neither caps on what is decided nor on what is shown bound that."""
    caps = f"caps:\n  - {{id: two, says: Two., count: {{kinds: [offer]}}, at_most: 2, within: 7d{by}}}\n"
    promise = f"  - {{id: p, says: P., at_most: 2, of: {{kinds: [offer]}}, within: 7d, counts: {counts}}}\n"
    found = proofs(tmp_path, promise, **{**PLAIN, "caps": caps})["p"]
    assert found.ruling is Ruling.UNKNOWN
    assert f"what is {counts} is reported after it was decided" in found.why


@pytest.mark.parametrize(
    "promise",
    [
        "never: action.id == 'greet', while: past.open_tickets > 3",
        "never: action.id == 'greet', while: past.open_tickets > 3, unknown: permits",
        "at_most: 1, of: {ids: [greet]}, within: 7d",
    ],
)
def test_the_degraded_greeting_keeps_no_rule(promise: str, tmp_path: Path) -> None:
    """While no store answers all are greeted: what rules promise of the safe greeting is told as unknown, in words."""
    guard = "  - {id: calm, says: C., forbid: {kinds: [greeting]}, when: past.open_tickets > 2}\n"
    caps = "caps:\n  - {id: one, says: One., count: {ids: [greet]}, at_most: 1, within: 7d}\n"
    changes = {**PLAIN, "guardrails": f"guardrails:\n{guard}", "caps": caps}
    found = proofs(tmp_path / "web", f"  - {{id: p, says: P., {promise}}}\n", **changes)["p"]
    assert found.ruling is Ruling.UNKNOWN
    assert "while the store does not answer" in found.why
    if promise.startswith("never"):
        silent = proofs(tmp_path / "email", f"  - {{id: p, says: P., {promise}, on: [email]}}\n", **changes)["p"]
        assert silent.ruling is Ruling.PROVEN
