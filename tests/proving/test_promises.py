"""Each sort of promise is proven where it holds, and broken with a reason where it does not."""

from __future__ import annotations

from pathlib import Path

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


def proofs(folder: Path, promises: str, **changes: str) -> dict[str, Proof]:
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
