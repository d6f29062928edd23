"""How commands speak: results on stdout, all else on stderr, and an error as one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

WIDE = 120


class Failed(Exception):
    """A command could not do what it was asked: the message says why and what to do; `code` ends the process."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


def say(text: str) -> None:
    """Write a line of the result, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def say_json(document: object) -> None:
    """Write the result as one line of JSON."""
    say(json.dumps(document, ensure_ascii=False))


def note(text: str) -> None:
    """Write a line that is not the result."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def show(table: Table) -> None:
    """Write a table, in colour only where stdout is a terminal."""
    # No terminal has no width of its own: without one given, tables would be cut to 80 columns.
    Console(width=None if sys.stdout.isatty() else WIDE, highlight=False).print(table)


def table(*columns: str, title: str = "") -> Table:
    """Return an empty table whose cells are plain text."""
    made = Table(title=title or None, title_justify="left", header_style="bold", show_lines=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def row(made: Table, *cells: Any) -> None:  # noqa: ANN401 - whatever is shown
    """Add a row; nothing in a cell is taken for markup."""
    made.add_row(*(cell if isinstance(cell, Text) else Text(shown(cell)) for cell in cells))


def shown(value: object) -> str:
    """Return a value as people read it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


class _Rate(ProgressColumn):
    """How many things a second."""

    def render(self, task: Task) -> Text:
        """Show the rate since the beginning."""
        elapsed, things = task.elapsed or 0.0, int(task.fields["things"])
        return Text(f"{things:,} {task.fields['what']}" + (f", {things / elapsed:,.0f}/s" if elapsed > 0.5 else ""))


class Bar:
    """One progress bar; `on` moves it by bytes and counts things."""

    def __init__(self, bars: Progress, label: str, total: int, what: str) -> None:
        self._bars = bars
        self._task = bars.add_task(label, total=total, things=0, what=what)
        self._things = 0

    def on(self, position: int, things: int) -> None:
        """Show that the work stands at a byte, and that so many more things are done."""
        self._things += things
        self._bars.update(self._task, completed=position, things=self._things)


@contextmanager
def progress(label: str, total: int, what: str) -> Iterator[Bar]:
    """Show a bar with rate and time left on stderr, where that is a terminal."""
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), _Rate()
    console = Console(stderr=True, highlight=False)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as bars:
        try:
            yield Bar(bars, label, total, what)
        except BaseException:
            bars.live.transient = True  # the error is then the one line
            raise
