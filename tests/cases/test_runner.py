"""Cases are decided by the engine that serves, from what the store would hold: caps, consent, promises, refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.cases.fitting import first_that_fit
from service.cases.reader import read_cases
from service.cases.runner import Runner
from service.cases.verdict import Verdict, verdict_on
from service.core.decision import Commit, Counter
from service.core.loader import load_strategy
from tests.strategies import edited, write_strategy

BASE = """\
customers:
  - {id: seller, says: Anything may be sold., consent: full, permits: [email], facts: {past.open_tickets: 0}}
cases:
  - says: A case.
    customer: seller
    on: web
    at: hero
"""

Decide = Callable[[str], Verdict]


@pytest.fixture
def decide(tmp_path: Path) -> Decide:
    """Return a function that decides the base case with more lines."""
    folder = write_strategy(
        tmp_path / "small",
        caps=edited("caps", "    within: 7d\n", "    within: 7d\n    counts: clicked\n    hold: 30m\n"),
        strategy=edited("strategy", "explore: 0.05", "explore: 0.5"),
    )
    (folder / "cases").mkdir()
    strategy = load_strategy(folder)
    runner = Runner(strategy)

    def decided(more: str) -> Verdict:
        lines = "".join(f"    {line}\n" for line in more.splitlines())
        (folder / "cases" / "one.yaml").write_text(BASE + lines, encoding="utf-8")
        (case,) = read_cases(folder, strategy)
        return verdict_on(case, runner, strategy)

    return decided


def test_a_case_is_decided_the_same_every_time(decide: Decide) -> None:
    """Half of all decisions of this strategy explore; a case never does."""
    assert {decide("gets: fibre-upgrade").got.answers[0].action for _ in range(20)} == {"fibre-upgrade"}


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        ("gets: new-phone", "at hero: wanted new-phone, got fibre-upgrade"),
        ("gets: nothing", "at hero: wanted nothing, got fibre-upgrade"),
        (
            "gets: fibre-upgrade\nbecause: two-offers-a-week",
            "hero: wanted the reason two-offers-a-week, got fibre-upgrade",
        ),
        ("gets: fibre-upgrade\nwords: Ten times", "at hero: wanted the words “Ten times”, got “Three times faster for"),
        ("gets: fibre-upgrade\nuntil: 3d", "hero: wanted this to last 3d, got no end"),
        ("not: [new-phone]\nbecause: two-offers-a-week", "new-phone can be had, and must not"),
        (
            "consent: none\nnot: [new-phone]\nbecause: two-offers-a-week",
            "new-phone: wanted the reason two-offers-a-week, got no-consent, no-upsell-while-a-ticket-is-open",
        ),
        ("not: {groups: [care], intents: [welcome]}\nbecause: no-consent", "none of what must be held back has words"),
    ],
)
def test_what_is_different_is_told_in_words(decide: Decide, more: str, wrong: str) -> None:
    """A case that fails says what was wanted and what came instead."""
    (said,) = decide(more).wrong
    assert said.startswith(wrong)


def test_what_must_be_held_back_is_at_each_placement(tmp_path: Path) -> None:
    """A cap of one placement holds nothing back at the other, whatever is said there in its place."""
    by_place = edited("caps", "    within: 7d\n", "    within: 7d\n    per: [placement]\n")
    greets = edited("actions", "    propensity: 1.0\n", "    propensity: 1.0\n    value: 900.0\n")
    folder = write_strategy(tmp_path, caps=by_place, actions=greets)
    (folder / "cases").mkdir()
    said = "said: [{action: new-phone, at: hero, ago: 1d}, {action: fibre-upgrade, at: hero, ago: 2d}]"
    wanted = "not: [fibre-upgrade]\n    because: two-offers-a-week"
    case = BASE.replace("    at: hero\n", f"    at: PLACES\n    {said}\n    {wanted}\n")
    strategy = load_strategy(folder)
    wrong = {}
    for places in ("hero", "[hero, greeting]", "[greeting, hero]"):
        (folder / "cases" / "one.yaml").write_text(case.replace("PLACES", places), encoding="utf-8")
        (one,) = read_cases(folder, strategy)
        wrong[places] = verdict_on(one, Runner(strategy), strategy).wrong
    can_be_had = ("fibre-upgrade can be had at greeting, and must not",)
    assert wrong == {"hero": (), "[hero, greeting]": can_be_had, "[greeting, hero]": can_be_had}


def test_a_use_counts_while_it_is_held_and_when_it_was_clicked(decide: Decide) -> None:
    """What was only shown uses nothing up after its hold; what was clicked does, and so does what was said just now."""
    said = "said:\n  - {action: new-phone, ago: 6d, clicked: true}\n  - {action: new-phone, ago: %s, clicked: %s}\n"
    held_back = "not: [fibre-upgrade]\nbecause: two-offers-a-week\nuntil: 1d"
    assert decide(said % ("2h", "true") + held_back).ok
    assert decide(said % ("2h", "false") + "gets: fibre-upgrade").ok
    assert decide(said % ("29m", "false") + "not: [fibre-upgrade]\nbecause: two-offers-a-week").ok
    assert not decide(said % ("2h", "false") + held_back).ok


def test_facts_that_the_consent_hides_are_not_seen(decide: Decide) -> None:
    """The tier is for personalization: who agreed to service alone is no gold customer to us."""
    tier = "facts: {past.tier: gold}\nat: greeting\n"
    assert decide(tier.replace("at: greeting\n", "") + "gets: fibre-upgrade").ok
    hidden = decide("consent: service\nfacts: {past.tier: gold}\nnot: [fibre-upgrade]\nbecause: no-consent")
    assert hidden.ok
    assert "gold-greeting-for-gold" in {reason.rule for reason in hidden.got.vetoes["hero", "greet-gold"]}


@given(
    uses=st.lists(st.integers(0, 200), max_size=12),
    at_most=st.integers(1, 4),
    within=st.integers(1, 120),
    now=st.integers(100, 200),
)
def test_what_fits_is_what_a_plain_count_allows(uses: list[int], at_most: int, within: int, now: int) -> None:
    """A candidate fits while fewer than `at_most` uses are in the window, and frees when enough have left it."""
    commit = Commit("ada", "d", b"", now, b"", ((("a", (Counter("k", at_most, within),)),),))
    came = tuple(sorted(use for use in uses if use <= now))
    inside = [use for use in came if use > now - within]
    committed = first_that_fit(commit, {"k": came})
    if len(inside) < at_most:
        assert (committed.chosen, committed.bound) == ((0,), ())
    else:
        (bound,) = committed.bound
        assert committed.chosen == (-1,)
        assert sum(use > bound.frees_ms - within for use in came) < at_most
        assert sum(use > bound.frees_ms - 1 - within for use in came) >= at_most


def test_an_action_is_taken_once_and_counts_for_the_next_placement() -> None:
    """Of two placements the second passes over what the first says, and over what that has used up."""
    one, other = Counter("one", 1, 10), Counter("other", 1, 10)
    candidates = (("a", (one,)), ("b", (one,)), ("c", (other,)))
    committed = first_that_fit(Commit("ada", "d", b"", 5, b"", (candidates, candidates)), {})
    assert committed.chosen == (0, 2)
    assert [(bound.placement, bound.rank, bound.counter) for bound in committed.bound] == [(1, 1, "one")]
