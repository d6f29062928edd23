"""Long work shown on stderr: how far, how fast, how long it still takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class Advance(Protocol):
    """Called with how much of the work has been done since the last call."""

    def __call__(self, amount: int, /) -> None:
        """Move the bar on."""


def unseen(amount: int, /) -> None:
    """Show nothing."""


class _Rate(ProgressColumn):
    def __init__(self) -> None:
        super().__init__()
        self.max_refresh = 0.5

    def render(self, task: Task) -> Text:
        """Show how much is done a second."""
        speed = task.finished_speed or task.speed
        per = str(task.fields["per"])
        return Text("" if speed is None else f"{speed / task.fields['unit']:,.1f} {per}/s")


@contextmanager
def progress() -> Iterator[Progress]:
    """Show bars on stderr until the work is done; nothing moves where stderr is no terminal.

    Where the work fails, what was shown goes away: the error is then the one line.
    """
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), _Rate()
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        try:
            yield bars
        except BaseException:
            bars.live.transient = True
            bars.live.stop()
            bars.console.quiet = True  # or where there is no terminal, an empty line would stand before the error
            raise


def started(bars: Progress, what: str, total: int, per: str, unit: int = 1) -> Advance:
    """Start a bar over `total`, whose rate is shown in `per` of `unit` each, and return what advances it."""
    task = bars.add_task(what, total=total, per=per, unit=unit)
    return lambda amount: bars.advance(task, amount)
