"""Whom to call: what can be learned from a bank's public calls, and whether a leak in them is noticed.

    python -m benchmarks.bank --data DIR [--seed N] [--json FILE]

Brings the file in with `tact log import`, learns from a random 80 % of the calls without their duration, tests on the
others, and looks for leaks with the duration and without it. What is promised and does not hold ends the run with an
error. DIR holds bank-additional-full.csv.gz.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.public_data import BANK, missing
from benchmarks.stage import TACT
from models.features import FeatureSpace
from training.decisions import Decisions
from training.fit import groups_of
from training.folding import folded
from training.learning.arrays import estimators_of
from training.learning.leaks import leaks
from training.learning.learn import Learning, Plan, learn
from training.learning.models import Served
from training.learning.source import Source, read
from training.metrics import Metrics, Scores, measured
from training.progress import progress
from training.strategy import Declared, read_strategy

STRATEGY = Path(__file__).parent.parent / "strategies" / "bank"
FILE, MAPPING = "bank-additional-full.csv.gz", STRATEGY / "import" / "bank-additional.yaml"
ACTION, LEAK = "term-deposit", "present.duration"
SHARE = 0.8
LEAST_AUC, MOST_ERROR = 0.79, 0.015


class Broken(Exception):
    """Something that was promised does not hold."""


@dataclass(frozen=True, slots=True, eq=False)
class Calls:
    """All calls without their duration, the same with it, and the strategy for each."""

    without: Decisions
    declared: Declared
    leaky: Decisions
    leaking: Declared

    def suspected(self, *, with_duration: bool) -> list[str]:
        """Return what looks like a leak."""
        calls, declared = (self.leaky, self.leaking) if with_duration else (self.without, self.declared)
        return list(leaks(calls, declared.space, np.full(len(calls), np.nan)))


@dataclass(frozen=True, slots=True)
class Found:
    """How good the forecasts of unseen calls are, and by which learner."""

    metrics: Metrics
    learner: str
    seconds: float

    def check(self) -> None:
        """Raise `Broken` where a promise does not hold."""
        if self.metrics.auc is None or not self.metrics.auc >= LEAST_AUC:
            raise Broken(f"AUC {self.metrics.auc}; at least {LEAST_AUC} was promised")
        if not self.metrics.calibration_error <= MOST_ERROR:
            raise Broken(f"calibration error {self.metrics.calibration_error}; at most {MOST_ERROR} was promised")


def read_calls(data: Path, folder: Path) -> Calls:
    """Bring the public file in as a log below a folder, and read it."""
    log = folder / "log"
    command = [*TACT, "log", "import", str(data / FILE), "--mapping", str(MAPPING), "--out", str(log)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    declared = read_strategy(STRATEGY)
    leaking = replace(declared, space=FeatureSpace.of(declared.schema, (*declared.space.features, LEAK)))
    with progress() as bars:
        leaky = read(Source(log=log), leaking, bars).decisions
    columns = declared.space.columns
    return Calls(replace(leaky, columns=columns, x=leaky.x[:, : len(columns)]), declared, leaky, leaking)


def forecast(calls: Calls, seed: int) -> Found:
    """Learn from a random 80 % and measure on the others."""
    started = time.monotonic()
    order = np.random.default_rng(seed).permutation(len(calls.without))
    cut = round(SHARE * len(order))
    past, others = (calls.without.part(np.sort(part)) for part in (order[:cut], order[cut:]))
    with threadpool_limits(1):
        learning = learn(past, Plan(groups_of(calls.declared), seed=seed, judged=False))
    code = past.actions.index(ACTION)
    chance = _served(learning, past, calls.declared).said(others.x)[:, code]
    y, rate = others.happened[:, code], float(past.happened[:, code].mean())
    metrics = measured(Scores(chance, y, np.full(len(y), rate)))
    return Found(metrics, learning.said[ACTION].choice.learner.name, time.monotonic() - started)


def _served(learning: Learning, decisions: Decisions, declared: Declared) -> Served:
    arrays = folded(*estimators_of(learning, decisions.actions), len(decisions.columns), declared.space.hash)
    return Served(arrays, decisions.columns, decisions.actions)


def check_leaks(calls: Calls) -> list[str]:
    """Return what is said of the duration; raise `Broken` where it is not named, or anything else is."""
    with threadpool_limits(1):
        named, without = calls.suspected(with_duration=True), calls.suspected(with_duration=False)
    if without or [sentence.partition(" ")[0] for sentence in named] != [LEAK]:
        raise Broken(f"only {LEAK} leaks; named with it are {named}, without it {without}")
    return named


def main() -> int:
    """Run it and say what was found; the exit code is 1 when a promise did not hold."""
    parser = argparse.ArgumentParser("python -m benchmarks.bank", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder with the public file")
    parser.add_argument("--seed", type=int, default=0, help="which random 80 %% (0)")
    parser.add_argument("--json", type=Path, help="write what was found here")
    chosen = parser.parse_args()
    if why := missing(chosen.data, BANK):
        print(why, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="tact-bank-") as folder:
        calls = read_calls(chosen.data, Path(folder))
    try:
        found = forecast(calls, chosen.seed)
        _tell(found)
        found.check()
        named = check_leaks(calls)
        print("\n".join(named))
    except Broken as broken:
        print(f"broken: {broken}", file=sys.stderr)
        return 1
    if chosen.json:
        chosen.json.write_text(json.dumps(_plain(found, named), indent=1))
    return 0


def _tell(found: Found) -> None:
    metrics = found.metrics
    print(f"{found.learner}: AUC {metrics.auc:.4f}, calibration error {metrics.calibration_error:.4f}, ", end="")
    print(f"log loss {metrics.log_loss:.4f} against {metrics.log_loss_of_the_rate:.4f} for the plain rate, ", end="")
    print(f"on {metrics.rows:,} calls; {found.seconds:.0f} s")


def _plain(found: Found, named: list[str]) -> dict[str, Any]:
    return {"learner": found.learner, "metrics": found.metrics.plain(), "leaks": named, "seconds": found.seconds}


if __name__ == "__main__":
    sys.exit(main())
