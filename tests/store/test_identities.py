"""Links are made and undone whole, whoever else is at it, and whatever dies on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pytest
from redis import Redis

from service.core.decision import Commit, Committed
from service.core.records import Person
from service.errors import CustomerErased, CustomerLinked, LinkRefused
from service.store import keys
from service.store.calls import StoreUnreadable
from service.store.connection import StoreReplied
from service.store.identities import SKEW_MS
from service.store.link_words import MOST_ALIASES
from service.store.retention import Retention
from tests.folding import START_MS, Happening
from tests.store.identities import (
    SOON_MS,
    SUPPRESSION,
    agree,
    hear,
    known,
    link,
    merging,
    new_ids,
    say,
    step,
    unlink,
    unused,
)
from tests.store.linking import FREE
from tests.store.running import Running, states_of


@pytest.fixture(scope="module")
def store(store_url: str) -> Iterator[Running]:
    """Return a running customer store that can merge the fields of the made-up events."""
    with merging(store_url) as one:
        yield one


def interrupted_link(store: Running, alias: str, person: str) -> None:
    """Take only the first step of a link, as a process does that dies then."""
    step(store, "mark", alias, person, "origin")


def interrupted_unlink(store: Running, alias: str, person: str) -> None:
    """Take only the first step of an unlinking."""
    step(store, "part", alias, person, "u")


def nearly_unlinked(store: Running, alias: str, person: str) -> None:
    """Take the first two steps of an unlinking."""
    word, noted = step(store, "part", alias, "", "u")
    assert word == b"leaving"
    step(store, "leave", person, alias, noted[1:].split(b" ")[0].decode(), SKEW_MS)


Look = Callable[[Running, str], object]
LOOKS: dict[str, Look] = {
    "a read": known,
    "who it is": lambda store, alias: store.wait(store.store.identities.person(alias)),
    "its consent": lambda store, alias: store.wait(store.store.consents.get_consent(alias)),
    "a new consent": lambda store, alias: agree(store, alias, "full", "email", given_ms=START_MS + 99),
    "a use": lambda store, alias: say(store, alias, SOON_MS),
}


@pytest.mark.parametrize("look", LOOKS)
def test_whoever_comes_across_half_a_link_finishes_it(store: Running, look: str) -> None:
    """When the process that links dies after the first step, the next call about the alias takes the second, once."""
    alias, person, other = new_ids(3)
    say(store, alias, SOON_MS)
    agree(store, person, "full", "email")
    link(store, other, person)
    interrupted_link(store, alias, person)
    LOOKS[look](store, alias)
    people = [store.wait(store.store.identities.person(who)) for who in (alias, person)]
    assert people[0] == people[1]
    assert people[0].identities == (person, other, alias)
    assert not link(store, alias, person)
    assert known(store, person).counters[FREE.key] == (SOON_MS,) * (2 if look == "a use" else 1)


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("how", [interrupted_unlink, nearly_unlinked])
def test_whoever_comes_across_half_an_unlinking_finishes_it(
    store: Running, look: str, how: Callable[[Running, str, str], None]
) -> None:
    """When the process that unlinks dies on the way, the next call about the alias takes the steps that are left."""
    alias, person = new_ids(2)
    agree(store, person, "service", "email")
    agree(store, alias, "full", "email")
    link(store, alias, person)
    say(store, alias, SOON_MS)
    how(store, alias, person)
    LOOKS[look](store, alias)
    assert known(store, alias).customer in ("", alias)
    assert store.wait(store.store.identities.person(alias)) == Person(alias, ())
    assert store.wait(store.store.identities.person(person)) == Person(person, ())
    assert known(store, alias).counters[FREE.key] == (SOON_MS,) * (2 if look == "a use" else 1)
    assert known(store, person).counters[FREE.key] == (SOON_MS,)
    assert known(store, alias).level == ("full" if look == "a new consent" else "service")
    assert not unlink(store, alias)


def test_a_half_link_that_cannot_be_finished_is_taken_back(store: Running) -> None:
    """Where the person has become an alias meanwhile, the half link ends and the alias keeps all that it had."""
    alias, person, other = new_ids(3)
    say(store, alias, SOON_MS)
    say(store, person, SOON_MS + 1)
    interrupted_link(store, alias, person)
    link(store, person, other)
    assert known(store, alias).counters == {FREE.key: (SOON_MS,)}
    assert store.wait(store.store.identities.person(alias)) == Person(alias, ())
    assert store.wait(store.store.identities.person(person)).identities == (other, person)


def test_ids_that_point_at_each_other_come_apart(store: Running) -> None:
    """Two processes that link two ids both ways and die leave no circle behind, but one of the links."""
    one, other = new_ids(2)
    interrupted_link(store, one, other)
    interrupted_link(store, other, one)
    assert known(store, one).customer in ("", one)
    people = [store.wait(store.store.identities.person(who)) for who in (one, other, one)][1:]
    assert people[0] == people[1]
    assert people[0].identities == (one, other)


def test_a_step_that_comes_late_does_nothing_to_a_later_link(store: Running) -> None:
    """The last steps of an unlinking, arriving after the id was linked anew, neither end that link nor its undoing."""
    alias, person = new_ids(2)
    link(store, alias, person)
    since = step(store, "part", alias, "", "u")[1][1:].split(b" ")[0].decode()
    unlink(store, alias)
    link(store, alias, person)
    assert step(store, "leave", person, alias, since, SKEW_MS)[0] == b"absent"
    assert step(store, "free", alias, since, "", "", "", "", "0", b"\x80", 1)[0] == b"alone"
    assert known(store, alias).customer == person
    interrupted_unlink(store, alias, person)
    assert step(store, "free", alias, since, "", "", "", "", "0", b"\x80", 1)[0] == b"alone"
    assert step(store, "seen", alias)[0] == b"leaving"


def test_each_link_has_a_later_moment_than_the_one_before(store: Running, store_url: str) -> None:
    """The moments of an id's links rise, whatever the store's clock does, so that two links are never taken for one."""
    alias, person = new_ids(2)
    ahead_ms = SOON_MS + 3_600_000
    with Redis.from_url(store_url) as raw:
        raw.hset(keys.context_key(alias), mapping={"i": alias, "l": ahead_ms})
    moments = []
    for _ in range(2):
        link(store, alias, person)
        moments += [since for _, since in store.wait(store.store.identities.person(alias)).aliases]
        unlink(store, alias)
    assert moments == [ahead_ms + 1, ahead_ms + 2]


def test_what_cannot_be_linked_is_refused_by_name_and_changes_nothing(store: Running, store_url: str) -> None:
    """Each refusal says which id is in the way and what to do, names nobody, and leaves no trace."""
    alias, person, other, fresh = new_ids(4)
    link(store, alias, person)
    link(store, "x" + alias, other)
    table = (
        (fresh, fresh, "alias_id is the same as customer_id"),
        (alias, other, "alias_id is linked to another customer"),
        (person, other, "alias_id has aliases of its own"),
        (fresh, alias, "customer_id is itself an alias"),
    )
    for one, another, words in table:
        with pytest.raises(LinkRefused, match=words) as refused:
            link(store, one, another)
        assert not any(name in str(refused.value) for name in (alias, person, other, fresh))
    with pytest.raises(LinkRefused, match="no alias but a customer with aliases"):
        unlink(store, person)
    with pytest.raises(LinkRefused, match="linked to another customer"):
        store.wait(store.store.identities.unlink(alias, other))
    assert store.wait(store.store.identities.unlink(alias, person))
    assert not store.wait(store.store.identities.unlink(alias, person))
    assert known(store, fresh).customer == ""
    with Redis.from_url(store_url) as raw:
        left = raw.hkeys(keys.context_key(fresh))
    assert set(left) <= {b"i", b"l", b"o"}, "of a link that was tried, nothing but its moment is left"


def test_a_person_has_sixteen_aliases_at_most(store: Running) -> None:
    """The seventeenth alias is refused by name and stays a customer; where one leaves there is room for another."""
    person, *aliases = new_ids(MOST_ALIASES + 2)
    for alias in aliases[:-1]:
        link(store, alias, person)
    with pytest.raises(LinkRefused, match="has 16 aliases, which is the most"):
        link(store, aliases[-1], person)
    assert known(store, aliases[-1]).customer == ""
    unlink(store, aliases[0])
    assert link(store, aliases[-1], person)
    assert store.wait(store.store.identities.person(person)).identities == (person, *aliases[1:])


def test_who_decided_for_the_wrong_person_is_sent_back(store: Running) -> None:
    """A commit for an alias, or for the person in the name of an id that has left, is refused and leaves nothing."""
    alias, person = new_ids(2)
    link(store, alias, person)

    def commit(customer: str, asked: str) -> Committed:
        decision = keys.repeatable_decision_id(customer, unused())
        candidates = ((("a", (FREE,)),),)
        told = Commit(customer, decision, b"", SOON_MS, b"entry", candidates, asked=asked)
        return store.wait(store.store.customers.commit(told))

    with pytest.raises(CustomerLinked):
        commit(alias, alias)
    assert commit(person, alias).chosen == (0,)
    unlink(store, alias)
    with pytest.raises(CustomerLinked):
        commit(person, alias)
    assert commit(person, person).chosen == (0,)
    assert commit(alias, alias).chosen == (0,)
    assert len(known(store, person).counters[FREE.key]) == 2


def test_a_decision_is_found_under_every_id_of_the_person(store: Running) -> None:
    """What was decided under an id and a key before the link is found under that key for every id of the person."""
    alias, person, other = new_ids(3)
    customers = store.store.customers
    decision = customers.decision_id(alias, "key", b"")
    made = store.wait(customers.commit(Commit(alias, decision, b"", SOON_MS, b"entry", ((("a", ()),),))))
    for who in (alias, other):
        link(store, who, person)
    for who in (alias, person, other):
        found = store.wait(customers.read(who, customers.decision_id(who, "key", b""), 5.0, "key")).decided
        assert found is not None
        assert (found.entry, found.repeated) == (made.entry, True)
        assert store.wait(customers.read(who, customers.decision_id(who, "new", b""), 5.0, "new")).decided is None


def test_an_id_that_was_unlinked_before_it_was_listed_is_not_listed(store: Running) -> None:
    """When a link's last step comes after the id was unlinked, the person does not keep who is nobody's alias."""
    alias, person = new_ids(2)
    told = step(store, "mark", alias, person, "origin")[1:-1]
    unlink(store, alias)
    levels = msgspec.msgpack.encode({"of": {}, "lowest": "none"})
    assert step(store, "join", person, alias, told[0], "origin", *told[1:], levels, 1) == [b"linked"]
    assert store.wait(store.store.identities.person(person)) == Person(person, ())
    assert store.wait(store.store.identities.person(alias)) == Person(alias, ())
    assert step(store, "seen", person) == [b"alone"]


def test_an_alias_whose_record_expired_is_forgotten(store: Running, store_url: str) -> None:
    """When the store has let an alias's own record go, the person is read without it, and no longer lists it."""
    alias, person = new_ids(2)
    agree(store, person, "full")
    hear(store, person, [Happening("e", START_MS, "x", True, 1, 1, 1.0, False)])
    link(store, alias, person)
    with Redis.from_url(store_url) as raw:
        raw.delete(keys.context_key(alias))
    assert states_of(known(store, person).groups.values())
    assert step(store, "seen", person) == [b"alone"], "the read took it off the list"


def test_whoever_was_erased_is_not_linked(store: Running, store_url: str) -> None:
    """Neither side of a link can bring an erased customer back, and the other one stays as it was."""
    erased, other = new_ids(2)
    say(store, other, SOON_MS)
    with Redis.from_url(store_url) as raw:
        raw.hset(keys.suppression_key(keys.bucket(erased)), SUPPRESSION.digest(erased), START_MS)
        for alias, person in ((erased, other), (other, erased)):
            with pytest.raises(CustomerErased):
                link(store, alias, person)
        assert not raw.exists(keys.context_key(erased))
    assert known(store, other).counters == {FREE.key: (SOON_MS,)}


@pytest.mark.parametrize("field", ["k", "j", "m"])
def test_what_cannot_be_read_is_no_empty_person(store: Running, store_url: str, field: str) -> None:
    """Counters and lists of aliases that are unreadable stop the call: nothing is decided as if they were not there."""
    alias, person = new_ids(2)
    say(store, alias, SOON_MS)
    say(store, person, SOON_MS)
    link(store, alias, person)
    with Redis.from_url(store_url) as raw:
        raw.hset(keys.context_key(person), field, b"\xc1")
    with pytest.raises(StoreUnreadable):
        known(store, person)
    with pytest.raises((StoreUnreadable, StoreReplied), match="cannot be read"):
        say(store, person, SOON_MS)


def test_keys_of_identities_expire(store: Running, store_url: str) -> None:
    """Every key that linking touches has a time to live, also where nothing was known before."""
    alias, person = new_ids(2)
    with Redis.from_url(store_url) as raw:
        for linked in (True, False):
            assert link(store, alias, person) if linked else unlink(store, alias)
            for customer in (alias, person):
                assert 0 < raw.pttl(keys.context_key(customer)) <= Retention().context.total_seconds() * 1000
