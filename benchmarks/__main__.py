"""Measure Tact: `python -m benchmarks [--quick] [--only NAME,…] [--json FILE]`. See benchmarks/README.md."""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from subprocess import SubprocessError
from traceback import format_exception
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import document, report, table
from benchmarks.bench import Plan, Workbench
from benchmarks.document import Document, SaidSection
from benchmarks.evidence import NotDecided
from benchmarks.loadgen import CannotBuild
from benchmarks.loading import NotLoaded
from benchmarks.model import NotTrained
from benchmarks.preparing import prepare
from benchmarks.processes import DidNotStart, end_when_asked
from benchmarks.section import NotMeasured, Section
from benchmarks.sections import sections

Say = Callable[[str], None]
FAILURES = (CannotBuild, DidNotStart, NotDecided, NotLoaded, NotTrained, SubprocessError)
LAST = "last"


def numbers(text: str) -> tuple[int, ...]:
    """Read `8,64`."""
    try:
        values = tuple(int(part) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or min(values) < 1:
        raise typer.BadParameter(f"'{text}' is not a list of whole numbers such as 8,64")
    return tuple(dict.fromkeys(values))  # a number that is named twice is measured once


def a_number(value: float | None) -> float | None:
    """Refuse `nan`, which is neither below nor above any bound."""
    if value is not None and math.isnan(value):
        raise typer.BadParameter("nan is no number")
    return value


def in_a_folder(file: Path | None) -> Path | None:
    """Refuse a file that could not be written after all is measured: one in no folder, or a folder."""
    if file is not None and (file.is_dir() or not file.parent.is_dir()):
        raise typer.BadParameter(f"{file} is no file in a folder that there is")
    return file


def with_marks(file: Path | None) -> Path | None:
    """Refuse a file without the marks that the table goes between."""
    if file is not None:
        try:
            table.around(file)
        except (OSError, UnicodeDecodeError, table.NoMarks) as error:
            raise typer.BadParameter(str(error)) from None
    return file


def chosen(only: str | None, there: Sequence[Section], soak_s: float) -> tuple[Section, ...]:
    """Return the sections that are named, or all; a soak only where it is asked for."""
    if only is None:
        return tuple(section for section in there if section.name != "soak" or soak_s)
    wanted = only.split(",")
    if unknown := [name for name in wanted if name not in {section.name for section in there}]:
        raise typer.BadParameter(
            f"there is no section {', '.join(unknown)}; there are {', '.join(section.name for section in there)}"
        )
    return tuple(section for section in there if section.name in wanted)


def main(
    quick: Annotated[bool, typer.Option("--quick", help="One or two cases of each, short: under 3 minutes.")] = False,
    only: Annotated[str | None, typer.Option(help="Sections to run, as in decide,matrix; without: all.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", callback=in_a_folder, help="Write everything here too.")
    ] = None,
    markdown: Annotated[Path | None, typer.Option(callback=in_a_folder, help="Write the tables here too.")] = None,
    readme: Annotated[
        Path | None, typer.Option(callback=with_marks, help="Put the table of bounds between the marks of this file.")
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, max=1000, help="Rounds; 5, or 2 with --quick.")] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.2, max=600, callback=a_number, help="Seconds a window; 3, or 0.6 if quick."),
    ] = None,
    in_flight: Annotated[str, typer.Option(help="Calls open at once, one or several numbers.")] = "8,64",
    actions: Annotated[
        int, typer.Option(min=8, max=10_000, help="Actions of the strategy, where a section has no own.")
    ] = 100,
    customers: Annotated[
        int | None, typer.Option(min=100, max=1_000_000, help="Customers; 4000, or 600 with --quick.")
    ] = None,
    soak: Annotated[
        float, typer.Option(min=0, max=1440, callback=a_number, help="Minutes of steady load at the end; 0: none.")
    ] = 0.0,
    strict: Annotated[bool, typer.Option("--strict", help="End with 1 where a bound does not hold.")] = False,
) -> None:
    """Measure Tact beside its floor and its peers, in interleaved rounds, and say what is promised and holds."""
    end_when_asked()
    plan = Plan.short() if quick else Plan()
    size = replace(plan.size, actions=actions, customers=customers or plan.size.customers)
    plan = replace(
        plan, rounds=rounds or plan.rounds, seconds=seconds or plan.seconds, in_flight=numbers(in_flight), size=size,
        soak_s=60 * soak,
    )  # fmt: skip
    run = chosen(only, sections(), plan.soak_s)
    console = Console(stderr=True, highlight=False, markup=False)
    try:
        said = measured(plan, run, partial(console.print, soft_wrap=True))
    except KeyboardInterrupt:
        console.print("Stopped; nothing is left running.")
        raise typer.Exit(130) from None
    except CannotBuild as error:
        console.print(str(error), style="red")
        raise typer.Exit(1) from None
    keep(said, json_file, markdown, readme)
    table.show(said, Console(width=None if sys.stdout.isatty() else 180, highlight=False))
    missed = any(not bound.holds for section in said.sections for bound in section.bounds)
    if any(section.failed for section in said.sections) or (strict and missed):
        raise typer.Exit(1)


def measured(plan: Plan, run: Sequence[Section], say: Say) -> Document:
    """Run sections one after another on one bench, and return what they found."""
    before = report.machine()
    with tempfile.TemporaryDirectory(prefix="tact-bench-") as folder, Workbench(Path(folder), plan, say) as bench:
        client = bench.client
        prepare(bench.folder / "prepared", plan.size.actions, [section.name for section in run], say)
        found = tuple(_results(bench, run))
    return report.document(plan, client, found, before)


def _results(bench: Workbench, run: Sequence[Section]) -> Iterator[SaidSection]:
    for section in run:
        bench.say(f"\n{section.says} ({section.name})")
        began = time.monotonic()
        try:
            with bench.in_time():
                result = section.run(bench)
        except NotMeasured as why:
            bench.say(f"not measured: {why}")
            yield SaidSection(name=section.name, says=section.says, took_s=0.0, not_measured=str(why))
        except Exception as error:  # noqa: BLE001 - one part that fails does not take the figures of the others along
            wrong = str(error) if isinstance(error, FAILURES) else "".join(format_exception(error))
            bench.say(f"failed: {wrong}")
            yield SaidSection(name=section.name, says=section.says, took_s=0.0, failed=wrong)
        else:
            yield document.section(section.name, section.says, time.monotonic() - began, result)


def keep(said: Document, json_file: Path | None, markdown: Path | None, readme: Path | None) -> None:
    """Write the run to `.bench/` and wherever else it is wanted, with plots of what there is to draw."""
    from benchmarks.plots import draw

    Workbench.kept.mkdir(exist_ok=True)
    for file in filter(None, (Workbench.kept / f"{LAST}.json", json_file)):
        file.write_text(document.written(said), encoding="utf-8")
    for file in filter(None, (Workbench.kept / f"{LAST}.md", markdown)):
        file.write_text(table.markdown(said), encoding="utf-8")
    draw(said, Workbench.kept / "plots")
    if readme:
        table.put_into(readme, f"{table.promises(said)}\n\n{table.machine(said)}")


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
