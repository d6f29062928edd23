"""Uses of a household's caps are counted by the plain rule: together, once, and back where they came to nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from service.core.decision import Bound, Counter
from service.core.households import Granted, Use
from service.store import keys
from service.store.connection import StoreReplied
from service.store.households import HouseholdStore
from service.store.retention import Retention
from tests.store.everything import values_of
from tests.store.running import Running, running

NOW_MS = 1_790_000_000_000
HOUR_MS = 3_600_000
ALL = Counter("all", 2, 6 * HOUR_MS)
A_DAY = Counter("a-day", 2, 25 * HOUR_MS, since_ms=NOW_MS, frees_ms=NOW_MS + 24 * HOUR_MS)
EACH = {action: Counter(f"each|a:{action}", 1, 3 * HOUR_MS) for action in "abc"}
USED: dict[str, tuple[Counter, ...]] = {
    "a": (ALL, EACH["a"]),
    "b": (ALL, EACH["b"], A_DAY),
    "c": (EACH["c"], A_DAY),
    "free": (),
}
Placed = list[str]


@dataclass
class Plain:
    """The plain rule: uses by name with when, and what they count for; none is ever forgotten."""

    uses: dict[str, tuple[int, tuple[Counter, ...]]] = field(default_factory=dict)

    def times(self, key: str) -> list[int]:
        """Return when a counter was used."""
        return sorted(at for at, counters in self.uses.values() if key in [one.key for one in counters])

    def frees_ms(self, counter: Counter, now: int) -> int | None:
        """Return when a counter can be used again; None for now."""
        since = counter.since_ms or now - counter.within_ms + 1
        inside = [at for at in self.times(counter.key) if at >= since]
        if len(inside) < counter.at_most:
            return None
        return counter.frees_ms or inside[-counter.at_most] + counter.within_ms

    def grant(self, decision: str, now: int, placements: Sequence[Placed]) -> Granted:
        """Use the caps for the first candidate of each placement that fits."""
        ranks, bound, taken = [], [], set[str]()
        for place, ranked in enumerate(placements):
            ranks.append(-1)
            for rank, action in enumerate(ranked):
                name = keys.lease(decision, action)
                if action in taken:
                    continue
                binding = [] if name in self.uses else [
                    (frees, one.key) for one in USED[action] if (frees := self.frees_ms(one, now)) is not None
                ]  # fmt: skip
                if not binding:
                    ranks[-1] = rank
                    taken.add(action)
                    if USED[action]:
                        self.uses.setdefault(name, (now, USED[action]))
                    break
                latest = max(frees for frees, _ in binding)
                key = next(key for frees, key in binding if frees == latest)
                bound.append(Bound(place, rank, key, latest))
        return Granted(tuple(ranks), tuple(bound))


@pytest.fixture(scope="module")
def store(store_url: str) -> Iterator[Running]:
    """Return a running store."""
    with running(store_url) as one:
        yield one


def households(store: Running, granted_ms: int = 60_000) -> HouseholdStore:
    """Return the uses of households in a store."""
    return HouseholdStore(store.store.calls, Retention(), granted_ms)


def placed(placements: Sequence[Placed]) -> list[list[tuple[str, tuple[Counter, ...]]]]:
    """Return placements with what their candidates use."""
    return [[(action, USED[action]) for action in ranked] for ranked in placements]


_ranked = st.lists(st.sampled_from(list(USED)), max_size=3, unique=True)
steps = st.lists(
    st.tuples(
        st.integers(0, 5),  # the decision
        st.integers(0, 2 * HOUR_MS) | st.sampled_from([HOUR_MS, 2 * HOUR_MS]),  # how much later
        st.lists(_ranked, min_size=1, max_size=2),
        st.sampled_from(["said", "unsaid", "died"]),
    ),
    min_size=2,
    max_size=10,
)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_uses_are_counted_as_the_plain_rule_says(
    store: Running, told: list[tuple[int, int, list[Placed], str]]
) -> None:
    """Whatever is granted, said, given back or left: the store grants and refuses what the plain rule does."""
    uses, plain, now = households(store), Plain(), NOW_MS
    home = f"home-{told!r}"
    store.wait(store.connections.execute("DEL", keys.household_key(keys.household_name(home))))
    settled: set[str] = set()
    for number, later, placements, end in told:
        now += later
        decision = f"{number:026x}"
        granted = store.wait(uses.grant(home, decision, now, placed(placements)))
        assert granted == plain.grant(decision, now, placements)
        for place, rank in enumerate(granted.ranks):
            action = placements[place][rank] if rank >= 0 else "free"
            name = keys.lease(decision, action)
            if action == "free":
                continue
            at, counters = plain.uses[name]
            if end == "said":
                use = Use(name, at, now + 30 * HOUR_MS, 0, tuple(one.key for one in counters))
                store.wait(uses.settle(home, [use], ()))
                settled.add(name)
            elif end == "unsaid":
                back = store.wait(uses.settle(home, (), [name]))
                assert back == (name not in settled)
                if name not in settled:
                    del plain.uses[name]
        found = store.wait(uses.uses(home))
        recent = {key: tuple(t for t in times if t > now - 3 * HOUR_MS) for key, times in found.times.items()}
        counted = {one.key for _, used in plain.uses.values() for one in used}
        assert {key: times for key, times in recent.items() if times} == {
            key: times for key in counted if (times := tuple(t for t in plain.times(key) if t > now - 3 * HOUR_MS))
        }


def test_a_grant_is_open_until_it_is_settled(store: Running) -> None:
    """What nobody said yet whether it was said is listed, with all that is needed to settle it."""
    name = keys.lease("0" * 26, "c")
    store.wait(households(store).grant("open", "0" * 26, NOW_MS, placed([["c"]])))
    assert store.wait(households(store).uses("open")).open == ()
    (use,) = store.wait(households(store, granted_ms=0).uses("open")).open
    assert (use.name, use.decision_id, use.action) == (name, "0" * 26, "c")
    assert (use.at_ms, use.ends_ms, use.counters) == (NOW_MS, NOW_MS + 25 * HOUR_MS, ("each|a:c", "a-day"))
    store.wait(households(store).settle("open", [use], ()))
    assert store.wait(households(store, granted_ms=0).uses("open")).open == ()
    assert store.wait(households(store).settle("open", (), [name])) == 0, "what was said stays said"
    assert store.wait(households(store).uses("open")).times["a-day"] == (NOW_MS,)


def test_a_household_is_named_by_a_digest_alone(store: Running, store_url: str) -> None:
    """What a household is called, which can be an address, stands nowhere in the store."""
    store.wait(households(store).grant("Elm Street 7", "0" * 26, NOW_MS, placed([["a"]])))
    with Redis.from_url(store_url) as raw:
        key = keys.household_key(keys.household_name("Elm Street 7"))
        assert raw.exists(key)
        assert b"Elm" not in key + b"".join(values_of(raw, key))


def test_what_cannot_be_read_grants_nothing(store: Running) -> None:
    """With uses that something else wrote over no cap is known to hold, and nothing is granted."""
    key = keys.household_key(keys.household_name("broken"))
    store.wait(store.connections.execute("HSET", key, "x", b"\xc1"))
    with pytest.raises(StoreReplied, match="cannot be read"):
        store.wait(households(store).grant("broken", "0" * 26, NOW_MS, placed([["a"]])))
    with pytest.raises(StoreReplied, match="cannot be read"):
        store.wait(households(store).uses("broken"))


def test_uses_end_with_their_windows(store: Running, store_url: str) -> None:
    """What no window reaches any more is forgotten with the next grant; what nothing is added to goes as a whole."""
    uses, key = households(store), keys.household_key(keys.household_name("ended"))
    with Redis.from_url(store_url) as raw:
        seconds, _ = raw.time()
        now = int(seconds) * 1000
        long_ago = now - 100 * HOUR_MS
        store.wait(uses.grant("ended", "0" * 26, long_ago, placed([["a"]])))
        assert 0 < int(raw.pttl(key)) <= 60_000
        store.wait(uses.grant("ended", "1" * 26, now, placed([["a"]])))
        assert list(raw.hgetall(key)) == [keys.lease("1" * 26, "a").encode()]
        assert 5 * HOUR_MS < int(raw.pttl(key)) <= 6 * HOUR_MS + 60_000
