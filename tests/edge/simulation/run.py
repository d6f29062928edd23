"""Run seeds and tell what they break: `python -m tests.edge.simulation.run FIRST AFTER [STEP]`.

Prints a line for each violation, `SEED <number>: <what>`, and last how many seeds ran; ends with 1 where there was any.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

from service.store.functions import read_functions
from tests.edge.simulation.backing import Backing, backing
from tests.edge.simulation.checks import violations
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


def broken(seed: int, store: Backing) -> list[str]:
    """Return what a seed breaks."""
    try:
        return violations(simulate(seed, store))
    except Deadlocked as error:
        return [f"broken: {error}"]


def main(seeds: Iterable[int]) -> int:
    """Run seeds; return how many of them break something."""
    failed = ran = 0
    with simulated() as store:
        for seed in seeds:
            found = broken(seed, store)
            failed, ran = failed + bool(found), ran + 1
            for what in found:
                print(f"SEED {seed}: {what}", flush=True)
    print(f"{ran} seeds, {failed} of them red", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(range(*map(int, sys.argv[1:]))) else 0)
