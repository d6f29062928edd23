"""Figures of what changes from one strategy to another: from what to what, and day by day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from .bars import _short
from .ink import INK, SERIES, WIDE, Axes, drawn, legend, named, nothing_to_draw, numbers, style
from .parts import Cell, Figure

_MOST = 12
_OTHERS = "others"
_FAINTEST = 0.08


def from_what_to_what(flows: Sequence[tuple[str, str, int]]) -> Figure:
    """Draw how many decisions go from saying one thing to saying another: a square each, the darker the more.

    Those that say the same as before are in the table alone: they would outshine what changes.
    """
    ordered = sorted(flows, key=lambda one: -one[2])
    table = numbers("From what to what", ("before", "now", "decisions"), ordered)
    changed = [one for one in ordered if one[0] != one[1]]
    if not changed:
        return nothing_to_draw("From what to what", table)
    befores, nows = _usual([(b, n) for b, _, n in changed]), _usual([(n, c) for _, n, c in changed])
    cells: Counter[tuple[str, str]] = Counter()
    for before, now, count in changed:
        cells[before if before in befores else _OTHERS, now if now in nows else _OTHERS] += count
    most = max(cells.values())

    def draw(axes: Sequence[Axes]) -> None:
        for (before, now), count in cells.items():
            x, y = nows.index(now), len(befores) - 1 - befores.index(before)
            strength = min(1.0, _FAINTEST + (1.0 - _FAINTEST) * count / most)
            axes[0].bar([x], [0.94], bottom=[y - 0.47], width=0.94, color=SERIES[0], alpha=strength, linewidth=0)
            axes[0].text(x, y, f"{count:,}", ha="center", va="center", fontsize=7, color=INK)
        axes[0].set_xticks(range(len(nows)), [_short(name) for name in nows], rotation=40, ha="right")
        axes[0].set_yticks(range(len(befores)), [_short(name) for name in reversed(befores)])
        axes[0].grid(visible=False)
        named(axes[0], "From what to what", "now", "before")

    words = "; ".join(f"{before} to {now} {count:,}" for before, now, count in changed[:3])
    return drawn(draw, f"From what to what, most first: {words}.", table, height=2.2 + 0.3 * len(befores), width=WIDE)


def by_day(title: str, days: Sequence[str], series: Mapping[str, Sequence[int]], unit: str) -> Figure:
    """Draw numbers day by day, a line each; `days` are dates in their order."""
    rows: list[tuple[Cell, ...]] = [
        (day, *(values[place] for values in series.values())) for place, day in enumerate(days)
    ]
    table = numbers(title, ("day", *series), rows)
    if not days:
        return nothing_to_draw(title, table)

    def draw(axes: Sequence[Axes]) -> None:
        for place, (name, values) in enumerate(series.items()):
            axes[0].plot(range(len(days)), values, label=name, marker="o" if len(days) < 3 else "", **style(place))
        shown = range(0, len(days), max(1, len(days) // 6))
        axes[0].set_xticks(list(shown), [days[place][5:] for place in shown])
        axes[0].set_ylim(bottom=0)
        named(axes[0], title, "day", unit)
        legend(axes[0])

    words = "; ".join(f"{name} {sum(values):,}" for name, values in series.items())
    return drawn(draw, f"{title}, {len(days)} days, in all: {words} {unit}.", table, width=WIDE)


def _usual(counts: Sequence[tuple[str, int]]) -> list[str]:
    """Return the names that occur most, and one for all others where there are any."""
    summed: Counter[str] = Counter()
    for name, count in counts:
        summed[name] += count
    usual = [name for name, _ in summed.most_common(_MOST)]
    return [*usual, _OTHERS] if len(summed) > _MOST else usual
