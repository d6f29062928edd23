"""A decision is read back from the store as it was logged, whole, by its id."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings

from service.core import plan
from service.core.plan import Entry
from service.store import keys
from service.store.calls import StoreUnreadable
from tests.folding import DETERMINISTIC
from tests.store.running import Running, running
from tests.store.test_issued import commit, entries


@pytest.fixture(scope="module")
def store(store_url: str) -> Iterator[Running]:
    """Return a running customer store."""
    with running(store_url) as one:
        yield one


@settings(DETERMINISTIC, max_examples=40)
@given(entries())
def test_what_was_logged_is_read_back(store: Running, entry: Entry) -> None:
    """For any plan the entry comes back to the byte, with what the commit chose of it."""
    said = commit(store, entry)
    logged = store.wait(store.store.issued.logged(entry.decision_id))
    assert logged is not None
    assert logged.committed.entry == plan.pack(entry)
    assert plan.pack(logged.entry) == plan.pack(entry)
    chosen = zip(entry.placements, logged.committed.chosen, strict=True)
    assert said == tuple((p.placement, p.candidates[rank].action if rank >= 0 else "") for p, rank in chosen)


def test_of_no_decision_nothing_is_read(store: Running) -> None:
    """A decision that was never made, or whose entry was trimmed, is none."""
    assert store.wait(store.store.issued.logged("0ab" + "2" * 23)) is None
    entry = Entry(
        keys.fresh_decision_id("trimmed", b"c" * 12), "trimmed", "web", 1, "s@1", "", "full", (), None, (), (), ()
    )
    commit(store, entry)
    store.wait(store.connections.execute("DEL", keys.log_key(entry.decision_id[:3])))
    assert store.wait(store.store.issued.logged(entry.decision_id)) is None


def test_what_cannot_be_read_is_an_error(store: Running) -> None:
    """An entry that was damaged is never taken for another decision, and never for none."""
    entry = Entry(
        keys.fresh_decision_id("damaged", b"d" * 12), "damaged", "web", 1, "s@1", "", "full", (), None, (), (), ()
    )
    commit(store, entry)
    log = keys.log_key(entry.decision_id[:3])
    place = store.wait(store.connections.execute("XADD", log, "*", "i", "damaged", "e", "x", "c", "", "b", ""))
    store.wait(store.connections.execute("SET", keys.decision_key(entry.decision_id), place + b" "))
    with pytest.raises(StoreUnreadable):
        store.wait(store.store.issued.logged(entry.decision_id))
