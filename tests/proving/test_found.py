"""Claims about what is found in strategies as people write them: one edit each, and those that come with Tact."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.core.loader import load_strategy
from service.core.strategy import Strategy
from service.proving.finding import Finding, FindingKind, Gravity
from service.proving.findings import findings
from tests.strategies import SECTIONS, edited, write_strategy

ROOT = Path(__file__).parents[2]
GUARDS, PERMITS, CAPS = SECTIONS["guardrails"], SECTIONS["eligibility"], SECTIONS["caps"]


def guard(when: str, forbid: str = "{kinds: [offer]}", more: str = "") -> str:
    """Return the guardrails with one more, `odd`."""
    return f"{GUARDS}  - {{id: odd, says: Odd., forbid: {forbid}, when: {when!r}{more}}}\n"


def permit(when: str, actions: str) -> str:
    """Return the permitting rules with one more, `odd`."""
    return f"{PERMITS}  - {{id: odd, says: Odd., permit: {{ids: [{actions}]}}, when: {when!r}}}\n"


def cap(text: str) -> str:
    """Return the caps with one more, `odd`."""
    return f"{CAPS}  - {{id: odd, says: Odd., {text}}}\n"


K, M, R = FindingKind, Gravity.MISTAKE, Gravity.REMARK
ODD: dict[str, tuple[dict[str, str], tuple[FindingKind, Gravity, tuple[str, ...]]]] = {
    "a rule about no less than another one": (
        {"guardrails": guard("past.open_tickets > 2")},
        (K.SWALLOWED_RULE, M, ("odd", "no-upsell-while-a-ticket-is-open")),
    ),
    "a rule that two others hold back together": (
        {
            "guardrails": guard("present.sentiment < 0.5", "{ids: [new-phone]}")
            + "  - {id: good, says: G., forbid: {ids: [new-phone]}, when: present.sentiment > 0.7}\n"
            + "  - {id: whole, says: W., forbid: {ids: [new-phone]}, when: present.sentiment < 0.2 ||"
            + " present.sentiment > 0.8}\n"
        },
        (K.DEAD_RULE, M, ("whole", "odd", "good")),
    ),
    "a rule from which all that it is about is exempt": (
        {
            "guardrails": guard("present.waiting", "{ids: [apology]}"),
            "exemptions": "exemptions:\n  - {id: free, says: F., actions: {ids: [apology]}, exempt_from: [odd]}\n",
        },
        (K.DEAD_RULE, M, ("odd",)),
    ),
    "a condition that is never true": (
        {"guardrails": guard("present.sentiment > 0.5 && present.sentiment < 0.1")},
        (K.NEVER_TRUE, M, ("odd",)),
    ),
    "a condition beyond the bounds of what comes in": (
        {"guardrails": guard("present.sentiment > 1.5")},
        (K.NEVER_TRUE, M, ("odd",)),
    ),
    "a condition that only asks whether something is known": (
        {"eligibility": permit("present.sentiment <= 1.0", "apology")},
        (K.ALWAYS_TRUE, R, ("odd",)),
    ),
    "a weight that never weighs": (
        {"weights": edited("weights", "present.cart_value > 50.0", "present.cart_value < 0.0")},
        (K.NEVER_TRUE, M, ("hot-cart",)),
    ),
    "an offer to people of two tiers at once": (
        {
            "eligibility": permit("past.tier == 'gold'", "new-phone")
            + "  - {id: basic, says: B., permit: {ids: [new-phone]}, when: past.tier == 'basic'}\n"
        },
        (K.CONTRADICTION, M, ("odd", "basic", "new-phone")),
    ),
    "an action that is forbidden whatever is known": (
        {"guardrails": guard("present.waiting || !present.waiting", "{ids: [apology]}")},
        (K.NEVER_SAID, M, ("apology", "odd")),
    ),
    "an action that one channel never says": (
        {"guardrails": guard("present.waiting || !present.waiting", "{ids: [apology], channels: [desk]}")},
        (K.NEVER_SAID, M, ("apology", "desk", "odd")),
    ),
    "an action that is never worth anything": (
        {"actions": edited("actions", "value: 3.0\n    cost: 0.01", "value: 3.0\n    cost: 1.00"), "model": ""},
        (K.NEVER_SAID, M, ("apology",)),
    ),
    "an action that nothing holds back": (
        {"caps": edited("caps", "count: {ids: [apology]}", "count: {ids: [ticket-status]}")},
        (K.NEVER_HELD_BACK, R, ("apology",)),
    ),
    "a greeting that is held back for those who wait": (
        {"guardrails": guard("present.waiting", "{kinds: [greeting, message, offer], channels: [web]}")},
        (K.GAP, M, ("web",)),
    ),
    "a greeting for the worst moment that is not for all": (
        {"guardrails": guard("present.waiting", "{ids: [greet], channels: [desk]}")},
        (K.UNSAFE_GREETING, M, ("greet", "desk", "odd")),
    ),
    "a cap above another": (
        {"caps": cap("count: {kinds: [offer]}, at_most: 3, within: 3d")},
        (K.CAP_NEVER_BINDS, M, ("odd", "two-offers-a-week")),
    ),
    "a count that only grows": (
        {"guardrails": guard("past.phones > 5")},
        (K.ENDLESS, M, ("odd",)),
    ),
    "what was said first": (
        {"guardrails": guard("past.first_amount > 100.0")},
        (K.ENDLESS, M, ("odd",)),
    ),
    "the lowest score ever": (
        {"guardrails": guard("past.worst_score < 3")},
        (K.ENDLESS, M, ("odd",)),
    ),
    "a moment that has passed": (
        {"guardrails": guard("now > timestamp(\"2026-01-01T00:00:00Z\")", "{ids: [new-phone], channels: [desk]}")},
        (K.ENDLESS, M, ("odd",)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", ODD)
def test_what_is_odd_is_found(what: str, tmp_path: Path) -> None:
    """Each mistake is found, about the rule that it is in, and where that stands."""
    changes, wanted = ODD[what]
    found = {(one.kind, one.gravity, one.about): one for one in found_in(tmp_path, **changes)}
    assert wanted in found, [one.says for one in found.values()]
    finding = found[wanted]
    if finding.kind not in (K.NEVER_SAID, K.NEVER_HELD_BACK, K.GAP, K.UNSAFE_GREETING, K.CAP_NEVER_BINDS):
        assert Path(finding.file).suffix == ".yaml"
        assert finding.line > 1
    assert finding.about[0] in finding.says
    assert finding.certain


def test_a_rule_that_asks_for_something_instead_is_not_dead(tmp_path: Path) -> None:
    """What another rule holds back as well changes something all the same where it asks for something instead."""
    found = found_in(tmp_path, guardrails=guard("past.open_tickets > 2", more=", instead: {ids: [apology]}"))
    assert [one.says for one in found if one.about[0] == "odd"] == []


ENDING = {
    "what is open is closed": "past.open_tickets > 0",
    "a window moves on": "past.purchases_7d > 3 || past.spend_7d > 100.0",
    "what fades is gone": "past.interest > 100.0",
    "the last one changes": "past.tier == 'gold'",
    "a count comes to it": "past.phones < 5",
    "the highest is too old after a while": "past.best_score > 8 && past.open_tickets > 0",
    "a moment comes": 'now < timestamp("2030-01-01T00:00:00Z")',
    "a count only counts with what comes and goes": "past.phones > 5 && present.sentiment < 0.0",
}


@pytest.mark.parametrize("why", ENDING)
def test_what_can_still_let_go_is_no_suppression_without_end(why: str, tmp_path: Path) -> None:
    """A rule is not found to be endless that time or an event ends."""
    found = found_in(tmp_path, guardrails=guard(ENDING[why]))
    assert [one.says for one in found if one.kind is K.ENDLESS] == []


def test_a_rule_that_ends_is_no_suppression_without_end(tmp_path: Path) -> None:
    """What would hold for good is let go when the rule is no longer in force."""
    found = found_in(tmp_path, guardrails=guard("past.phones > 5", more=", until: 2027-01-01"))
    assert K.ENDLESS not in {one.kind for one in found}


def test_somebody_who_is_held_back_for_good_is_shown(tmp_path: Path) -> None:
    """The finding shows one whom the rule holds back by what the real engine says."""
    (found,) = [one for one in found_in(tmp_path, guardrails=guard("past.phones > 5")) if one.kind is K.ENDLESS]
    assert found.decided is not None
    assert found.decided.seen
    assert any(reason.rule == "odd" for reasons in found.decided.held.values() for reason in reasons)


def test_somebody_to_whom_nothing_can_be_said_is_shown(tmp_path: Path) -> None:
    """The finding of a gap shows one to whom the real engine lets nothing be said on that channel."""
    changes, _ = ODD["a greeting that is held back for those who wait"]
    (found,) = [one for one in found_in(tmp_path, **changes) if one.kind is K.GAP and one.about == ("web",)]
    assert found.decided is not None
    assert found.decided.seen
    assert not any(found.decided.may.values())
    assert all(found.decided.held.values())
    assert [answer.action for answer in found.decided.answers] == ["", ""]


KNOWN: dict[str, tuple[tuple[FindingKind, tuple[str, ...]], ...]] = {
    "demo": ((K.NEVER_HELD_BACK, ("your-data-your-choice",)), (K.GAP, ("web", "cart"))),
    "starbucks": ((K.GAP, ("app", "offer")),),
    "bank": (),
    "trucks": ((K.GAP, ("web", "note")), (K.GAP, ("desk", "note"))),
}
"""What is found in the strategies that come with Tact, and meant so: a place for offers stays empty for those who get
none, and whoever asks may always be told what is kept of them."""


@pytest.mark.parametrize("name", KNOWN)
def test_the_strategies_that_come_with_tact_have_no_mistake(name: str) -> None:
    """Nothing is found in them but what is meant so."""
    found = findings(load_strategy(ROOT / "strategies" / name))
    assert tuple((one.kind, one.about) for one in found) == KNOWN[name], [one.says for one in found]
    assert all(one.gravity is Gravity.REMARK and one.certain for one in found)


def found_in(folder: Path, **changes: str) -> tuple[Finding, ...]:
    """Return what is found in the small strategy with some sections changed."""
    return findings(strategy_with(folder, **changes))


def strategy_with(folder: Path, **changes: str) -> Strategy:
    """Return the small strategy with some sections changed; an empty text leaves a section out."""
    return load_strategy(write_strategy(folder, **{name: text or None for name, text in changes.items()}))
