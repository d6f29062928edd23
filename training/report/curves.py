"""Figures of lines: calibration, gains and lift, uplift and Qini, learning in rounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .ink import FAINT, Axes, drawn, legend, named, nothing_to_draw, numbers, style
from .parts import Curve, Figure, Floats, Forecasts

_BINS = 10


def calibration(forecasts: Sequence[Forecasts]) -> Figure:
    """Draw forecast against rate over 10 bins of equally many rows; the diagonal is perfect."""
    binned = [(one.name, *_binned(one)) for one in forecasts if len(one.outcome)]
    rows = [(name, *row) for name, *bins in binned for row in zip(*map(np.ndarray.tolist, bins), strict=True)]
    table = numbers("Calibration", ("of", "forecast", "happened", "rows"), rows)
    if not binned:
        return nothing_to_draw("Calibration", table)

    def draw(axes: Sequence[Axes]) -> None:
        most = max(1e-6, *(float(max(said.max(), seen.max())) for _, said, seen, _ in binned)) * 1.05
        axes[0].plot([0, most], [0, most], color=FAINT, linewidth=1)
        for place, (name, said, seen, _) in enumerate(binned):
            axes[0].plot(said, seen, marker="o", markersize=4, label=name, **style(place))
        named(axes[0], "Calibration", "forecast", "share that happened")
        legend(axes[0])

    gaps = [f"{name} {float(np.average(abs(p - y), weights=n)):.4f}" for name, p, y, n in binned]
    return drawn(draw, f"Calibration: mean gap between forecast and rate over 10 bins: {'; '.join(gaps)}.", table)


def gains_and_lift(forecasts: Sequence[Forecasts]) -> Figure:
    """Draw which share of the outcomes the highest forecasts hold, and how many times the average that is."""
    gained = [(one.name, *_gains(one)) for one in forecasts if one.outcome.any()]
    rows = [(name, *row) for name, *parts in gained for row in _tenths(*parts)]
    table = numbers("Gains and lift", ("of", "highest share", "of the outcomes", "lift"), rows)
    if not gained:
        return nothing_to_draw("Gains and lift", table)

    def draw(axes: Sequence[Axes]) -> None:
        axes[0].plot([0, 1], [0, 1], color=FAINT, linewidth=1)
        axes[1].axhline(1.0, color=FAINT, linewidth=1)
        for place, (name, share, found) in enumerate(gained):
            axes[0].plot(share, found, label=name, **style(place))
            late = share >= min(0.02, share[-1])  # a lift over a handful of rows is noise
            axes[1].plot(share[late], found[late] / share[late], label=name, **style(place))
        named(axes[0], "Gains", "share of rows, highest forecasts first", "share of the outcomes")
        named(axes[1], "Lift", "share of rows, highest forecasts first", "times the average")
        legend(axes[0])

    tops = [f"{name} {np.interp(0.1, share, found):.0%}" for name, share, found in gained]
    return drawn(draw, f"Gains: share of the outcomes in the highest tenth: {'; '.join(tops)}.", table, panels=2)


def uplift_and_qini(uplift: Sequence[Curve], qini: Sequence[Curve], unit: str) -> Figure:
    """Draw uplift over the share treated and the cumulated gain (Qini), with intervals; `unit` is of both.

    `x` runs from 0 to 1: the share of people that are treated, those with the highest scores first.
    """
    table = numbers("Uplift and Qini", ("curve", "of", "x", "value", "low", "high"), [
        *(("uplift", *row) for row in _points(uplift)), *(("Qini", *row) for row in _points(qini))
    ])  # fmt: skip
    if not uplift and not qini:
        return nothing_to_draw("Uplift and Qini", table)

    def draw(axes: Sequence[Axes]) -> None:
        for panel, curves in zip(axes, (uplift, qini), strict=True):
            panel.axhline(0.0, color=FAINT, linewidth=1)
            _lines(panel, curves)
        named(axes[0], "Uplift", "share treated, highest scores first", unit)
        named(axes[1], "Qini", "share treated, highest scores first", f"{unit}, cumulated")
        legend(axes[1])

    ends = [f"{curve.name} {float(np.asarray(curve.y)[-1]):.4g}" for curve in qini if len(np.asarray(curve.y))]
    return drawn(draw, f"Uplift and Qini curves in {unit}; when all are treated: {'; '.join(ends)}.", table, panels=2)


def learning_curve(curves: Sequence[Curve], unit: str, over: str = "decisions") -> Figure:
    """Draw values over a growing amount of experience, with intervals where there are any."""
    table = numbers("Learning", ("of", over, unit, "low", "high"), _points(curves))
    if not curves:
        return nothing_to_draw("Learning", table)

    def draw(axes: Sequence[Axes]) -> None:
        _lines(axes[0], curves, marker="o")
        named(axes[0], "Learning", over, unit)
        legend(axes[0])

    ends = [f"{curve.name} {float(np.asarray(curve.y)[-1]):.4g}" for curve in curves if len(np.asarray(curve.y))]
    return drawn(draw, f"Learning: {unit} over {over}; at the end: {'; '.join(ends)}.", table)


def _lines(axes: Axes, curves: Sequence[Curve], marker: str = "") -> None:
    for place, curve in enumerate(curves):
        x = np.asarray(curve.x, dtype=np.float64)
        axes.plot(x, curve.y, label=curve.name, marker=marker if len(x) > 2 else "", markersize=4, **style(place))
        if curve.low is not None and curve.high is not None:
            axes.fill_between(x, curve.low, curve.high, color=style(place)["color"], alpha=0.16, linewidth=0)


def _points(curves: Sequence[Curve]) -> list[tuple[str | float | None, ...]]:
    rows: list[tuple[str | float | None, ...]] = []
    for curve in curves:
        x, y = (np.asarray(values, dtype=np.float64).tolist() for values in (curve.x, curve.y))
        bounds = (
            [None] * len(x) if values is None else np.asarray(values).tolist() for values in (curve.low, curve.high)
        )
        low, high = bounds
        rows += [(curve.name, *point) for point in zip(x, y, low, high, strict=True)]
    return rows


def _binned(one: Forecasts) -> tuple[Floats, Floats, Floats]:
    """Return forecast, rate and rows of bins that hold equally many rows."""
    order = np.argsort(one.probability, kind="stable")
    bins = [part for part in np.array_split(order, _BINS) if len(part)]
    said = np.array([one.probability[part].mean() for part in bins])
    return said, np.array([one.outcome[part].mean() for part in bins]), np.array([float(len(part)) for part in bins])


def _gains(one: Forecasts) -> tuple[Floats, Floats]:
    """Return, at up to 200 places, the share of rows and of outcomes; rows of equal forecasts come together."""
    order = np.argsort(-one.probability, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(one.probability[order])), len(order) - 1)
    found = np.cumsum(one.outcome[order])[ends] / one.outcome.sum()
    some = np.unique(np.linspace(0, len(ends) - 1, 200).astype(int))
    return np.append(0.0, (ends[some] + 1) / len(order)), np.append(0.0, found[some])


def _tenths(share: Floats, found: Floats) -> list[tuple[float, float, float]]:
    places = np.linspace(0.1, 1.0, 10)
    held = np.interp(places, share, found)
    return [(float(p), float(h), float(h / p)) for p, h in zip(places, held, strict=True)]
