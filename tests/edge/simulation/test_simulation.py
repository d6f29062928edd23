"""The real code on virtual time, with a store that delays, loses, repeats and answers after executing.

A seed that fails prints its number; `TACT_SIM_SEED=<number> pytest tests/edge/simulation -k one_seed -s` replays
exactly that one and prints all that happened in it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.edge.simulation.backing import Backing
from tests.edge.simulation.checks import violations
from tests.edge.simulation.mutants import MUTANTS, Mutant
from tests.edge.simulation.run import broken, simulated
from tests.edge.simulation.world import simulate
from tests.profile import cases, full

SEEDS = cases(1_000, 20_000)
SOON = 200
"""The short profile puts in the bugs that so many seeds show; the full one looks for all of them, from the first on."""
LEAST = {"full": 10.0, "offers": 2.5, "keyed": 2.5, "again": 1.0}
"""Answers in full, offers, answers under a key and answers given again under it: as many in a seed, on average."""
REPLAY = "TACT_SIM_SEED={} pytest tests/edge/simulation -k one_seed -s"
FOUND = yaml.safe_load(Path(__file__).with_name("found.yaml").read_text(encoding="utf-8"))
PUT_IN = [mutant for mutant in MUTANTS if full() or mutant.seed <= SOON]
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def store() -> Iterator[Backing]:
    """Return the server that all seeds of this file run on, one after the other, with virtual clocks everywhere."""
    with simulated() as started:
        yield started


def test_no_seed_breaks_anything() -> None:
    """Whatever network, store and processes do: caps and consents hold, answers come in time."""
    shares = 2 if (os.cpu_count() or 1) > 1 else 1
    command = [sys.executable, "-m", "tests.edge.simulation.run"]
    runs = [
        subprocess.Popen(
            [*command, str(first), str(SEEDS + 1), str(shares)],
            cwd=ROOT, env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protos'}"},
            stdout=subprocess.PIPE, text=True,
        )
        for first in range(1, shares + 1)
    ]  # fmt: skip
    said = "".join(run.communicate()[0] for run in runs)
    red = sorted({int(line.split()[1].rstrip(":")) for line in said.splitlines() if line.startswith("SEED ")})
    assert not red, f"{said}\nreplay with: {REPLAY.format(red[0])}"
    assert all(run.returncode == 0 for run in runs), said
    assert sum(int(ran) for ran in re.findall(r"^(\d+) seeds", said, re.MULTILINE)) == SEEDS
    done = Counter[str]()
    for name, times in re.findall(r"(\w+)=(\d+)", said):
        done[name] += int(times)
    too_few = {name: done[name] for name, least in LEAST.items() if done[name] < least * SEEDS}
    assert not too_few, f"a service that says too little is not right, only silent: {done}"


def test_one_seed(store: Backing) -> None:
    """A seed can be replayed by its number, with all that happened in it."""
    seed = int(os.environ.get("TACT_SIM_SEED", "1"))
    history = simulate(seed, store)
    if "TACT_SIM_SEED" in os.environ:
        print("\n".join(history.trace()))
    assert violations(history) == []


@pytest.mark.parametrize("found", FOUND, ids=[case["what"] for case in FOUND])
def test_what_was_found_stays_mended(found: dict[str, object], store: Backing) -> None:
    """The seeds that found a bug find none any more."""
    seeds = found["seeds"]
    assert isinstance(seeds, list)
    assert {seed: broken(seed, store) for seed in seeds} == {seed: [] for seed in seeds}


def test_a_seed_is_the_same_each_time(store: Backing) -> None:
    """The same number gives the same trace, here and in another process with other hashes."""
    seeds = range(1, cases(12, 200))
    here = [simulate(seed, store).digest() for seed in seeds]
    assert [simulate(seed, store).digest() for seed in seeds] == here
    code = (
        "from tests.edge.simulation.run import simulated\n"
        "from tests.edge.simulation.world import simulate\n"
        f"with simulated() as store:\n    print(*(simulate(seed, store).digest() for seed in {seeds!r}))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protos'}"}
    other = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert other.stdout.split() == here
    assert len(set(here)) == len(here)


@pytest.mark.parametrize("mutant", PUT_IN, ids=[mutant.name for mutant in PUT_IN])
def test_a_bug_is_seen(mutant: Mutant, store: Backing) -> None:
    """Each bug that is put in turns a seed of the thousand red: the one that is noted, or another."""
    with mutant.put_in(store):
        seeds = range(1, 1_001) if full() else (mutant.seed, *range(1, SOON + 1))
        assert any(what.startswith(mutant.seen_by) for seed in seeds for what in broken(seed, store))
