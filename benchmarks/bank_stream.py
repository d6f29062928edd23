"""A bank's calls in the order in which they were made, through two and a half years of crisis: does a model keep up?

    python -m benchmarks.bank_stream --data DIR [--report FILE] [--json FILE]

Turns the public file into a log, trains on its first 20,000 calls, and goes through the rest: each batch of 100 is
forecast before its outcomes are known, then they are, and what `tact drift` and `tact recalibrate` do is done.
Beside it: the model left alone, slope and offset alone, and naive online gradient descent. What is promised is checked.
DIR holds bank-additional-full.csv.gz.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.bank_calls import FIRST, OFFER, STRATEGY, Stream, decisions_of, stream_of
from benchmarks.public_data import BANK, missing
from training.drift.alarms import Alarm, Reference
from training.drift.mending import remedy
from training.drift.repair import Reach
from training.drift.seen import Floats, Seen
from training.drift.stability import MUCH
from training.folding import Estimator, folded
from training.metrics import Metrics, Scores, measured
from training.report.figures import Curve, Forecasts, InTime, calibration, drift, learning_curve
from training.report.page import Report, Section, Table, write_report
from training.strategy import read_strategy

BATCH, LATE = 100, 0.8
OURS, NAIVE = "drift handling", "naive online gradient descent"

Step = tuple[Callable[[Floats], Floats], Callable[[Floats, Floats], None]]


class Broken(Exception):
    """Something that was promised does not hold."""


@dataclass(frozen=True, slots=True)
class Noticed:
    """An alarm that began, and after how many outcomes."""

    after: int
    alarm: Alarm


@dataclass(slots=True, eq=False)
class Handled:
    """The model as `tact recalibrate` keeps it, run after every batch of outcomes.

    What is put right is always the trained model, and from the first alarm on after every batch; where outcomes speak
    for nothing else any more, it serves as it was trained. `noticed` has each alarm once; `repairs` counts versions.
    """

    stream: Stream
    reach: Reach = field(default_factory=Reach)
    noticed: list[Noticed] = field(default_factory=list)
    repairs: int = 0
    _known: int = FIRST
    _serves: Estimator | None = None

    def forecast(self, x: Floats) -> Floats:
        """Return the probabilities that serve now, (rows, columns) to (rows,)."""
        arrays = folded({OFFER: self._serves or self.stream.estimator}, {}, x.shape[1], "")
        return np.asarray(arrays.chances(x)[0][:, 0])

    def learn(self, x: Floats, happened: Floats) -> None:
        """Take in that the outcomes of the next rows are known now."""
        self._known += len(x)
        told, always = self.stream.told(self._known, self.reach.rows), self._serves is not None
        done = remedy(self.stream.past, told, ({OFFER: self.stream.estimator}, {}), self.reach, always=always)
        known = {(noticed.alarm.kind, noticed.alarm.of) for noticed in self.noticed}
        new = [alarm for alarm in done.found.alarms if (alarm.kind, alarm.of) not in known]
        self.noticed += [Noticed(self._known - FIRST, alarm) for alarm in new]
        if self._serves is not None or not done.found.trustworthy:
            self._serves = done.said[OFFER]
        self.repairs += bool(done.repairs[0])


def followed(stream: Stream, step: Step, batch: int = BATCH) -> Floats:
    """Forecast every batch with what was known before it, then tell its outcomes; return all forecasts."""
    forecast, tell = step
    x, happened = stream.decisions.x, stream.happened
    said = np.empty(len(x) - FIRST)
    for start in range(FIRST, len(x), batch):
        rows = slice(start, start + batch)
        said[start - FIRST : start - FIRST + batch] = forecast(x[rows])
        tell(x[rows], happened[rows])
    return said


def arms(stream: Stream) -> tuple[dict[str, Floats], Handled]:
    """Return the forecasts of every arm, and the drift handling behind ours."""
    ours, slope = Handled(stream), Handled(stream, Reach(weights=False))
    steps: dict[str, Step] = {
        OURS: (ours.forecast, ours.learn),
        "slope and offset alone": (slope.forecast, slope.learn),
        NAIVE: _naive(stream),
    }
    said = {name: followed(stream, step) for name, step in steps.items()}
    return said | {"the model left alone": stream.forecast[FIRST:]}, ours


def _naive(stream: Stream) -> Step:
    """Return what not to do: gradient descent on every batch, as it comes."""
    from sklearn.linear_model import SGDClassifier
    from sklearn.preprocessing import StandardScaler

    x, y = stream.decisions.x[:FIRST], stream.happened[:FIRST]
    scaler = StandardScaler().fit(x)
    model = SGDClassifier(loss="log_loss", random_state=0).fit(scaler.transform(x), y)
    return (
        lambda rows: np.asarray(model.predict_proba(scaler.transform(rows))[:, 1]),
        lambda rows, outcomes: model.partial_fit(scaler.transform(rows), outcomes),
    )


def figures(stream: Stream, said: Floats) -> tuple[Metrics, Metrics]:
    """Measure forecasts of all calls after the first 20,000, and of the last fifth of the file."""
    late = round(len(stream.decisions) * LATE) - FIRST
    outcome = stream.happened[FIRST:]
    rate = np.full(len(outcome), stream.happened[:FIRST].mean())
    return measured(Scores(said, outcome, rate)), measured(Scores(said[late:], outcome[late:], rate[late:]))


def promised(whole: Metrics, late: Metrics) -> None:
    """Raise `Broken` unless the forecasts rank and are true, on the whole and in the last fifth."""
    for what, metrics, auc, apart in (("all", whole, 0.78, 0.02), ("the last fifth", late, 0.74, 0.03)):
        if not (metrics.auc or 0.0) >= auc or not metrics.calibration_error <= apart:
            raise Broken(
                f"{what}: AUC {metrics.auc}, calibration error {metrics.calibration_error}; {auc}, {apart} wanted"
            )


def alarms_on_halves(stream: Stream, halves: int, seed: int = 0) -> list[str]:
    """Return the alarms that compare one random half of all calls with the other: there should be none."""
    rng = np.random.default_rng(seed)
    decisions, reasons = stream.decisions, []
    seen = Seen(decisions.customer, decisions.x, stream.forecast, stream.happened)
    for _ in range(halves):
        mixed = rng.permutation(len(seen))
        one, other = seen.part(mixed[: len(mixed) // 2]), seen.part(mixed[len(mixed) // 2 :])
        found = Reference.of(decisions.columns, one).against(other, OFFER)
        reasons += [alarm.reason for alarm in found.alarms]
    return reasons


def report_of(stream: Stream, said: dict[str, Floats], noticed: Sequence[Noticed]) -> Report:
    """Return the report: all arms, the alarms with their reasons, drift and calibration."""
    outcome = stream.happened[FIRST:]
    rows = []
    for name, forecast in said.items():
        whole, late = figures(stream, forecast)
        rows.append((name, whole.auc, whole.calibration_error, whole.log_loss, late.auc, late.calibration_error))
    head = ("arm", "AUC", "calibration error", "log loss", "AUC, last fifth", "calibration error, last fifth")
    reasons = tuple((one.after, one.alarm.kind.value, one.alarm.reason) for one in noticed)
    recent = stream.decisions.part(slice(FIRST, None))
    moved = [(one.field, one.index) for one in stream.past.population.moved(recent.x, recent.customer)]
    windows = np.array_split(np.arange(len(outcome)), 20)
    kept = [name for name in said if name != NAIVE]  # its log loss is so high that the others would be one line
    losses = [Curve(name, [part[0] for part in windows], _losses(said[name], windows, outcome)) for name in kept]
    in_time = InTime(
        np.array([part[0] for part in windows]),
        np.array([said[OURS][part].mean() for part in windows]),
        np.array([outcome[part].mean() for part in windows]),
        np.array([abs(said[OURS][part].mean() - outcome[part].mean()) for part in windows]),
        "calls after the first 20,000",
    )
    forecasts = [Forecasts(name, forecast, outcome) for name, forecast in said.items()]
    drawn = calibration(forecasts), learning_curve(losses, "log loss", "calls")
    arms_told = Section("Arms", (), drawn, (Table("Arms", head, tuple(rows)),))
    drifted = Section(
        "Drift, with its reasons",
        (),
        (drift(moved, in_time, MUCH, (f"{len(noticed)} alarms, see the table",)),),
        (Table("Alarms", ("after outcomes", "what", "reason"), reasons),),
    )
    return Report("A bank's calls in order", (arms_told, drifted))


def _losses(
    said: Floats, windows: Sequence[np.ndarray[tuple[int], np.dtype[np.int64]]], outcome: Floats
) -> list[float]:
    kept = np.clip(said, 1e-12, 1 - 1e-12)
    lost = -(outcome * np.log(kept) + (1 - outcome) * np.log1p(-kept))
    return [float(lost[part].mean()) for part in windows]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bank_stream", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="where the public file is")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write a report as one HTML file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    parser.add_argument("--halves", type=int, default=20, metavar="N", help="random halves to compare (20)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, print what was found, and end with 1 where a promise is broken."""
    asked = _parser().parse_args(arguments)
    if why := missing(asked.data, BANK):
        print(why, file=sys.stderr)
        return 2
    started, declared = time.monotonic(), read_strategy(STRATEGY)
    with tempfile.TemporaryDirectory() as folder:
        stream = stream_of(declared, decisions_of(asked.data, declared, Path(folder) / "log"))
    said, ours = arms(stream)
    found = {name: figures(stream, forecast) for name, forecast in said.items()}
    for name, (whole, late) in found.items():
        print(
            f"{name:30s} AUC {whole.auc:.4f}, calibration error {whole.calibration_error:.4f}; "
            f"last fifth {late.auc:.4f}, {late.calibration_error:.4f}"
        )
    for one in ours.noticed:
        print(f"after {one.after:,} outcomes: {one.alarm.reason}")
    false = alarms_on_halves(stream, asked.halves)
    took = time.monotonic() - started
    print(f"{ours.repairs} repairs; {len(false)} alarms on {asked.halves} random halves; {took:.0f} s")
    if asked.report:
        write_report(asked.report, report_of(stream, said, ours.noticed))
    if asked.json:
        told = {name: {"all": whole.plain(), "last_fifth": late.plain()} for name, (whole, late) in found.items()}
        asked.json.write_text(json.dumps(told | {"alarms": [one.alarm.reason for one in ours.noticed]}, indent=2))
    try:
        promised(*found[OURS])
        if false:
            raise Broken(f"alarms on random halves: {'; '.join(false)}")
    except Broken as broken:
        print(f"broken: {broken}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
