"""What a customer agreed to: the last one given holds, every change is kept, the same one again changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count, pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from redis import Redis

from service.core.decision import Commit, Counter
from service.core.records import ConsentRecord
from service.errors import ConsentChanged, ConsentOlder, CustomerErased
from service.store import keys
from service.store.connection import Connections
from service.store.consents import CHANGES_KEPT
from service.store.retention import Retention, milliseconds
from service.store.store import Store
from service.store.suppression import Suppression
from tests.folding import DETERMINISTIC
from tests.store.running import LEVELS, Running, running

T_MS = 1_700_000_000_000
FULL = ConsentRecord("full", ("email", "web"), T_MS, "web form")
NONE = ConsentRecord("none", (), T_MS, "call")
SERVICE = ConsentRecord("service", (), 0, "desk")
LATER_MS = time.time_ns() // 1_000_000 + 3_600_000
_numbers = count()


@pytest.fixture(scope="module")
def store(store_url: str) -> Iterator[Running]:
    """Return a running customer store."""
    with running(store_url) as one:
        yield one


def somebody() -> str:
    """Return a customer that no other test has."""
    return f"agreeing-{next(_numbers)}"


def plain(record: ConsentRecord) -> ConsentRecord:
    """Return a consent without the moment of its arrival."""
    return replace(record, arrived_ms=0)


def history(store: Running, customer: str) -> list[ConsentRecord]:
    """Return how a consent changed, without the moments of arrival."""
    return [plain(change) for change in store.wait(store.store.consents.agreed(customer, history=True)).changes]


def test_a_consent_is_stored_with_the_moment_of_its_arrival(store: Running) -> None:
    """What comes back is what was given, and when the store took it in; reading it gives the same."""
    customer, before_ms = somebody(), time.time_ns() // 1_000_000
    stored = store.wait(store.store.consents.set_consent(customer, FULL))
    assert plain(stored) == FULL
    assert before_ms - 1000 <= stored.arrived_ms <= time.time_ns() // 1_000_000 + 1000
    assert store.wait(store.store.consents.get_consent(customer)) == stored
    agreed = store.wait(store.store.consents.agreed(customer, history=True))
    assert (agreed.consent, agreed.changes) == (stored, (stored,))
    assert store.wait(store.store.consents.agreed(customer, history=False)).changes == ()


def test_nobody_agreed_to_anything_yet(store: Running) -> None:
    """Of somebody unknown there is no consent and no history, and that is no error."""
    agreed = store.wait(store.store.consents.agreed(somebody(), history=True))
    assert (agreed.consent, agreed.changes) == (None, ())


CHANGES = st.lists(
    st.builds(
        ConsentRecord,
        st.sampled_from(["none", "service", "full", "é"]),
        st.sampled_from([(), ("email",), ("web",), ("email", "web"), ("web", "email")]),
        st.sampled_from([T_MS, T_MS + 1, T_MS + 2]),
        st.sampled_from(["", "call", "Formular ✓"]),
    ),
    min_size=1,
    max_size=12,
)


@settings(DETERMINISTIC, max_examples=150)
@given(CHANGES)
def test_the_history_is_every_change_in_order(store: Running, changes: list[ConsentRecord]) -> None:
    """For any consents in any order: the last given holds, older ones are refused, and only changes are kept."""
    customer = somebody()
    holds: ConsentRecord | None = None
    wanted: list[ConsentRecord] = []
    for change in changes:
        if holds is not None and change.given_ms < holds.given_ms:
            with pytest.raises(ConsentOlder):
                store.wait(store.store.consents.set_consent(customer, change))
            continue
        stored = store.wait(store.store.consents.set_consent(customer, change))
        assert plain(stored) == change
        if holds is None or replace(change, given_ms=holds.given_ms) != holds:
            wanted.append(change)
        holds = change
    assert history(store, customer) == wanted
    found = store.wait(store.store.consents.agreed(customer, history=True))
    assert found.consent is not None
    assert plain(found.consent) == holds
    assert all(one.arrived_ms <= other.arrived_ms for one, other in pairwise(found.changes))


def test_the_very_same_consent_again_changes_nothing(store: Running) -> None:
    """A call that is repeated keeps the first moment of arrival and is no entry of the history."""
    customer = somebody()
    first = store.wait(store.store.consents.set_consent(customer, FULL))
    time.sleep(0.002)
    assert store.wait(store.store.consents.set_consent(customer, FULL)) == first
    assert history(store, customer) == [FULL]


@pytest.mark.parametrize("given_ms", [0, LATER_MS + 1], ids=["undated", "dated ahead"])
@pytest.mark.parametrize("held", ["a consent", "a bound", "an erasure"])
def test_a_clock_of_the_store_that_went_back_refuses_no_withdrawal(store_url: str, held: str, given_ms: int) -> None:
    """Given now, a consent is never older than what is stored, also where another server dated that in the future."""
    customer, suppression = somebody(), Suppression(b"k" * 32)
    with running(store_url) as one, Redis.from_url(store_url) as raw:
        consents = Store.over(one.connections, LEVELS, "none", suppression=suppression).consents
        if held == "an erasure":
            raw.hset(keys.suppression_key(keys.bucket(customer)), suppression.digest(customer), LATER_MS)
        else:
            kept = ["full", [], LATER_MS, "", 1] if held == "a consent" else ["none", [], LATER_MS, 0]
            raw.hset(keys.context_key(customer), "i", customer)
            raw.hset(keys.context_key(customer), "c" if held == "a consent" else "n", msgspec.msgpack.encode(kept))
        stored = one.wait(consents.set_consent(customer, replace(SERVICE, given_ms=given_ms)))
    assert (stored.level, stored.source) == (SERVICE.level, SERVICE.source)
    assert stored.given_ms == LATER_MS + (held == "an erasure")


def test_now_is_the_stores(store: Running) -> None:
    """A consent without a moment, or with one in the future, is given when it arrives."""
    for given_ms in (0, LATER_MS):
        stored = store.wait(store.store.consents.set_consent(somebody(), replace(FULL, given_ms=given_ms)))
        assert 0 <= stored.arrived_ms - stored.given_ms < 1_000


def test_the_history_is_bounded_and_keeps_the_newest(store: Running) -> None:
    """Of more than a hundred changes the last hundred are kept."""
    customer = somebody()
    changes = [ConsentRecord("full", (), T_MS + n, f"change {n}") for n in range(CHANGES_KEPT + 5)]
    for change in changes:
        store.wait(store.store.consents.set_consent(customer, change))
    assert history(store, customer) == changes[-CHANGES_KEPT:]


def test_consent_and_history_expire(store: Running, store_url: str) -> None:
    """Both have a time to live of their own, and setting a consent starts it anew; reading does not."""
    customer = somebody()
    store.wait(store.store.consents.set_consent(customer, FULL))
    places = {keys.context_key(customer): Retention().context, keys.history_key(customer): Retention().consent_history}
    with Redis.from_url(store_url) as raw:
        for place in places:
            raw.pexpire(place, 60_000)
        store.wait(store.store.consents.agreed(customer, history=True))
        assert all(0 < raw.pttl(place) <= 60_000 for place in places)
        store.wait(store.store.consents.set_consent(customer, FULL))
        for place, kept in places.items():
            assert milliseconds(kept) - 60_000 < raw.pttl(place) <= milliseconds(kept)


@pytest.mark.parametrize("spoilt", [b"", b"\xff", b"\x93\xa4full\x90\x01", b"\xa4full", b"\x94\x01\x90\x01\xa0"])
def test_what_cannot_be_read_is_no_consent(store: Running, store_url: str, spoilt: bytes) -> None:
    """A consent that something else spoilt allows nothing, hides no change, and is replaced by the next."""
    customer = somebody()
    store.wait(store.store.consents.set_consent(customer, FULL))
    with Redis.from_url(store_url) as raw:
        raw.hset(keys.context_key(customer), "c", spoilt)
        raw.rpush(keys.history_key(customer), spoilt)
    agreed = store.wait(store.store.consents.agreed(customer, history=True))
    assert agreed.consent is None
    assert [plain(change) for change in agreed.changes] == [FULL]
    assert plain(store.wait(store.store.consents.set_consent(customer, NONE))) == NONE


def test_a_consent_without_its_arrival_is_read(store: Running, store_url: str) -> None:
    """What was stored before arrivals were kept still holds, with an arrival of 0."""
    customer = somebody()
    with Redis.from_url(store_url) as raw:
        raw.hset(keys.context_key(customer), "i", customer)
        raw.hset(keys.context_key(customer), "c", msgspec.msgpack.encode(["full", ["email", "web"], T_MS, "web form"]))
    assert store.wait(store.store.consents.get_consent(customer)) == FULL


def test_an_alias_stands_for_its_person(store: Running, store_url: str) -> None:
    """A consent that is set or read by an alias is that of the person; a circle of identities is broken up."""
    alias, person = somebody(), somebody()
    with Redis.from_url(store_url) as raw:
        store.wait(store.store.identities.link(alias, person))
        stored = store.wait(store.store.consents.set_consent(alias, FULL))
        assert store.wait(store.store.consents.get_consent(person)) == stored
        assert store.wait(store.store.consents.get_consent(alias)) == stored
        assert history(store, alias) == [FULL]
        assert raw.hget(keys.context_key(alias), "c") is None
        raw.hset(keys.context_key(person), "a", alias)
    assert store.wait(store.store.consents.get_consent(alias)) == stored, "it was set under this very id"


def a_commit(customer: str, consent: bytes) -> Commit:
    """Return the commit of something that was decided under a consent."""
    counters = (Counter("cap", 5, 60_000),)
    return Commit(
        customer, keys.fresh_decision_id(customer, b"d" * 12), b"", T_MS, b"entry", ((("a", counters),),),
        consent=consent,
    )  # fmt: skip


def test_nothing_is_committed_under_a_consent_that_was_replaced_meanwhile(store: Running) -> None:
    """What was decided before a withdrawal is not committed after it: nothing is counted and nothing is logged."""
    customer, consents, customers = somebody(), store.store.consents, store.store.customers
    store.wait(consents.set_consent(customer, FULL))
    read = store.wait(customers.read(customer, None))
    store.wait(consents.set_consent(customer, NONE))
    with pytest.raises(ConsentChanged):
        store.wait(customers.commit(a_commit(customer, read.consent)))
    after = store.wait(customers.read(customer, a_commit(customer, b"").decision_id))
    assert (after.counters, after.decided) == ({}, None)
    store.wait(consents.set_consent(customer, NONE))
    done = store.wait(customers.commit(a_commit(customer, after.consent)))
    assert done.chosen == (0,)
    store.wait(consents.set_consent(customer, replace(FULL, given_ms=T_MS + 1)))
    assert store.wait(customers.commit(a_commit(customer, after.consent))).repeated


def test_who_never_agreed_to_anything_is_decided_for(store: Running) -> None:
    """Without a consent nothing was relied on, so one that comes meanwhile does not matter."""
    customer = somebody()
    read = store.wait(store.store.customers.read(customer, None))
    assert read.consent == b""
    store.wait(store.store.consents.set_consent(customer, FULL))
    assert store.wait(store.store.customers.commit(a_commit(customer, read.consent))).chosen == (0,)


def test_only_a_consent_given_after_the_erasure_readmits(store_url: str) -> None:
    """An erased customer's consents up to that moment are refused and leave nothing; a later one is stored."""
    with running(store_url) as plain_store, Redis.from_url(store_url) as raw:
        suppression = Suppression(b"k" * 32)
        connections: Connections = plain_store.connections
        consents = Store.over(connections, LEVELS, "none", suppression=suppression).consents
        customer = somebody()
        raw.hset(keys.suppression_key(keys.bucket(customer)), suppression.digest(customer), T_MS)
        for given_ms in (T_MS - 1, T_MS):
            with pytest.raises(CustomerErased):
                plain_store.wait(consents.set_consent(customer, replace(FULL, given_ms=given_ms)))
        assert not raw.exists(keys.context_key(customer), keys.history_key(customer))
        later = replace(FULL, given_ms=T_MS + 1)
        assert plain(plain_store.wait(consents.set_consent(customer, later))) == later
        with pytest.raises(CustomerErased):
            plain_store.wait(consents.set_consent(customer, FULL))
