"""What several identities of a person did, used up and agreed to is one person's."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from redis import Redis

from service.core.decision import Commit, Counter
from service.errors import LinkRefused
from service.store import keys
from service.store.identities import SKEW_MS
from service.store.retention import Retention
from service.store.store import Store
from service.store.stricter import stricter_levels
from tests.folding import DETERMINISTIC, START_MS, TEXTS, Happening, folded, happenings
from tests.store.identities import KEEP, SCHEMA, SOON_MS, agree, hear, known, link, merging, new_ids, say, unlink
from tests.store.linking import FREE
from tests.store.running import LEVELS, Running, states_of

TWICE = Counter("twice", 2, 86_400_000)


@pytest.fixture(scope="module")
def store(store_url: str) -> Iterator[Running]:
    """Return a running customer store that can merge the fields of the made-up events."""
    with merging(store_url) as one:
        yield one


@settings(DETERMINISTIC, max_examples=40)
@given(happenings(12), happenings(12), happenings(12))
def test_a_person_is_seen_as_if_all_had_happened_to_one_id(
    store: Running, mine: list[Happening], theirs: list[Happening], later: list[Happening]
) -> None:
    """Linked, both ids show every event of both, also later ones; unlinked, each has exactly its own again."""
    alias, person = new_ids(2)
    for customer, events in ((person, mine), (alias, theirs)):
        agree(store, customer, "full")
        hear(store, customer, events)
    assert link(store, alias, person)
    later = [Happening(f"later-{e.event_id}", *(getattr(e, n) for n in e.__slots__[1:])) for e in later]
    hear(store, alias, later)
    whole = folded([*mine, *theirs, *later], KEEP, len(TEXTS))
    assert states_of(known(store, person).groups.values()) == whole
    assert states_of(known(store, alias).groups.values()) == whole
    assert known(store, alias).customer == known(store, person).customer == person
    assert unlink(store, alias)
    assert states_of(known(store, person).groups.values()) == folded(mine, KEEP, len(TEXTS))
    assert states_of(known(store, alias).groups.values()) == folded([*theirs, *later], KEEP, len(TEXTS))


def test_an_event_id_is_of_one_identity(store: Running) -> None:
    """The same event recorded under two ids before they are linked is two events; under either alone it stays one."""
    alias, person = new_ids(2)
    event = Happening("e", START_MS, "x", True, 1, 1, 1.0, False)
    for customer in (alias, person, alias, person):
        hear(store, customer, [event])
        agree(store, customer, "full")
    link(store, alias, person)
    hear(store, alias, [event])
    twice = folded([event, event], KEEP, len(TEXTS))
    assert states_of(known(store, person).groups.values()) == twice


Step = tuple[str, int, int]
steps = st.lists(st.tuples(st.sampled_from(["say", "say", "link", "unlink"]), st.integers(0, 2), st.integers(0, 2)))


OLDER_COPY: tuple[Step, ...] = (
    ("link", 0, 1), ("say", 1, 1), ("unlink", 0, 0), ("say", 1, 1), ("link", 1, 2), ("unlink", 1, 1), ("link", 0, 2),
)  # fmt: skip
"""An alias brings along an older copy of uses that its new person knows better."""


class PlainRule:
    """Who has used up what, as sets of uses that cannot be mistaken for one another."""

    def __init__(self) -> None:
        self.person_of: dict[int, int] = {}
        self.uses: dict[int, set[tuple[int, int]]] = defaultdict(set)
        self._own: dict[int, set[tuple[int, int]]] = defaultdict(set)

    def say(self, who: int, use: tuple[int, int]) -> None:
        """Use once, for the person."""
        person = self.person_of.get(who, who)
        self.uses[person].add(use)
        self._own[person].add(use)

    def link(self, alias: int, person: int) -> bool:
        """Add the uses of the alias; False where that is refused."""
        if self.person_of.get(alias) == person != alias:
            return True
        taken = alias in self.person_of or person in self.person_of or alias in self.person_of.values()
        if alias == person or taken:
            return False
        self.person_of[alias] = person
        self.uses[person] |= self.uses[alias]
        return True

    def unlink(self, alias: int) -> bool:
        """Give the alias what was said for the person; False where that is refused."""
        if alias in self.person_of.values():
            return False
        if alias in self.person_of:
            self.uses[alias] |= self._own[self.person_of.pop(alias)]
        return True


def stands(change: Callable[..., bool], store: Running, *ids: str) -> bool:
    """Link or unlink; tell whether it was not refused."""
    try:
        change(store, *ids)
    except LinkRefused:
        return False
    return True


@settings(DETERMINISTIC, max_examples=60)
@given(steps)
@example(taken=[*OLDER_COPY])
def test_uses_add_up_without_counting_twice(store: Running, taken: list[Step]) -> None:
    """However three ids are linked and unlinked between uses, each counts every use it must, and once."""
    ids, rule = new_ids(3), PlainRule()

    for n, (what, a, b) in enumerate(taken):
        if what == "say":
            moment = SOON_MS + n // 3  # several uses at one moment
            say(store, ids[a], moment)
            rule.say(a, (moment, n))
        elif what == "link":
            assert stands(link, store, ids[a], ids[b]) == rule.link(a, b)
        else:
            assert stands(unlink, store, ids[a]) == rule.unlink(a)
    for n, customer in enumerate(ids):
        person = rule.person_of.get(n, n)
        wanted = tuple(sorted(moment for moment, _ in rule.uses[person]))
        assert known(store, customer).counters.get(FREE.key, ()) == wanted


def test_only_what_was_said_while_linked_counts_for_both(store: Running) -> None:
    """Undone, a link leaves the alias without what was said to the person before it, but for a minute of doubt."""
    alias, person = new_ids(2)
    now_ms = time.time_ns() // 1_000_000
    for before_ms in (10 * SKEW_MS, 2 * SKEW_MS, SKEW_MS // 2):
        say(store, person, now_ms - before_ms)
    say(store, alias, now_ms - 5 * SKEW_MS)
    link(store, alias, person)
    say(store, alias, now_ms + 1)
    say(store, person, now_ms + 2)
    unlink(store, alias)
    kept = known(store, alias).counters[FREE.key]
    assert kept == (now_ms - 5 * SKEW_MS, now_ms - SKEW_MS // 2, now_ms + 1, now_ms + 2)
    assert len(known(store, person).counters[FREE.key]) == 6


def test_what_no_window_reaches_any_more_is_not_brought_along(store: Running) -> None:
    """Uses that are older than a context is kept stay behind when an alias is linked; they can bind nothing."""
    alias, person = new_ids(2)
    now_ms = time.time_ns() // 1_000_000
    kept_ms = Retention().context // timedelta(milliseconds=1)
    for moment in (now_ms, now_ms - kept_ms + 3_600_000, now_ms - kept_ms - 1):
        say(store, alias, moment)
    link(store, alias, person)
    assert known(store, person).counters == {FREE.key: (now_ms - kept_ms + 3_600_000, now_ms)}


def test_a_cap_is_the_persons(store: Running) -> None:
    """Two a day are two a day for the person under all ids, also when both ids had used it up before."""
    alias, person, third = new_ids(3)
    then_ms = SOON_MS - 2 * 3_600_000
    for who, moment in ((alias, then_ms), (person, then_ms + 1_000)):
        assert say(store, who, moment, TWICE).chosen == (0,)
    link(store, alias, person)
    refused = say(store, alias, SOON_MS, TWICE)
    assert (refused.chosen, refused.bound[0].frees_ms) == ((-1,), then_ms + TWICE.within_ms)
    link(store, third, person)
    assert say(store, third, SOON_MS, TWICE).chosen == (-1,)
    unlink(store, alias)
    assert [say(store, who, SOON_MS, TWICE).chosen for who in (alias, person)] == [(0,), (-1,)]


def test_two_placements_of_one_commit_count_with_uses_from_elsewhere(store: Running) -> None:
    """What the first placement takes binds the second, together with what another identity had used."""
    alias, person = new_ids(2)
    say(store, alias, SOON_MS, TWICE)
    link(store, alias, person)
    decision = keys.repeatable_decision_id(person, "two placements")
    candidates = tuple(((action, (TWICE,)),) for action in "ab")
    commit = Commit(person, decision, b"", SOON_MS, b"entry", candidates)
    assert store.wait(store.store.customers.commit(commit)).chosen == (0, -1)
    assert known(store, person).counters == {"twice": (SOON_MS, SOON_MS)}


LEVELS_TRIED = (None, "none", "service", "personal", "full", "abolished")


@pytest.mark.parametrize("own", LEVELS_TRIED)
@pytest.mark.parametrize("theirs", LEVELS_TRIED)
def test_the_stricter_consent_wins(store: Running, own: str | None, theirs: str | None) -> None:
    """Linked, a person may be used for no purpose and contacted on no channel that one of the two consents forbids."""
    alias, person = new_ids(2)
    channels = {person: ("web", "email"), alias: ("email", "desk")}
    for customer, level in ((person, own), (alias, theirs)):
        if level is not None:
            agree(store, customer, level, *channels[customer], given_ms=START_MS + len(level))
    link(store, alias, person)
    found = known(store, alias)
    if own is None:
        assert (found.level, found.channels) == (None, ())
    elif theirs is None:
        assert found.level == own
    else:
        allowed = set(LEVELS.get(own, "")) & set(LEVELS.get(theirs, ""))
        assert set(LEVELS[found.level or "none"] if found.level in LEVELS else "") == allowed
        assert found.channels == (("email",) if found.level in LEVELS else ())
    unlink(store, alias)
    after = known(store, alias)
    assert set(LEVELS.get(after.level or "none", "")) <= set(LEVELS.get(theirs or "none", ""))
    assert known(store, person).level == found.level


def test_a_consent_that_cannot_be_read_allows_the_least(store: Running, store_url: str) -> None:
    """Linked with an id whose consent is unreadable, a person is as one who agreed to the least, and to no contact."""
    alias, person = new_ids(2)
    agree(store, person, "full", "email")
    agree(store, alias, "full", "email")
    with Redis.from_url(store_url) as raw:
        raw.hset(keys.context_key(alias), "c", b"\xc1")
    link(store, alias, person)
    assert (known(store, person).level, known(store, person).channels) == ("none", ())


def test_of_levels_that_cross_the_widest_that_both_allow_holds() -> None:
    """Where neither of two levels is within the other, the one that holds allows what both allow, and no more."""
    levels = {"none": "", "service": "s", "tailored": "sp", "scored": "sf", "full": "spf"}
    stricter = stricter_levels(levels, "none")
    assert stricter["tailored"]["scored"] == stricter["scored"]["tailored"] == "service"
    assert stricter["full"]["scored"] == stricter["scored"]["full"] == "scored"
    assert stricter["full"]["full"] == "full"
    same = stricter_levels({"full": "spf", "partner": "spf"}, "full")
    assert (same["full"]["partner"], same["partner"]["full"]) == ("full", "partner"), "neither is the stricter"
    assert stricter_levels({"low": "s", "one": "p", "other": "f"}, "low")["one"]["other"] == "low"


def test_a_link_is_a_change_of_consent_in_the_history(store: Running) -> None:
    """The person's history shows that linking narrowed the consent, and when; a later consent is the person's."""
    alias, person = new_ids(2)
    agree(store, person, "full", "email", "web")
    agree(store, alias, "service", "web", given_ms=START_MS + 5)
    link(store, alias, person)
    changes = store.wait(store.store.consents.agreed(person, history=True)).changes
    assert [(c.level, c.channels, c.source) for c in changes[1:]] == [("service", ("web",), "linked identities")]
    assert changes[1].given_ms == START_MS + 5
    assert changes[1].arrived_ms > 0
    agree(store, alias, "none", given_ms=START_MS + 9)
    assert known(store, person).level == "none"
    agree(store, alias, "full", given_ms=START_MS + 10)
    link(store, alias, person)
    assert known(store, person).level == "full", "linking again is no new link"
    agree(store, person, "service", given_ms=START_MS + 11)
    unlink(store, alias)
    assert (known(store, alias).level, known(store, person).level) == ("service", "service")


def test_who_gets_or_loses_an_alias_is_to_be_scored_again(store: Running, store_url: str) -> None:
    """Where models are asked about those who changed, a link and its undoing mark whoever is seen anew."""
    alias, person = new_ids(2)
    marking = Store.over(store.connections, LEVELS, "none", mark_changes=True, schema=SCHEMA)

    def marked(raw: Redis) -> list[str]:
        found = [who for who in (alias, person) if raw.zscore(keys.changed_key(keys.bucket(who)), who) is not None]
        for who in found:
            raw.zrem(keys.changed_key(keys.bucket(who)), who)
        return found

    with Redis.from_url(store_url) as raw:
        for change, changed in (
            (marking.identities.link(alias, person), [person]),
            (marking.identities.link(alias, person), []),
            (marking.identities.unlink(alias), [alias, person]),
            (marking.identities.unlink(alias), []),
            (store.store.identities.link(alias, person), []),
        ):
            store.wait(change)
            assert marked(raw) == changed
