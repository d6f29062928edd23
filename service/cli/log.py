"""`tact log export` and `tact log import`: decisions and what came of them, as tables to learn from."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.options import DEFAULT_TARGET, Json, Target, example
from service.cli.output import Failed, note, progress, say, say_json

if TYPE_CHECKING:
    from service.logs.export import Exported
    from service.logs.parts import Parts
    from service.rpc.client import TactClient

EXPORT_EXAMPLE = example("tact log export --out data/log")
IMPORT_EXAMPLE = example("tact log import calls.csv --mapping import.yaml --out data/calls")
BUCKETS = 1024


class TableFormat(StrEnum):
    """How tables are written."""

    PARQUET = "parquet"
    CSV = "csv"


def export_log(
    out: Annotated[Path, typer.Option(metavar="DIR", help="The folder that the parts go to.", show_default=False)],
    form: Annotated[
        TableFormat | None, typer.Option("--format", help="How parts are written (as before, or parquet).")
    ] = None,
    target: Target = DEFAULT_TARGET,
    json: Json = False,
) -> None:
    """Write the decision log as tables to learn from: what was known, what was said how probably, what came of it.

    The same command again adds what is new, each decision and each outcome once, also after it was killed. What was
    exported of customers who were erased since is removed.
    """
    from service.cli.calls import call
    from service.logs.parts import Format, PartsRefused, opened

    started = time.monotonic()
    try:
        with opened(out, Format(form.value) if form else None, "a service") as parts:
            exported = call(target, lambda client: export_to(client, parts))
    except PartsRefused as refused:
        raise Failed(str(refused), 2) from None
    _tell_exported(exported, out, time.monotonic() - started, json)


async def export_to(client: TactClient, parts: Parts) -> Exported:
    """Add to a folder what is new in the log of a service, and take out who was erased."""
    from service.logs.export import export
    from service.logs.forgetting import forget

    with progress("log", BUCKETS, "rows") as bar:
        exported = await export(client, parts, bar.on)
    exported.forgotten = await forget(client, parts)
    return exported


def _tell_exported(exported: Exported, out: Path, seconds: float, json: bool) -> None:
    if exported.unreadable:
        note(f"{exported.unreadable:,} entries cannot be read and are left out")
    if exported.nameless:
        note(f"{exported.nameless:,} decisions have no features: the fields of their strategy are not kept any more")
    if json:
        counts = {name: getattr(exported, name) for name in exported.__dataclass_fields__}
        say_json({**counts, "out": str(out), "seconds": round(seconds, 3)})
        return
    rate = (exported.decisions + exported.outcomes) / max(seconds, 1e-9)
    removed = f", {exported.forgotten:,} rows of erased customers removed" if exported.forgotten else ""
    say(
        f"{exported.decisions:,} decisions and {exported.outcomes:,} outcomes in {exported.parts:,} new parts"
        f" of {out}{removed}; {seconds:.1f} s, {rate:,.0f}/s"
    )


def import_log(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="CSV (also .gz) or Parquet.", show_default=False)
    ],
    mapping: Annotated[
        Path, typer.Option(metavar="FILE", help="How the columns of the files become the table.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The new folder of parts.", show_default=False)],
    form: Annotated[TableFormat, typer.Option("--format", help="How parts are written.")] = TableFormat.PARQUET,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave bad rows out, and say how many.")] = False,
    json: Json = False,
) -> None:
    """Bring in decisions that somebody else logged, as tables to learn from: all rows, or none where one is bad."""
    from models.documents import DocumentsRefused
    from service.logs.importing import import_files
    from service.logs.mapping import read_mapping
    from service.logs.parts import Format
    from service.logs.sources import SourceRefused

    started = time.monotonic()
    try:
        plan = read_mapping(mapping)
        with progress("rows", 1000 * len(files), "rows") as bar:
            imported = import_files(files, plan, out, Format(form.value), skip_bad, bar.on)
    except (DocumentsRefused, SourceRefused) as refused:
        raise Failed(str(refused), 2) from None
    seconds = time.monotonic() - started
    for problem in imported.problems:
        note(problem)
    if json:
        counts = {"decisions": imported.decisions, "outcomes": imported.outcomes, "skipped": imported.skipped}
        say_json({**counts, "out": str(out), "seconds": round(seconds, 3)})
        return
    skipped = f", {imported.skipped:,} bad rows left out" if imported.skipped else ""
    rate = imported.decisions / max(seconds, 1e-9)
    say(
        f"{imported.decisions:,} decisions and {imported.outcomes:,} outcomes in {out}{skipped};"
        f" {seconds:.1f} s, {rate:,.0f}/s"
    )
