"""What can be learned from a month of the public Starbucks programme: who completes an offer, and whom it pays to send.

    python -m benchmarks.starbucks_learning --data DIR [--json FILE] [--report FILE]

Learns from the waves of hours 0 and 168. Tests on those of 408 and 504 who completes an offer, from the profile alone
and with the events; and values on 336, 408 and 504, doubly robust and against doing nothing, whom learners of uplift
would send what: 0.3 times what a member spends within a week (100 dollars at most) less the rewards paid. What is
promised and does not hold ends the run with an error. DIR holds transcript.json.gz, profile.json.gz, portfolio.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from benchmarks.public_data import STARBUCKS, missing
from benchmarks.starbucks_log import TESTED_ON, read_month
from benchmarks.starbucks_report import write
from benchmarks.starbucks_value import SERVED, Arms, Broken, Completions, check_arms, check_completed, completed, valued
from training.metrics import Metrics
from training.offpolicy.estimates import Estimate
from training.uplift.metrics import Measured, UpliftMetrics

ALONE, WITH_EVENTS = "profile alone", "profile and the events"


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What was learned: who completes by what is known, what it pays to send to whom, and how well uplift is ranked."""

    tested: dict[str, Completions]
    arms: list[Arms]
    ranked: UpliftMetrics

    def plain(self) -> dict[str, Any]:
        """Return the figures."""
        return {
            "completed": {known: asdict(one.all) for known, one in self.tested.items()},
            "arms": {one.title: {name: asdict(one.over_nothing(name)) for name in one.policies} for one in self.arms},
            "claims": {one.title: one.claim() for one in self.arms},
            "uplift": self.ranked.plain(),
        }

    def check(self) -> None:
        """Raise `Broken` where a promise does not hold."""
        check_completed(self.tested[WITH_EVENTS])
        for one in self.arms:
            check_arms(one)


def run(data: Path, folder: Path) -> Found:
    """Do all of it, and say what is found on the way."""
    month, tested = read_month(data, folder), {}
    print(f"{len(month.decisions):,} logged decisions, {len(month.decisions.columns)} columns", flush=True)
    for known, seen in ((ALONE, month.profile()), (WITH_EVENTS, month)):
        tested[known] = completed(seen)
        _tell_completed(known, tested[known])
    arms, ranked = valued(month, tested[WITH_EVENTS].learning)
    for one in arms:
        _tell_arms(one)
    _tell_uplift(ranked)
    return Found(tested, arms, ranked)


def _tell_completed(known: str, tested: Completions) -> None:
    hours = " and ".join(map(str, TESTED_ON))
    print(f"who completes, by the {known}, {tested.all.rows:,} offers of hours {hours}: {_quality(tested.all)}")
    for offer, metrics in tested.offers.items():
        print(f"  {offer:30} {_quality(metrics)}", flush=True)


def _quality(metrics: Metrics) -> str:
    return f"AUC {metrics.auc or 0.0:.3f}, calibration error {metrics.calibration_error:.3f}"


def _tell_arms(arms: Arms) -> None:
    print(f"{arms.title}: $ a decision over doing nothing, and over {arms.single} for everyone")
    for name in arms.policies:
        print(f"  {name:30} {_interval(arms.over_nothing(name))}   {_interval(arms.over_single(name))}")
    print(f"  {arms.single:30} {_interval(arms.over_nothing(arms.single))}\n  {arms.claim()}", flush=True)


def _interval(found: Estimate | Measured) -> str:
    return f"{found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def _tell_uplift(ranked: UpliftMetrics) -> None:
    print(
        f"{SERVED} ranks those who gain most: Qini {_interval(ranked.qini)}, uplift of all {_interval(ranked.overall)}"
    )
    print(f"  of the highest tenth {_interval(ranked.at(0.1))}, of the highest third {_interval(ranked.at(0.3))} $")


def main() -> int:
    """Run it and say what was found; the exit code is 1 when a promise did not hold."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.starbucks_learning", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder with the three public files")
    parser.add_argument("--json", type=Path, help="write what was found here")
    parser.add_argument("--report", type=Path, help="write a page with plots here")
    chosen = parser.parse_args()
    if why := missing(chosen.data, STARBUCKS):
        print(why, file=sys.stderr)
        return 2
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="tact-starbucks-") as folder, threadpool_limits(1):
            found = run(chosen.data, Path(folder))
        print(f"all of it: {time.monotonic() - started:.1f} s")
        if chosen.json:
            chosen.json.write_text(json.dumps(found.plain(), indent=1))
        if chosen.report:
            write(chosen.report, found.tested, found.arms, found.ranked)
        found.check()
    except Broken as broken:
        print(f"broken: {broken}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
