"""Data without consent never leaves the store: not even the store's own commands ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from models import folds
from models.context import FoldKind
from service.core.records import ConsentRecord, EventToFold
from service.store import keys
from service.store.store import Store
from tests.folding import DETERMINISTIC
from tests.store.running import Running, running, states_of
from tests.store.watch import Watch

GROUPS = "spf"
T_MS = 1_790_000_000_000
_numbers = count()


@pytest.fixture(scope="module")
def store(store_url: str) -> Iterator[Running]:
    """Return a running customer store."""
    with running(store_url) as one:
        yield one


@pytest.fixture(scope="module")
def watch(store_url: str) -> Iterator[Watch]:
    """Return a watch on the store."""
    one = Watch(store_url)
    yield one
    one.close()


def known_in_all_groups(store: Running, level: str | None) -> str:
    """Return a customer of whom something is known for each purpose."""
    customer = f"scoped-{next(_numbers)}"
    operations = [folds.Operation(n, group, FoldKind.COUNT, 1, 0, 0, 64, False) for n, group in enumerate(GROUPS)]
    store.wait(store.store.events.fold(customer, [EventToFold("e", T_MS, tuple(operations))]))
    if level is not None:
        store.wait(store.store.consents.set_consent(customer, ConsentRecord(level, (), T_MS, "")))
    return customer


levels = st.dictionaries(
    st.sampled_from(["none", "service", "personal", "full", "1", "é"]),
    st.sets(st.sampled_from(GROUPS)).map(lambda letters: "".join(sorted(letters))),
    min_size=1,
)


@settings(DETERMINISTIC, max_examples=80)
@given(levels, st.data())
def test_the_store_asks_only_for_what_the_consent_allows(
    store: Running, watch: Watch, allowed: dict[str, str], data: st.DataObject
) -> None:
    """For any levels, groups and consents: MONITOR shows a read of the consent, then of the allowed groups alone."""
    lowest = data.draw(st.sampled_from(sorted(allowed)))
    agreed = data.draw(st.sampled_from([None, "abolished", *sorted(allowed)]))
    customer = known_in_all_groups(store, agreed)
    scoped = Store.over(store.connections, allowed, lowest)
    watch.seen()
    known = store.wait(scoped.customers.read(customer, keys.repeatable_decision_id(customer, "k"), 1.0))
    commands = [command for command in watch.seen() if command[0] in ("HGET", "HMGET", "HGETALL", "HVALS", "DUMP")]
    wanted = allowed.get(agreed or "", allowed[lowest])
    latest = ["h"] if "s" in wanted else []  # the latest contact is a fact for service
    assert [(name, *fields) for name, _, *fields in commands] == [
        ("HMGET", "c", "a", "u", "m", "j", "g"), ("HMGET", "i", "k", *wanted, *latest),
    ]  # fmt: skip
    assert sorted(known.groups) == sorted(wanted)
    assert states_of(known.groups.values()) == {GROUPS.index(group): [T_MS, 1] for group in wanted}


def test_the_watch_would_see_a_forbidden_read(store: Running, watch: Watch, store_url: str) -> None:
    """The check itself can fail: a read of a forbidden group, as another program would do it, is seen."""
    customer = known_in_all_groups(store, "none")
    watch.seen()
    with Redis.from_url(store_url) as raw:
        raw.hmget(keys.context_key(customer), "i", "p")
    assert any(command[0] == "HMGET" and "p" in command for command in watch.seen())


def test_withdrawing_a_consent_holds_from_the_next_read(store: Running) -> None:
    """What was allowed is hidden at once, and shown again when it is allowed again."""
    customer = known_in_all_groups(store, "full")
    assert sorted(store.wait(store.store.customers.context(customer)).groups) == sorted(GROUPS)
    store.wait(store.store.consents.set_consent(customer, ConsentRecord("service", (), T_MS + 1, "")))
    assert sorted(store.wait(store.store.customers.context(customer)).groups) == ["s"]
    store.wait(store.store.consents.set_consent(customer, ConsentRecord("personal", (), T_MS + 2, "")))
    assert sorted(store.wait(store.store.customers.context(customer)).groups) == ["p", "s"]
