"""Caps hold exactly, whoever commits at the same time, and say rightly when they free."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from redis import Redis

from service.core import plan
from service.core.decision import Bound, Commit, Committed, Counter, Known
from service.core.plan import Entry
from service.core.records import OutcomeRecord, OutcomeStatus
from service.store import keys
from tests.folding import DETERMINISTIC
from tests.store import hammer
from tests.store.hammer import differences, overruns
from tests.store.plain_caps import Candidates, Room, Use, taken
from tests.store.running import Running, running

PROCESSES = 4
COMMITS_EACH = int(os.environ.get("TACT_COMMITS_EACH", "600"))
HISTORIES = int(os.environ.get("TACT_CAP_HISTORIES", "40"))
ROOT = Path(__file__).parents[2]
NOW_MS = 1_790_000_000_000
_numbers = count()
_bounds = msgspec.msgpack.Decoder(tuple[tuple[int, int, str, int], ...]).decode


@pytest.fixture(scope="module")
def store(store_url: str) -> Iterator[Running]:
    """Return a running customer store."""
    with running(store_url) as one:
        yield one


def decide(store: Running, customer: str, now_ms: int, candidates: Candidates) -> tuple[str, Committed]:
    """Commit under a decision id of its own; return it too."""
    decision = keys.repeatable_decision_id(customer, f"{next(_numbers)}")
    entry = plan.pack(Entry(decision, customer, "web", now_ms, "small@1", "", "full", (), None, (), (), (), ()))
    commit = Commit(customer, decision, b"digest", now_ms, entry, candidates)
    return decision, store.wait(store.store.customers.commit(commit))


def commit(store: Running, customer: str, now_ms: int, candidates: Candidates) -> Committed:
    """Commit under a decision id of its own."""
    return decide(store, customer, now_ms, candidates)[1]


def known(store: Running, customer: str) -> Known:
    """Return what is known of a customer."""
    return store.wait(store.store.customers.context(customer))


def new_customer() -> str:
    """Return a customer who was told nothing yet."""
    return f"capped-{next(_numbers)}"


def run_processes(
    url: str, customer: str, how: str, commits: int = COMMITS_EACH
) -> list[tuple[str, list[int], str, bool]]:
    """Let four processes commit for one customer at once and return all that came back."""
    arguments = [sys.executable, "-m", hammer.__name__, url, customer]
    running_now = [
        subprocess.Popen([*arguments, str(seed), str(commits), how], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for seed in range(PROCESSES)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in running_now]
    assert [process.returncode for process in running_now] == [0] * PROCESSES
    return [json.loads(line) for output in outputs for line in output.splitlines()]


def logged(url: str, customer: str) -> tuple[list[bytes], list[tuple[tuple[int, ...], tuple[Bound, ...]]]]:
    """Return the entries and results of the customer's decision log, in its order."""
    with Redis.from_url(url) as raw:
        log = [fields for _, fields in raw.xrange(keys.log_key(keys.bucket(customer)))]
    results = [
        (tuple(msgspec.msgpack.decode(one[b"c"])), tuple(Bound(*bound) for bound in _bounds(one[b"b"]))) for one in log
    ]
    return [one[b"e"] for one in log], results


def test_four_processes_never_exceed_a_cap(clean_store_url: str) -> None:
    """6,000 commits of four processes for one customer: each did exactly what the plain rule says, one by one.

    So no cap was exceeded, nothing that fitted was held back, and every moment at which a cap frees was right. An id
    that several processes used was decided once, and all were answered the same.
    """
    customer = "everybody's favourite"
    answers = run_processes(clean_store_url, customer, "exact")
    entries, results = logged(clean_store_url, customer)
    assert len(answers) == PROCESSES * COMMITS_EACH
    assert differences(entries, results) == []
    assert overruns(entries, [chosen for chosen, _ in results]) == []
    by_id: dict[str, set[tuple[tuple[int, ...], str]]] = defaultdict(set)
    for decision, chosen, entry, _ in answers:
        by_id[decision].add((tuple(chosen), entry))
    first_answers = Tally(decision for decision, _, _, repeated in answers if not repeated)
    assert all(len(different) == 1 for different in by_id.values())
    assert first_answers == dict.fromkeys(by_id, 1)
    assert len(entries) == len(by_id) == PROCESSES * COMMITS_EACH - (PROCESSES - 1) * COMMITS_EACH // 3
    assert {"all", "apologies"} <= {bound.counter for _, bounds in results for bound in bounds}


def test_the_check_finds_caps_that_are_counted_after_the_check(clean_store_url: str) -> None:
    """The same hammering with check-then-count in two steps exceeds caps, and is caught."""
    customer = "everybody's favourite"
    run_processes(clean_store_url, customer, "naive", COMMITS_EACH // 3)
    entries, results = logged(clean_store_url, customer)
    assert overruns(entries, [chosen for chosen, _ in results])
    assert differences(entries, results)


day_length = 700


def a_day(counter: Counter, now_ms: int) -> Counter:
    """Return a counter of the day that it is; days are short here."""
    if not counter.since_ms:
        return counter
    since_ms = now_ms - now_ms % day_length
    return replace(counter, since_ms=since_ms, frees_ms=since_ms + day_length)


counters = st.builds(
    Counter, st.sampled_from("abc"), st.integers(0, 3), st.sampled_from([100, 1_000]),
    since_ms=st.sampled_from([0, 0, 1]), hold_ms=st.sampled_from([0, 0, 50, 900]), on=st.sampled_from([1, 2]),
)  # fmt: skip
ranked = st.lists(
    st.tuples(st.sampled_from("vwxyz"), st.lists(counters, max_size=3, unique_by=lambda one: one.key).map(tuple)),
    max_size=4, unique_by=lambda one: one[0],
).map(tuple)  # fmt: skip
plans = st.lists(ranked, max_size=3).map(tuple)
outcomes = st.tuples(st.integers(0, 14), st.integers(0, 2), st.sampled_from([1, 1, 1, 2, 4]), st.integers(-100, 1_200))


@settings(DETERMINISTIC, max_examples=HISTORIES)
@given(st.lists(st.tuples(st.integers(-1_500, 1_500), plans | outcomes), min_size=1, max_size=15))
def test_every_commit_follows_the_plain_rule(
    store: Running, planned: list[tuple[int, Candidates | tuple[int, int, int, int]]]
) -> None:
    """Whatever the candidates, bounds, windows, days, holds, clocks and outcomes: what is taken, bound and freed is
    what the rule says, and the next read tells the same uses.
    """
    customer, room, made = new_customer(), Room(), list[tuple[str, int, list[str]]]()
    start_ms = known(store, customer).now_ms - 10_000
    for offset_ms, what in planned:
        now_ms = start_ms + offset_ms
        if len(what) == 4 and isinstance(what[0], int):
            tell(store, customer, room, made, what)
            continue
        candidates = tuple(
            tuple((action, tuple(a_day(one, now_ms) for one in used)) for action, used in ranked) for ranked in what
        )
        decision, done = decide(store, customer, now_ms, candidates)
        assert (done.chosen, done.bound) == room.take(now_ms, candidates, decision)
        made.append((decision, now_ms, [action for action, _ in taken(candidates, done.chosen)]))
    known_now = known(store, customer)
    assert known_now.counters == {
        key: tuple(sorted(times)) for key, uses in room.uses.items() if (times := standing(uses, known_now.now_ms))
    }


def standing(uses: list[Use], now_ms: int) -> list[int]:
    """Return the times of the uses that have not been given back; no hold of this test lasts until it ends."""
    return [use.at_ms for use in uses if not use.ends_ms or use.ends_ms > now_ms]


def tell(
    store: Running, customer: str, room: Room, made: list[tuple[str, int, list[str]]], what: tuple[int, int, int, int]
) -> None:
    """Let an outcome come of something that was said, if anything was."""
    number, place, kind, after_ms = what
    if not made or not (said := made[number % len(made)])[2]:
        return
    decision, decided_ms, actions = said
    action, at_ms = actions[place % len(actions)], decided_ms + after_ms
    outcome = OutcomeRecord(decision, action, kind, at_ms, 0.0)
    if store.wait(store.store.outcomes.record_outcome(outcome)) is OutcomeStatus.CONFLICT:
        return
    store.wait(store.store.memory.remember(customer, decision, action, kind, at_ms, "", (), None))
    room.told(decision, action, kind, max(at_ms, decided_ms))


@settings(DETERMINISTIC, max_examples=25)
@given(st.lists(st.integers(0, 900), min_size=1, max_size=6), st.integers(1, 3))
def test_a_cap_frees_at_the_moment_that_it_says(store: Running, offsets_ms: list[int], at_most: int) -> None:
    """A millisecond before the moment given the cap still binds; at that moment it no longer does."""
    customer = new_customer()
    candidates: Candidates = ((("a", (Counter("cap", at_most, 1_000),)),),)
    for offset_ms in sorted(offsets_ms):
        commit(store, customer, NOW_MS + offset_ms, candidates)
    refused = [done] if (done := commit(store, customer, NOW_MS + 950, candidates)).bound else []
    for frees_ms in [bound.frees_ms for one in refused for bound in one.bound]:
        assert commit(store, customer, frees_ms - 1, candidates).chosen == (-1,)
        assert commit(store, customer, frees_ms, candidates).chosen == (0,)


def test_the_counter_that_binds_longest_is_named(store: Running) -> None:
    """When two caps bind, the answer names the one that frees last."""
    customer = new_customer()
    short, long = Counter("short", 1, 100), Counter("long", 1, 10_000)
    candidates: Candidates = ((("a", (short, long)),),)
    commit(store, customer, NOW_MS, candidates)
    assert commit(store, customer, NOW_MS, candidates).bound == (Bound(0, 0, "long", NOW_MS + 10_000),)


def test_an_action_is_taken_once_over_all_placements(store: Running) -> None:
    """What one placement says the next one does not say again, and it is not called bound."""
    both: Candidates = ((("a", ()), ("b", ())),) * 3
    done = commit(store, new_customer(), NOW_MS, both)
    assert (done.chosen, done.bound) == ((0, 1, -1), ())


def test_a_cap_of_none_never_lets_through(store: Running) -> None:
    """A counter that allows nothing binds for its whole window, always."""
    done = commit(store, new_customer(), NOW_MS, ((("a", (Counter("never", 0, 500),)),),))
    assert (done.chosen, done.bound) == ((-1,), (Bound(0, 0, "never", NOW_MS + 500),))


def test_counters_show_in_the_next_read(store: Running) -> None:
    """What a commit counted the next read returns, in ascending order, whatever the order of the commits."""
    customer = new_customer()
    candidates: Candidates = ((("a", (Counter("cap", 9, 1_000),)),),)
    for offset_ms in (5, 1, 9, 5):
        commit(store, customer, NOW_MS + offset_ms, candidates)
    known = store.wait(store.store.customers.context(customer))
    assert known.counters == {"cap": tuple(NOW_MS + offset_ms for offset_ms in (1, 5, 5, 9))}


def test_old_uses_are_forgotten(store: Running) -> None:
    """A counter remembers what a late commit can still mind, a minute beyond its window, and nothing older."""
    customer = new_customer()
    candidates: Candidates = ((("a", (Counter("cap", 2, 1_000),)),),)
    for offset_ms in (0, 2_000, 62_000):
        commit(store, customer, NOW_MS + offset_ms, candidates)
    known = store.wait(store.store.customers.context(customer))
    assert known.counters == {"cap": (NOW_MS + 2_000, NOW_MS + 62_000)}
