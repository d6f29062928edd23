"""Write a report as one HTML file: no script, no address of anything outside, readable in light and in dark."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

from ..errors import TrainingRefused
from .parts import Cell, Figure, Report, Section, Table

__all__ = ["Figure", "Report", "Section", "Table", "page", "write_report"]

_STYLE = """
:root { color-scheme: light dark; --ink: #1a1d21; --faint: #7a828c; --paper: #ffffff; --edge: #d9dde2;
  --s0: #1f6feb; --s1: #c2410c; --s2: #15803d; --s3: #9333ea; --s4: #0e7490; --s5: #be123c;
  --s6: #a16207; --s7: #475569; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ed; --faint: #8d96a1; --paper: #14171a; --edge: #343a41;
    --s0: #6ea8fe; --s1: #fb923c; --s2: #4ade80; --s3: #c084fc; --s4: #22d3ee; --s5: #fb7185;
    --s6: #facc15; --s7: #cbd5e1; } }
body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto;
  max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.7rem; }
h2 { border-top: 1px solid var(--edge); font-size: 1.25rem; margin-top: 2.5rem; padding-top: 1rem; }
p { max-width: 46rem; } figure { margin: 1.5rem 0; } svg { height: auto; max-width: 100%; }
svg * { stroke-linejoin: round; stroke-linecap: butt; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .875rem; margin: .75rem 0; }
caption { font-weight: 600; padding: .25rem 0; text-align: left; }
th, td { border-bottom: 1px solid var(--edge); padding: .2rem .75rem .2rem 0; text-align: left; vertical-align: top; }
td.n, th.n { font-variant-numeric: tabular-nums; text-align: right; } summary { color: var(--faint); cursor: pointer; }
"""


def write_report(path: Path, report: Report) -> None:
    """Write a report; raise `TrainingRefused` where the file cannot be written. A reader never sees half of it."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_text(page(report), encoding="utf-8")
        os.replace(draft, path)
    except OSError as error:
        raise TrainingRefused(f"the report {path} cannot be written ({error.strerror})") from None


def page(report: Report) -> str:
    """Return a report as HTML; equal reports give equal texts."""
    drawings = iter(range(1, 1 << 20))
    body = "".join(_section(section, drawings) for section in report.sections)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report.title)}</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>{escape(report.title)}</h1>{_words(report.words)}{body}</body></html>\n"
    )


def _section(section: Section, drawings: Iterator[int]) -> str:
    figures = "".join(_figure(figure, next(drawings)) for figure in section.figures)
    tables = "".join(map(_table, section.tables))
    return f"<section><h2>{escape(section.title)}</h2>{_words(section.words)}{figures}{tables}</section>\n"


def _words(words: tuple[str, ...]) -> str:
    return "".join(f"<p>{escape(paragraph)}</p>" for paragraph in words)


def _figure(figure: Figure, number: int) -> str:
    alt = escape(figure.alt)
    svg = figure.svg.replace("<svg ", f'<svg role="img" aria-label="{alt}" ', 1)
    numbers = f"<details><summary>the numbers</summary>{_table(figure.table)}</details>" if figure.table else ""
    return f"<figure>{_apart(svg, f'f{number}-')}<figcaption>{alt}</figcaption>{numbers}</figure>\n"


def _apart(svg: str, prefix: str) -> str:
    """Give the ids of a drawing a prefix of its own: those of several drawings on one page must not meet."""
    svg = re.sub(r' id="([^"]+)"', rf' id="{prefix}\1"', svg)
    return re.sub(r'(href="#|url\(#)', rf"\1{prefix}", svg)


def _table(table: Table) -> str:
    numeric = [all(isinstance(row[i], int | float | None) for row in table.rows) for i in range(len(table.head))]
    head = "".join(f"<th{_kind(n)}>{escape(name)}</th>" for name, n in zip(table.head, numeric, strict=True))
    rows = "".join(
        f"<tr>{''.join(f'<td{_kind(n)}>{_cell(cell)}</td>' for cell, n in zip(row, numeric, strict=True))}</tr>"
        for row in table.rows
    )
    caption = f"<caption>{escape(table.title)}</caption>"
    return f'<div class="wide"><table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>\n'


def _kind(numeric: bool) -> str:
    return ' class="n"' if numeric else ""


def _cell(cell: Cell) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:.4g}" if isinstance(cell, float) else escape(cell)
