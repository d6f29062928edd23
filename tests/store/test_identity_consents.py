"""Consents of linked identities: no newer withdrawal is lost, whatever arrives late and whoever is linked when."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from redis import Redis

from service.core.records import Agreed, ConsentRecord
from service.errors import ConsentOlder
from service.store import keys
from tests.folding import DETERMINISTIC
from tests.store.identities import known, link, merging, new_ids, step, unlink
from tests.store.running import LEVELS, Running

DAY_MS = 86_400_000
AGREED_MS = 1_700_000_000_000
CASES = int(os.environ.get("TACT_CONSENT_ORDERS", "120"))


@pytest.fixture(scope="module")
def store(store_url: str) -> Iterator[Running]:
    """Return a running customer store."""
    with merging(store_url) as one:
        yield one


def agree(store: Running, who: str, level: str, days_ago: int, *channels: str) -> bool:
    """Set a consent that was given so many days before a day of the past; False when a later one is stored."""
    record = ConsentRecord(level, channels, AGREED_MS - days_ago * DAY_MS, "form")
    try:
        store.wait(store.store.consents.set_consent(who, record))
    except ConsentOlder:
        return False
    return True


def agreed(store: Running, who: str) -> Agreed:
    """Return the consent of whoever stands behind an id, with its history."""
    return store.wait(store.store.consents.agreed(who, history=True))


def level(store: Running, who: str) -> str:
    """Return the level of whoever stands behind an id."""
    return known(store, who).level or "none"


def test_an_aliass_withdrawal_binds_a_person_who_never_agreed(store: Running) -> None:
    """What the person agreed to before the alias withdrew allows nothing when it arrives after the link."""
    alias, person = new_ids(2)
    agree(store, alias, "none", 2)
    link(store, alias, person)
    assert agreed(store, person).consent is None, "an alias gives no consent to who never gave one"
    assert agree(store, person, "full", 5, "email")
    assert (level(store, person), known(store, person).channels) == ("none", ())
    assert [change.source for change in agreed(store, person).changes] == ["linked identities"]
    assert agree(store, person, "full", 1, "email")
    assert (level(store, person), known(store, person).channels) == ("full", ("email",))


def test_of_two_that_say_the_same_the_newer_still_binds(store: Running) -> None:
    """Where both withdrew, what comes late and was given between the two allows nothing; the history stays as it is."""
    alias, person = new_ids(2)
    agree(store, alias, "none", 2)
    agree(store, person, "none", 9)
    link(store, alias, person)
    assert len(agreed(store, person).changes) == 1
    agree(store, person, "full", 5)
    assert level(store, person) == "none"


def test_a_withdrawal_while_linked_binds_the_alias_that_left(store: Running) -> None:
    """Withdrawn for the person, a consent of the alias that was given before allows nothing after the unlinking."""
    alias, person = new_ids(2)
    agree(store, alias, "none", 9)
    agree(store, person, "full", 20)
    link(store, alias, person)
    agree(store, person, "none", 2)
    unlink(store, alias)
    agree(store, alias, "full", 5)
    assert level(store, alias) == "none"


@pytest.mark.parametrize("newer", ["full", "personal"])
def test_a_late_withdrawal_is_not_outdone_by_a_newer_yes_of_another_id(store: Running, newer: str) -> None:
    """What another id allowed later does not refuse the late withdrawal of the person's own: the stricter holds."""
    alias, person = new_ids(2)
    agree(store, alias, newer, 2, "email")
    agree(store, person, "full", 9, "email")
    link(store, alias, person)
    assert level(store, person) == newer
    assert agree(store, person, "service", 5)
    assert (level(store, person), known(store, person).channels) == ("service", ())
    assert not agree(store, person, "full", 6), "the person's own word is newer"


def test_a_consent_set_under_an_alias_is_not_undone_at_the_next_login(store: Running) -> None:
    """Set under the alias while it was linked, the newer consent goes with it and comes back with it."""
    alias, person = new_ids(2)
    agree(store, alias, "none", 5)
    link(store, alias, person)
    agree(store, alias, "full", 3, "email")
    for _ in range(2):
        unlink(store, alias)
        assert (level(store, alias), level(store, person)) == ("full", "full")
        link(store, alias, person)
        assert (level(store, person), known(store, alias).channels) == ("full", ("email",))


def test_a_consent_set_under_the_person_is_not_undone_at_the_next_login(store: Running) -> None:
    """What an alias brought once restricts nobody anew at each link, unless something was said under it since."""
    alias, person = new_ids(2)
    agree(store, alias, "none", 5)
    link(store, alias, person)
    agree(store, person, "full", 3)
    for _ in range(2):
        unlink(store, alias)
        assert (level(store, alias), level(store, person)) == ("none", "full"), "others do not agree for an id"
        link(store, alias, person)
        assert level(store, person) == "full"
    unlink(store, alias)
    agree(store, alias, "service", 2)
    link(store, alias, person)
    assert level(store, person) == "service"


def test_what_was_set_under_an_alias_leaves_with_it_as_narrowed_since(store: Running) -> None:
    """Linked with a third id that allows less, the person allows less, and so does the alias that set the consent."""
    alias, person, third = new_ids(3)
    agree(store, alias, "none", 9)
    link(store, alias, person)
    agree(store, alias, "full", 5)
    agree(store, third, "service", 2)
    link(store, third, person)
    assert level(store, person) == "service"
    unlink(store, alias)
    assert level(store, alias) == "service"
    agree(store, alias, "full", 4)
    assert level(store, alias) == "service", "it came late"
    agree(store, alias, "full", 1)
    assert level(store, alias) == "full"


def test_several_withdrawals_bind_what_comes_late(store: Running) -> None:
    """What one id brings after another binds too; a consent between the two dates is held against the later."""
    person, *aliases = new_ids(4)
    for alias, said, days_ago in zip(aliases, ("none", "service", "full"), (6, 4, 2), strict=True):
        agree(store, alias, said, days_ago)
        link(store, alias, person)
    for days_ago in (7, 5, 3):
        agree(store, person, "full", days_ago)
        assert level(store, person) == "none"
    agree(store, person, "full", 1)
    assert level(store, person) == "full"


def test_what_binds_an_alias_binds_whom_it_is_linked_with(store: Running) -> None:
    """A withdrawal is brought along over two links; it takes nothing away from what was agreed to before they met."""
    first, alias, person, other = new_ids(4)
    agree(store, first, "none", 2)
    link(store, first, alias)
    unlink(store, first)
    link(store, other, alias)
    unlink(store, other)
    agree(store, other, "full", 5)
    assert level(store, other) == "none", "it was of the same person"
    agree(store, person, "service", 9)
    link(store, alias, person)
    assert level(store, person) == "service", "the alias itself was never asked"
    agree(store, person, "full", 5)
    assert level(store, person) == "none"


@pytest.mark.parametrize("anew", ["another person", "the same id, forgotten meanwhile"])
def test_what_was_brought_once_is_brought_to_anybody_else(store: Running, store_url: str, anew: str) -> None:
    """Linked with somebody else, or with who begins again under the same id, an alias restricts them as at first."""
    alias, person, other = new_ids(3)
    agree(store, alias, "none", 5)
    link(store, alias, person)
    unlink(store, alias)
    if anew == "another person":
        person = other
    else:
        with Redis.from_url(store_url) as raw:
            raw.delete(keys.context_key(person))
    agree(store, person, "full", 3)
    link(store, alias, person)
    assert level(store, person) == "none"


def test_an_unlinking_that_died_keeps_the_stricter_consent(store: Running) -> None:
    """Where the process that unlinks dies between the steps, whoever ends it leaves nobody with more than before."""
    alias, person = new_ids(2)
    agree(store, alias, "none", 5)
    link(store, alias, person)
    agree(store, alias, "full", 3)
    noted = step(store, "part", alias, "", "u")[1]
    step(store, "leave", person, alias, noted[1:].split(b" ")[0].decode(), 0)
    assert level(store, alias) == "none"
    link(store, alias, person)
    assert level(store, person) == "none"


def test_a_leaving_alias_shows_no_consent_of_its_own(store: Running, store_url: str) -> None:
    """Asked for the consent of an id that is on its way out, what it once agreed to for itself is not the answer."""
    alias, person = new_ids(2)
    agree(store, alias, "full", 9)
    agree(store, person, "full", 9)
    link(store, alias, person)
    agree(store, person, "none", 2)
    step(store, "part", alias, "", "u")
    with Redis.from_url(store_url) as raw:
        assert raw.hmget(keys.context_key(alias), "a", "u")[0] is None
    consent = agreed(store, alias).consent
    assert consent is not None
    assert consent.level == "none"


def test_no_id_of_somebody_else_is_kept_when_an_alias_has_left(store: Running, store_url: str) -> None:
    """Under whom a consent was set is noted only while that id is linked, and nothing of the person stays with it."""
    alias, person = new_ids(2)
    link(store, alias, person)
    agree(store, alias, "full", 3)
    unlink(store, alias)
    with Redis.from_url(store_url) as raw:
        for one, other in ((alias, person), (person, alias)):
            kept = [*raw.hvals(keys.context_key(one)), *raw.lrange(keys.history_key(one), 0, -1)]
            assert not any(other.encode() in value for value in kept)


Said = tuple[str, int, int]
"""What happens: `say` by an id (0 the alias, 1 the person) at a level of `LEVELS`, or a link or an unlinking."""
moments = st.permutations(range(1, 9))
happenings = st.lists(
    st.tuples(st.sampled_from(["say", "say", "say", "link", "unlink"]), st.integers(0, 1), st.integers(0, 3)),
    min_size=1, max_size=8,
)  # fmt: skip


@settings(DETERMINISTIC, max_examples=CASES)
@given(happenings, moments)
@example([("say", 0, 0), ("link", 0, 0), ("say", 1, 3)], [2, 1, 5, 3, 4, 6, 7, 8])
@example([("say", 0, 0), ("say", 1, 0), ("link", 0, 0), ("say", 1, 3)], [2, 9, 1, 5, 3, 4, 6, 7])
@example(
    [("say", 0, 0), ("say", 1, 3), ("link", 0, 0), ("say", 1, 0), ("unlink", 0, 0), ("say", 0, 3)],
    [9, 20, 1, 2, 3, 5, 4, 6],
)
def test_in_no_order_is_the_newest_word_outdone_by_an_older_one(
    store: Running, happened: list[Said], days_ago: list[int]
) -> None:
    """However consents arrive and ids are linked, nobody is allowed more than the newest consent that was theirs."""
    ids = new_ids(2)
    newest: list[tuple[int, str] | None] = [None, None]
    linked = False
    for (what, who, n), days in zip(happened, days_ago, strict=False):
        if what == "say":
            said = -days, list(LEVELS)[n]
            agree(store, ids[who], said[1], days)
            for one in (0, 1) if linked else (who,):
                newest[one] = max(newest[one] or said, said)
        elif what == "link":
            link(store, *ids)
            linked = True
            newest = [max(filter(None, newest), default=None)] * 2
        else:
            unlink(store, ids[0])
            linked = False
        for customer, word in zip(ids, newest, strict=True):
            assert set(LEVELS[level(store, customer)]) <= set(LEVELS[word[1] if word else "none"])
