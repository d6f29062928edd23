"""Advice names what a strategy says and hardly means; nothing of it keeps a strategy from being loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.core.advice import advice
from service.core.loader import load_strategy
from tests.core.policies import POLICY, changed, write_policy

NOW_MS = 1_800_000_000_000  # in January of 2027


def advised(folder: Path, **changes: str | None) -> list[str]:
    """Return what is advised of the strategy with these changes."""
    return list(advice(load_strategy(write_policy(folder, **changes)), NOW_MS))


def test_a_good_strategy_needs_no_advice(tmp_path: Path) -> None:
    """The strategy of tests/core/policies.py means everything that it says."""
    assert advised(tmp_path) == []


def test_a_strategy_without_rules_is_asked_for_them(tmp_path: Path) -> None:
    """Without guardrails and caps nothing is forbidden and nobody is contacted too often."""
    left_out = ("guardrails", "recovery", "quiet_hours", "caps", "exemptions")
    assert [said.partition(":")[0] for said in advised(tmp_path, **dict.fromkeys(left_out))] == [
        "there are no guardrails",
        "there are no caps",
    ]


@pytest.mark.parametrize("section", ["guardrails", "suitability", "caps", "weights", "cool_offs", "consistency"])
def test_a_rule_that_is_over_is_named(tmp_path: Path, section: str) -> None:
    """Every kind of rule whose validity has passed does nothing any more, and one that is still to come is fine."""
    text = POLICY[section]
    first = text.index("    says:")
    rule = text[:first].rpartition("- id: ")[2].strip()
    (said,) = advised(tmp_path / "over", **{section: f"{text[:first]}    until: 2027-01-01\n{text[first:]}"})
    assert said.startswith(f"`{rule}` is over")
    assert advised(tmp_path / "to come", **{section: f"{text[:first]}    from: 2027-03-01\n{text[first:]}"}) == []


def test_an_exemption_that_is_over_is_named(tmp_path: Path) -> None:
    """What is not exempt any more is named too."""
    (said,) = advised(tmp_path, exemptions=changed("exemptions", "until: 2090-01-01", "until: 2027-01-01"))
    assert said.startswith("`the-law-first` is over")


@pytest.mark.parametrize(
    ("keep", "per", "nothing"),
    [
        ("{kinds: [offer]}", "[]", False),
        ("{kinds: [offer]}", "[group]", True),
        ("{groups: [care]}", "[group]", False),
        ("{ids: [new-phone]}", "[]", True),
        ("{kinds: [greeting]}", "[intent]", False),
        ("{ids: [greet, apology]}", "[intent]", True),
    ],
)
def test_a_promise_about_one_action_promises_nothing(tmp_path: Path, keep: str, per: str, nothing: bool) -> None:
    """Where no part of a promise has two actions, there is nothing else that could be said instead."""
    text = changed("consistency", "keep: {kinds: [offer]}", f"keep: {keep}\n    per: {per}")
    said = advised(tmp_path, consistency=text)
    assert [one.partition(",")[0] for one in said] == (["`the-same-price-everywhere` promises nothing"] * nothing)


CAPS = [
    ("the same twice", "at_most: 2, within: 7d", "`b` never holds back what `a` does not"),
    ("more in the same time", "at_most: 3, within: 7d", "`b` never holds back what `a` does not"),
    ("as many in less time", "at_most: 2, within: 1d", "`b` never holds back what `a` does not"),
    ("as many of each", "at_most: 2, within: 7d, per: [action]", "`b` never holds back what `a` does not"),
    ("as many a day", "at_most: 2, within: day", "`b` never holds back what `a` does not"),
    ("fewer in more time", "at_most: 1, within: 30d", "`a` never holds back what `b` does not"),
    ("fewer in less time", "at_most: 1, within: 1d", ""),
    ("more in more time", "at_most: 3, within: 30d", ""),
    ("as many of what is shown", "at_most: 2, within: 7d, counts: shown", ""),
    ("as many of a household", "at_most: 2, within: 7d, by: household", ""),
    ("as many from another day on", "at_most: 2, within: 30d, from: 2027-03-01", ""),
]


@pytest.mark.parametrize(("other", "said"), [row[1:] for row in CAPS], ids=[row[0] for row in CAPS])
def test_a_cap_that_another_one_covers_is_named(tmp_path: Path, other: str, said: str) -> None:
    """A cap that allows no less than another one over the same actions does nothing of its own; a stricter one does."""
    one = "{id: a, says: A., count: {kinds: [offer]}, at_most: 2, within: 7d}"
    two = f"{{id: b, says: B., count: {{kinds: [offer]}}, {other}}}"
    found = advised(tmp_path, caps=f"caps:\n  - {one}\n  - {two}\n")
    assert len(found) == bool(said)
    assert all(one.startswith(said) for one in found)


def test_a_day_by_the_calendar_covers_no_day_that_rolls(tmp_path: Path) -> None:
    """Two before midnight and two after it are two a day, and four in a day that rolls: both caps are needed."""
    caps = "caps:\n" + "".join(
        f"  - {{id: {name}, says: C., count: {{kinds: [offer]}}, at_most: 2, within: {within}}}\n"
        for name, within in (("a", "day"), ("b", "24h"))
    )
    assert advised(tmp_path, caps=caps) == []


def test_a_cap_from_which_something_is_exempt_covers_no_other(tmp_path: Path) -> None:
    """What is exempt from the stricter cap is still bound by the other, so both are needed."""
    caps = "caps:\n" + "".join(
        f"  - {{id: {name}, says: C., count: {{kinds: [message]}}, at_most: {most}, within: 7d}}\n"
        for name, most in (("a", 1), ("b", 2))
    )
    exempt = "exemptions:\n  - {id: x, says: X., actions: {ids: [legal-notice]}, exempt_from: [a]}\n"
    assert len(advised(tmp_path / "bound", caps=caps)) == 1
    assert advised(tmp_path / "exempt", caps=caps, exemptions=exempt) == []


@pytest.mark.parametrize(("actions", "named"), [("{kinds: [message]}", True), ("{ids: [ticket-status]}", False)])
def test_a_rule_from_which_everything_is_exempt_is_named(tmp_path: Path, actions: str, named: bool) -> None:
    """A rule that is left with no action does nothing; one that is left with some is what exemptions are for."""
    rule = "guardrails:\n  - {id: a, says: A., forbid: {groups: [care]}, when: past.open_tickets > 0}\n"
    exempt = f"exemptions:\n  - {{id: x, says: X., actions: {actions}, exempt_from: [a]}}\n"
    said = advised(tmp_path, guardrails=rule, exemptions=exempt)
    assert [one.partition(" that ")[0] for one in said] == (["`a` holds for nothing"] * named)


def test_selling_unasked_is_named(tmp_path: Path) -> None:
    """An exemption that lets offers go out without permission to contact is what few may mean."""
    exempt = "exemptions:\n  - {id: x, says: X., actions: {kinds: [offer]}, exempt_from: [contact-permission]}\n"
    (said,) = advised(tmp_path, exemptions=exempt)
    assert said.startswith("`x` contacts people unasked to sell them `fibre-upgrade`")


def test_an_offer_that_needs_no_permission_is_not_sold_unasked(tmp_path: Path) -> None:
    """What is said nowhere unasked may be named by such an exemption."""
    exempt = "exemptions:\n  - {id: x, says: X., actions: {ids: [NAMED]}, exempt_from: [contact-permission]}\n"
    exempt = exempt.replace("NAMED", "new-phone, legal-notice")
    e_mail = "      - {channel: email, placements: [body], text: The new phone is here.}\n"
    (said,) = advised(tmp_path / "sold", exemptions=exempt)
    assert "`new-phone`" in said
    assert advised(tmp_path / "web", exemptions=exempt, actions=changed("actions", e_mail, "")) == []


@pytest.mark.parametrize(("source", "named"), [("request", True), ("events", False)])
def test_a_day_that_the_caller_can_move_is_named(tmp_path: Path, source: str, named: bool) -> None:
    """Where the zone comes with the request, whoever asks says when the day of a cap begins."""
    field = "  - {id: present.zone, says: Their zone., type: string, purpose: service, source: request}\n"
    zone = {"request": "present.zone", "events": "past.city"}[source]
    said = advised(
        tmp_path,
        fields=POLICY["fields"].replace("personalization", "service") + field,
        time_zone=f"time_zone: {{field: {zone}, default: Europe/Berlin}}\n",
    )
    moved = [one for one in said if "`present.zone`" in one]
    assert [one.partition(" ")[0] for one in moved] == ["`one-offer-a-day`"] * named


@pytest.mark.parametrize(("actions", "named"), [("{ids: [new-phone]}", False), ("{kinds: [offer]}", True)])
def test_an_action_may_be_exempt_from_a_promise_and_not_all_of_them(tmp_path: Path, actions: str, named: bool) -> None:
    """An exemption may name a consistency rule; one from which everything is exempt that it is about is named."""
    more = "  - {id: apart, says: It stands apart., actions: %s, exempt_from: [the-same-price-everywhere]}\n"
    said = advised(tmp_path, exemptions=POLICY["exemptions"] + more % actions)
    assert [one.partition(" ")[0] for one in said] == ["`the-same-price-everywhere`"] * named
