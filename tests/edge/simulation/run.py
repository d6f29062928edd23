"""Run seeds and tell what they break: `python -m tests.edge.simulation.run FIRST AFTER [STEP]`.

Prints a line for each violation, `SEED <number>: <what>`, then how much was decided, so that nobody takes answers that
say nothing for good ones, and last how many seeds ran; ends with 1 where there was any violation.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from service.store.functions import read_functions
from tests.edge.simulation.backing import Backing, backing
from tests.edge.simulation.checks import offers, person, violations
from tests.edge.simulation.history import History
from tests.edge.simulation.loop import Deadlocked, virtual_clocks
from tests.edge.simulation.world import simulate


@contextmanager
def simulated() -> Iterator[Backing]:
    """Start the server that seeds run on, and let all clocks be virtual."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # degraded decisions warn, thousands of times
    read_once = mock.patch("service.store.calls.read_functions", cache(read_functions))  # each process reads 32 files
    try:
        with (
            TemporaryDirectory(prefix="tact-sim-") as folder,
            backing(Path(folder)) as store,
            virtual_clocks(),
            read_once,
        ):
            yield store
    finally:
        logging.disable(before)


def broken(seed: int, store: Backing, done: Counter[str] | None = None) -> list[str]:
    """Return what a seed breaks; count in `done` what was decided."""
    try:
        history = simulate(seed, store)
    except Deadlocked as error:
        return [f"broken: {error}"]
    if done is not None:
        done.update(decided(history))
    return violations(history)


def decided(history: History) -> Iterator[str]:
    """Yield a word for each answer in full, each offer and each answer that was given again under its key."""
    keys = set[tuple[str, str]]()
    for call in history.of("decide"):
        if call.answer is None or call.answer["degraded"]:
            continue
        yield "full"
        yield from ("offers" for _ in offers(call))
        if key := call.told["key"]:
            yield "keyed"
            if (person(call), key) in keys:
                yield "again"
            keys.add((person(call), key))


def main(seeds: Iterable[int]) -> int:
    """Run seeds; return how many of them break something."""
    failed, ran, done = 0, 0, Counter[str]()
    with simulated() as store:
        for seed in seeds:
            found = broken(seed, store, done)
            failed, ran = failed + bool(found), ran + 1
            for what in found:
                print(f"SEED {seed}: {what}", flush=True)
    print("DECIDED", *(f"{name}={done[name]}" for name in ("full", "offers", "keyed", "again")), flush=True)
    print(f"{ran} seeds, {failed} of them red", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(range(*map(int, sys.argv[1:]))) else 0)
