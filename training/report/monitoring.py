"""The figure of drift: how far features moved, and how forecasts and what happened went in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .bars import _short
from .ink import FAINT, MOST_BARS, SERIES, Axes, drawn, legend, named, nothing_to_draw, numbers, style
from .parts import Curve, Figure


@dataclass(frozen=True, slots=True, eq=False)
class InTime:
    """Means over windows of time: what was forecast, what happened, and how far apart they were in 10 bins.

    `at` (windows,) are places on the axis of time; `over` names their unit.
    """

    at: npt.ArrayLike
    forecast: npt.ArrayLike
    happened: npt.ArrayLike
    calibration_error: npt.ArrayLike
    over: str = "rows"


def drift(stability: Sequence[tuple[str, float]], in_time: InTime, limit: float, alarms: Sequence[str] = ()) -> Figure:
    """Draw the population stability index of every feature beside forecasts and outcomes in time.

    `stability` is by feature; `limit` is the index from which it counts as moved; `alarms` are the reasons in words.
    """
    ordered = sorted(stability, key=lambda one: -one[1])
    table = numbers("Population stability", ("feature", "PSI"), ordered)
    if not ordered and not len(np.asarray(in_time.at)):
        return nothing_to_draw("Drift", table)
    shown = ordered[:MOST_BARS][::-1]

    def draw(axes: Sequence[Axes]) -> None:
        _stability(axes[0], shown, limit)
        curves = (Curve("forecast", in_time.at, in_time.forecast), Curve("happened", in_time.at, in_time.happened),
                  Curve("calibration error", in_time.at, in_time.calibration_error))  # fmt: skip
        for place, curve in enumerate(curves):
            axes[1].plot(curve.x, curve.y, label=curve.name, **style(place))
        axes[1].set_ylim(bottom=0.0)
        named(axes[1], "In time", in_time.over, "share")
        legend(axes[1])

    furthest = f"furthest moved {ordered[0][0]} ({ordered[0][1]:.2f}); " if ordered else ""
    words = furthest + ("; ".join(alarms) if alarms else "no alarm")
    height = max(3.4, 1.1 + 0.27 * len(shown))
    return drawn(draw, f"Drift: {words}.", table, panels=2, height=height)


def _stability(axes: Axes, shown: Sequence[tuple[str, float]], limit: float) -> None:
    for place, (_, index) in enumerate(shown):
        axes.barh(place, index, color=SERIES[1 if index >= limit else 0], height=0.7)
    axes.axvline(limit, color=FAINT, linewidth=1)
    axes.set_yticks(range(len(shown)), [_short(name) for name, _ in shown])
    axes.grid(visible=False, axis="y")
    named(axes, "Population stability", f"PSI (moved from {limit:g} on)", "")
