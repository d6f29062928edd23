"""A run as tables: in the terminal, in Markdown, and between the marks of a README."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.document import Document, SaidBound, SaidFigure, SaidSection

BEGINS, ENDS = "<!-- the last benchmark begins -->", "<!-- the last benchmark ends -->"
RATIO = "x"
UNITS = {"": "", "1/s": "/s", "bytes": " B"}


class NoMarks(Exception):
    """A file has no place for the table: the message names the marks that it should have."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Headings and rows of one table."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def grids(section: SaidSection) -> Iterator[Grid]:
    """Return the figures of a section: a table for each kind of case, a row a subject and case, a column a measure."""
    kinds: dict[tuple[str, ...], list[SaidFigure]] = {}
    for figure in section.figures:
        kinds.setdefault(tuple(figure.case), []).append(figure)
    for names, figures in kinds.items():
        measures = list(dict.fromkeys(figure.measure for figure in figures))
        rows: dict[tuple[str, ...], dict[str, SaidFigure]] = {}
        for figure in figures:
            rows.setdefault((*map(_number, figure.case.values()), figure.subject), {})[figure.measure] = figure
        cells = (
            (*place, *(cell(row[measure]) if measure in row else "" for measure in measures))
            for place, row in rows.items()
        )
        yield Grid((*(name.replace("_", " ") for name in names), "", *measures), tuple(cells))


def cell(figure: SaidFigure) -> str:
    """Return a figure as people read it: latencies in ms, ratios with their spread."""
    if figure.unit == RATIO:
        spread = f" ({figure.low:.2f} to {figure.high:.2f})" if len(figure.values) > 1 else ""
        return f"{figure.median:.2f}{spread}"
    if figure.unit == "µs" and figure.measure.startswith("p"):
        return f"{figure.median / 1000:.2f} ms"
    if figure.unit == "share":
        return f"{figure.median:.2f}"
    unit = UNITS.get(figure.unit, f" {figure.unit}")
    return f"{_number(figure.median)}{unit}"


def _number(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"


def kept(bound: SaidBound) -> tuple[str, str, str, str]:
    """Return a bound as a row: what it says, what it asks, what was measured, and whether it holds."""
    asked = f"at least {bound.at_least:g}" if bound.at_least is not None else f"at most {bound.at_most:g}"
    if bound.at_least is not None and bound.at_most is not None:
        asked = f"{bound.at_least:g} to {bound.at_most:g}"
    return bound.says, asked, f"{bound.measured:.3g}", "yes" if bound.holds else "no"


def sentences(section: SaidSection) -> tuple[str, ...]:
    """Return what is to be said below the figures of a section."""
    left_out = tuple(f"Not measured: {case}: {why}" for case, why in section.left_out.items())
    whole = (f"Not measured: {section.not_measured}",) if section.not_measured else ()
    return (*section.notes, *left_out, *whole, *((f"Failed: {section.failed}",) if section.failed else ()))


def machine(said: Document) -> str:
    """Tell where and when it was measured, in a sentence."""
    facts = said.machine
    return (
        f"{facts['processor']}, {facts['cores']} cores, Python {facts['python']}, {said.date[:10]}, commit "
        f"{facts['commit'] or 'unknown'}; load average {facts['load_average']:.1f} before, "
        f"{facts['load_average_after']:.1f} after; {said.plan['rounds']} rounds of {said.plan['seconds']:g} s; "
        f"calls by {said.client}."
    )


def show(said: Document, console: Console) -> None:
    """Print every section, and then every bound with whether it holds."""
    for section in said.sections:
        console.print(f"\n[bold]{section.says}[/bold]  ({section.name}, {section.took_s:.0f} s)")
        for grid in grids(section):
            console.print(_drawn(grid))
        for sentence in sentences(section):
            console.print(sentence, markup=False)
    if promised := [kept(bound) for section in said.sections for bound in section.bounds]:
        console.print(_drawn(Grid(("bound", "asked", "measured", "holds"), tuple(promised))))
    console.print(machine(said), markup=False)


def _drawn(grid: Grid) -> Table:
    table = Table()
    for place, heading in enumerate(grid.headings):
        is_text = all(not row[place][:1].isdigit() for row in grid.rows)
        table.add_column(heading, justify="left" if is_text else "right", no_wrap=True)
    for row in grid.rows:
        table.add_row(*row)
    return table


def markdown(said: Document) -> str:
    """Return the whole run as Markdown."""
    parts = []
    for section in said.sections:
        parts += [f"### {section.says}", *map(_lined, grids(section)), *_listed(sentences(section))]
    if promised := promises(said):
        parts += ["### Bounds", promised]
    return "\n\n".join((*parts, machine(said))) + "\n"


def promises(said: Document) -> str:
    """Return all bounds as a table of Markdown; empty where there is none."""
    rows = tuple(kept(bound) for section in said.sections for bound in section.bounds)
    return _lined(Grid(("bound", "asked", "measured", "holds"), rows)) if rows else ""


def _lined(grid: Grid) -> str:
    lines = [grid.headings, ("---",) * len(grid.headings), *grid.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _listed(said: Sequence[str]) -> tuple[str, ...]:
    return ("\n".join(f"- {sentence}" for sentence in said),) if said else ()


def put_into(file: Path, text: str) -> None:
    """Replace what stands between the marks of a file; raise `NoMarks` where it has none."""
    before, after = around(file)
    file.write_text(f"{before}{BEGINS}\n{text.strip()}\n{ENDS}{after}", encoding="utf-8")


def around(file: Path) -> tuple[str, str]:
    """Return what stands before and after the marks of a file; raise `NoMarks` where it has none."""
    before, begins, rest = file.read_text(encoding="utf-8").partition(BEGINS)
    _, ends, after = rest.partition(ENDS)
    if not begins or not ends:
        raise NoMarks(f"{file} has no lines '{BEGINS}' and '{ENDS}' to put the table between")
    return before, after
