"""Caps of every kind hold while four processes decide, report what was shown and link ids; and nothing is lost.

TACT_COMMITS says how many commits the four make together.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile

from service.core.decision import Commit, Counter
from service.store import keys
from tests.store import crowding
from tests.store.crowding import PERSONS, PLANS, candidates_of, clock_ms, ids_of
from tests.store.recount import Findings, Recount, overruns
from tests.store.running import Running, running

PROCESSES = 4
COMMITS = int(os.environ.get("TACT_COMMITS", "2000"))
NAIVE = 800
PREFIX = "customer "
ROOT = Path(__file__).parents[2]
LONGEST_S = 120 + COMMITS // 200


def crowd(url: str, commits: int, how: str) -> list[str]:
    """Let four processes do their parts at once and return what they printed."""
    arguments = [sys.executable, "-m", crowding.__name__, url, PREFIX]
    each = str(commits // PROCESSES)
    with ExitStack() as opened:
        outputs = [opened.enter_context(TemporaryFile("w+")) for _ in range(PROCESSES)]
        working = [
            subprocess.Popen([*arguments, str(seed), each, how], cwd=ROOT, stdout=output)
            for seed, output in enumerate(outputs)
        ]
        assert [process.wait(timeout=LONGEST_S) for process in working] == [0] * PROCESSES
        return [line for output in outputs if output.seek(0) == 0 for line in output]


def counted_again(url: str, lines: list[str]) -> tuple[Findings, list[str]]:
    """Follow the logs of all persons; return what was found, and each counter that was overrun."""
    recount, beyond = Recount(url, lines), list[str]()
    for person in range(PERSONS):
        own, other, _ = ids_of(PREFIX, person)
        beyond += overruns(recount.of(own, (other,)), every_counter().values())
    return recount.findings, beyond


def every_counter(now_ms: int = 0) -> dict[str, Counter]:
    """Return all counters by key, those of a day at a moment."""
    plans = (candidates_of(now_ms or clock_ms(), number) for number in range(PLANS))
    return {one.key: one for plan in plans for ranked in plan for _, used in ranked for one in used}


def fits_once_more(store: Running, customer: str, counter: Counter, now_ms: int, number: int) -> bool:
    """Commit a candidate with one counter."""
    decision = keys.repeatable_decision_id(customer, f"{counter.key} {number}")
    commit = Commit(customer, decision, b"d", now_ms, b"entry", ((("a", (counter,)),),))
    return store.wait(store.store.customers.commit(commit)).chosen == (0,)


def test_no_cap_leaks_and_no_capacity_is_lost(clean_store_url: str) -> None:
    """Rolling windows, days, what counts when shown or clicked, and ids that are linked meanwhile: commit by commit,
    what was taken did fit and what was held back did not. Once all is over every counter has its full capacity again.
    """
    lines = crowd(clean_store_url, COMMITS, "exact")
    found, beyond = counted_again(clean_store_url, lines)
    print(f"{COMMITS} commits: {found}")
    assert (found.leaks, found.losses, beyond) == ([], [], [])
    assert found.commits > COMMITS / 2, "a third are answered from the log, all others stand there"
    assert min(found.taken, found.held, found.shown, found.late) > 0
    later_ms = clock_ms() + 60_000
    with running(clean_store_url) as store:
        for person in range(PERSONS):
            own = ids_of(PREFIX, person)[0]
            for key, counter in every_counter(later_ms).items():
                fitted = [fits_once_more(store, own, counter, later_ms, n) for n in range(counter.at_most + 1)]
                assert fitted == [key != "weekly"] * counter.at_most + [False], f"{key} has its full capacity again"


def test_the_recount_finds_caps_that_are_counted_after_the_check(clean_store_url: str) -> None:
    """The same work with check-then-count in two steps exceeds caps, and is caught."""
    lines = crowd(clean_store_url, NAIVE, "naive")
    found, beyond = counted_again(clean_store_url, lines)
    assert found.leaks
    assert beyond
