"""How every figure of a report is drawn: one size, one palette, the same bytes for the same numbers.

Colours are names that the page gives a value in its light and its dark form: matplotlib draws in stand-ins, which are
replaced in the finished drawing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from io import StringIO
from typing import Any

from .parts import Cell, Figure, Table

INK, FAINT, PAPER = "#010203", "#010204", "#010205"
SERIES = ("#010301", "#010302", "#010303", "#010304", "#010305", "#010306", "#010307", "#010308")
LINES = ("-", "--", "-.", (0, (1, 1.5)), (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (3, 3)), (0, (1, 4)))
"""Beside the colour, each series has its own kind of line: a reader may not tell the colours apart."""

WIDE = 7.6
"""The width of a figure whose names need room, in inches."""

MOST_BARS = 30
"""More rows than this are not drawn; the table beside the figure has them all."""

_NAMES = {INK: "ink", FAINT: "faint", PAPER: "paper"} | {series: f"s{i}" for i, series in enumerate(SERIES)}
_RC: Any = {  # matplotlib types the keys as several hundred literals
    "axes.axisbelow": True,
    "axes.edgecolor": FAINT,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "grid.alpha": 0.35,
    "grid.color": FAINT,
    "legend.edgecolor": "none",
    "legend.facecolor": PAPER,
    "legend.fontsize": 9,
    "legend.framealpha": 0.75,
    "legend.labelcolor": INK,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",  # text stays text: it can be read aloud, found and copied
    "svg.hashsalt": "tact",
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign is a dollar sign
    "xtick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.color": FAINT,
    "ytick.labelcolor": INK,
}

Axes = Any  # matplotlib.axes.Axes, which is imported only where something is drawn


def drawn(
    draw: Callable[[Sequence[Axes]], None],
    alt: str,
    table: Table,
    panels: int = 1,
    height: float = 3.4,
    width: float = 4.9,
) -> Figure:
    """Draw panels side by side; `draw` gets their axes. The same calls give the same bytes."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Drawing

    stream = StringIO()
    with rc_context(_RC):
        drawing = Drawing(figsize=(width * panels, height))
        FigureCanvasSVG(drawing)
        draw(drawing.subplots(1, panels, squeeze=False)[0])
        drawing.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return Figure(_inlined(stream.getvalue()), alt, table)


def nothing_to_draw(what: str, table: Table) -> Figure:
    """Return a figure that says that there is nothing to draw."""

    def draw(axes: Sequence[Axes]) -> None:
        axes[0].axis("off")
        axes[0].text(0.5, 0.5, f"{what}: nothing to draw", ha="center", va="center")

    return drawn(draw, f"{what}: nothing to draw.", table, height=1.2)


def named(axes: Axes, title: str, x: str, y: str) -> None:
    """Write title and axes."""
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def legend(axes: Axes) -> None:
    """Name the series where there is more than one name to tell."""
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        axes.legend()


def style(place: int) -> dict[str, Any]:
    """Return colour and kind of line of a series."""
    return {"color": SERIES[place % len(SERIES)], "linestyle": LINES[place % len(LINES)]}


def numbers(title: str, head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Table:
    """Return a table of what a figure shows."""
    return Table(title, tuple(head), tuple(tuple(row) for row in rows))


def _inlined(svg: str) -> str:
    """Return the `<svg>` element alone, with the page's colours, without links to a document type or a licence."""
    element = svg[svg.index("<svg") :]
    element = re.sub(r"<(metadata|style)\b.*?</\1>\s*", "", element, flags=re.DOTALL)
    element = re.sub(
        r"#0[0-9]{5}", lambda found: f"var(--{_NAMES[found[0]]})" if found[0] in _NAMES else found[0], element
    )
    element = element.replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "").replace("xlink:href", "href")
    return element.replace(' xmlns="http://www.w3.org/2000/svg"', "", 1)
