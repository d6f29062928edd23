"""Measure Decide against the floor: `python -m benchmarks [--quick] [--json FILE]`. See benchmarks/README.md."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import report
from benchmarks.compare import Plan, compare
from benchmarks.evidence import NotDecided
from benchmarks.loadgen import CannotBuild
from benchmarks.loading import NotLoaded
from benchmarks.model import NotTrained
from benchmarks.processes import DidNotStart
from benchmarks.stage import Size, Stage


def numbers(text: str) -> tuple[int, ...]:
    """Read `8,64`."""
    try:
        values = tuple(int(part) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or min(values) < 1:
        raise typer.BadParameter(f"'{text}' is not a list of whole numbers such as 8,64")
    return values


def main(
    quick: Annotated[bool, typer.Option("--quick", help="A smaller world and shorter windows: under 90 s.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write everything that was measured here.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds; 5, or 3 with --quick.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.2, help="Seconds a window; 3, or 1.5 with --quick.")] = None,
    in_flight: Annotated[str, typer.Option(help="Calls open at once, one or several numbers.")] = "8,64",
    actions: Annotated[int, typer.Option(min=8, help="Actions of the strategy.")] = 100,
    customers: Annotated[int | None, typer.Option(min=100, help="Customers; 4000, or 1500 with --quick.")] = None,
) -> None:
    """Measure Decide against the floor: requests a second, latency and CPU, in interleaved rounds."""
    signal.signal(signal.SIGTERM, _stop)
    plan = Plan(
        in_flight=numbers(in_flight),
        rounds=rounds or (3 if quick else 5),
        seconds=seconds or (1.5 if quick else 3.0),
        warmup_s=0.5 if quick else 1.0,
    )
    size = Size(actions=actions, customers=customers or (1500 if quick else 4000))
    console = Console(stderr=True, highlight=False)
    say = partial(console.print, soft_wrap=True)
    before = report.machine()
    try:
        with tempfile.TemporaryDirectory(prefix="tact-bench-") as folder, Stage(Path(folder), size, say) as stage:
            windows, evidence = compare(stage, plan, say)
    except KeyboardInterrupt:
        console.print("Stopped; nothing is left running.")
        raise typer.Exit(130) from None
    except (CannotBuild, DidNotStart, NotDecided, NotLoaded, NotTrained) as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from None
    said = report.document(plan, size, windows, evidence, before)
    if json_file:
        json_file.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    report.show(said, Console(width=None if sys.stdout.isatty() else 120, highlight=False))


def _stop(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C would: every server is stopped on the way out."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
