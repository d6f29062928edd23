"""What a look at drift found, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from ..report.figures import Forecasts, InTime, calibration
from ..report.figures import drift as drift_figure
from ..report.page import Report, Section, Table
from .seen import Seen
from .stability import MUCH
from .version import Recalibrated
from .watching import RECALIBRATED, Found, Watched, written


def plain(one: Watched, found: Found) -> dict[str, Any]:
    """Return what was found as JSON would have it."""
    return {
        "model": one.artifact.manifest.version,
        "decisions_then": len(one.then.decisions),
        "decisions_recent": len(one.recent.decisions),
        "recent_from": written(int(one.recent.decisions.at_ms[0])),
        "recent_to": written(int(one.recent.decisions.at_ms[-1])),
        "trustworthy": found.trustworthy,
        "alarms": [asdict(alarm) for alarm in found.alarms],
        "stability": {moved.field: moved.index for moved in found.stability},
        "windows": [asdict(window) for window in found.windows],
    }


def words(report: dict[str, Any]) -> Iterator[str]:
    """Yield lines for people."""
    yield (
        f"{report['model']}: {report['decisions_recent']:,} decisions from {report['recent_from']} to "
        f"{report['recent_to']} against {report['decisions_then']:,} before"
    )
    yield from (f"alarm: {alarm['reason']}" for alarm in report["alarms"])
    if not report["alarms"]:
        yield "no alarm"
    if report["stability"]:
        furthest = list(report["stability"].items())[:5]
        yield f"furthest moved: {', '.join(f'{field} {index:.3f}' for field, index in furthest)}"


def made_words(report: dict[str, Any]) -> Iterator[str]:
    """Yield lines for people on a version that was made, or why there is none."""
    if "version" not in report:
        yield f"nothing was put right: {report['why']}"
        return
    yield f"{report['version']} is {report['of']} recalibrated, and is in {report['artifact']}"
    for side in ("said", "silent"):
        for action, how in report[RECALIBRATED][side].items():
            spoken = action if side == "said" else f"{action} without being said"
            yield f"  {spoken}: {_how(how)}"


def _how(how: dict[str, Any]) -> str:
    moved = f", {how['weights_moved']} weights" if how["weights_moved"] else ""
    whose = "outcomes of all actions" if how.get("borrowed") else "outcomes"
    return (
        f"slope {how['slope']:.3f}, offset {how['offset']:+.3f}{moved}, by {how['rows']:,} {whose}; log loss ahead "
        f"{how['log_loss_before']:.4f} before, {how['log_loss_after']:.4f} after"
    )


def report_of(one: Watched, found: Found, made: Recalibrated | None = None) -> Report:
    """Return a report of what drifted, and of what was put right where that was asked for."""
    said = Seen.joined(list(one.recent.said.values())).in_time()
    name = one.artifact.manifest.version
    in_time = InTime(
        np.array([window.first for window in found.windows]),
        np.array([window.forecast for window in found.windows]),
        np.array([window.rate for window in found.windows]),
        np.array([window.calibration_error for window in found.windows]),
        "recent decisions with a known outcome",
    )
    reasons = tuple(alarm.reason for alarm in found.alarms)
    moved = tuple((one.field, one.index) for one in found.stability)
    table = Table("Alarms", ("what", "of", "figure", "limit", "reason"), tuple(
        (alarm.kind.value, alarm.of, alarm.figure, alarm.limit, alarm.reason) for alarm in found.alarms
    ))  # fmt: skip
    sections = [
        Section(
            "Drift",
            reasons or ("No alarm.",),
            (drift_figure(moved, in_time, MUCH, reasons),),
            (table,) if reasons else (),
        ),
        Section("Recent forecasts", (), (calibration((Forecasts(name, said.forecast, said.happened),)),)),
    ]
    if made:
        sections.append(_made(made))
    return Report(f"Drift of {name}", tuple(sections), tuple(words(plain(one, found)))[:1])


def _made(made: Recalibrated) -> Section:
    if made.manifest is None:
        return Section("Put right", (f"Nothing: {made.why}.",))
    told = made.manifest.learning[RECALIBRATED]
    rows = tuple(
        (side, action, how["slope"], how["offset"], how["weights_moved"], how["rows"], how["log_loss_before"],
         how["log_loss_after"])
        for side in ("said", "silent")
        for action, how in told[side].items()
    )  # fmt: skip
    head = ("when", "action", "slope", "offset", "weights moved", "outcomes", "log loss before", "after")
    words = f"{made.manifest.version} is {made.manifest.of} with its probabilities put right on recent outcomes."
    return Section("Put right", (words,), (), (Table("Repairs", head, rows),))
