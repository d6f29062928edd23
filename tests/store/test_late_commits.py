"""A commit that comes when nobody waits for it any more is not done: who was told nothing is not counted as told."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from msgspec.structs import replace
from redis import Redis

from service.core.decision import Commit, Counter
from service.core.memory import Give
from service.errors import CommitTooLate
from service.store import keys
from tests.store.running import Running, running

ONCE = Counter("once", 1, 86_400_000)
LONG_MS = 60_000
_numbers = count()


@pytest.fixture(scope="module")
def store(store_url: str) -> Iterator[Running]:
    """Return a running customer store."""
    with running(store_url) as one:
        yield one


def commit_until(store: Running, lasts_ms: int | None, key: str = "") -> Commit:
    """Return a commit that is waited for so long from now, by the store's clock; None for always."""
    customer = f"late-{next(_numbers)}"
    now_ms = store.wait(store.store.customers.context(customer)).now_ms
    decision = keys.repeatable_decision_id(customer, "key")
    commit = Commit(customer, decision, b"digest", now_ms, b"entry", ((("a", (ONCE,)),),), now_ms, channel="web")
    ends_ms = 0 if lasts_ms is None else now_ms + lasts_ms
    return replace(commit, gives=(Give("a", "story", now_ms + LONG_MS, b"f" * 8),), not_after_ms=ends_ms)


def test_a_commit_that_nobody_waits_for_writes_nothing(store: Running, store_url: str) -> None:
    """It is refused, and everything that is stored stays as it was, so that the next decision can say it."""
    commit = commit_until(store, -1)
    with Redis.from_url(store_url) as raw:
        before = {key: raw.dump(key) for key in raw.scan_iter()}
        with pytest.raises(CommitTooLate):
            store.wait(store.store.customers.commit(commit))
        assert {key: raw.dump(key) for key in raw.scan_iter()} == before
    assert store.wait(store.store.customers.commit(replace(commit, not_after_ms=0))).chosen == (0,)


@pytest.mark.parametrize("lasts_ms", [LONG_MS, None])
def test_a_commit_that_is_waited_for_is_done(store: Running, lasts_ms: int | None) -> None:
    """In time, or without any such time, it is taken and counted."""
    assert store.wait(store.store.customers.commit(commit_until(store, lasts_ms))).chosen == (0,)


def test_what_was_committed_before_is_told_however_late(store: Running) -> None:
    """A commit that is repeated too late changes nothing anyway, and is answered with what was stored."""
    commit = commit_until(store, LONG_MS)
    first = store.wait(store.store.customers.commit(commit))
    again = store.wait(store.store.customers.commit(replace(commit, not_after_ms=1)))
    assert (again.repeated, again.chosen, again.entry) == (True, first.chosen, first.entry)
