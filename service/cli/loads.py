"""`tact events load` and `tact consents load`: files of JSON lines into a running service."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from service.cli.lines import Tally
from service.cli.options import DEFAULT_TARGET, Json, StrategyForTypes, Target, example, schema_of
from service.cli.output import note, progress, say, say_json

EVENTS_EXAMPLE = example("tact events load events.jsonl.gz --strategy strategies/demo")
CONSENTS_EXAMPLE = example("tact consents load consents.jsonl")

File = Annotated[Path, typer.Argument(metavar="FILE", help="A .jsonl or .jsonl.gz file.", show_default=False)]


def load_events(
    file: File, strategy: StrategyForTypes = None, target: Target = DEFAULT_TARGET, json: Json = False
) -> int:
    """Load events, one JSON object a line; ends with 1 if any was refused.

    Loading a file again changes nothing, as long as no customer has more than 4,096 events in it.

    A line is {"event_id", "customer_id", "type", "occurred_at", "attributes": {…}}.
    """
    from service.cli.calls import call
    from service.cli.loading import record_events

    schema, tally, started = schema_of(strategy), Tally(), time.monotonic()
    with progress(file.name, file.stat().st_size if file.is_file() else 0, "events") as bar:
        call(target, lambda client: record_events(client, file, tally, schema, bar.on), schema)
    return _report(tally, "events", time.monotonic() - started, json)


def load_consents(file: File, target: Target = DEFAULT_TARGET, json: Json = False) -> int:
    """Load consents, one JSON object a line; ends with 1 if any was refused.

    One that was given before what is stored is counted as older and changes nothing.

    A line is {"customer_id", "level", "contact": […], "given_at", "source"}.
    """
    from service.cli.calls import call
    from service.cli.loading import set_consents

    tally, started = Tally.of_consents(), time.monotonic()
    with progress(file.name, file.stat().st_size if file.is_file() else 0, "consents") as bar:
        call(target, lambda client: set_consents(client, file, tally, bar.on))
    return _report(tally, "consents", time.monotonic() - started, json)


def _report(tally: Tally, what: str, seconds: float, json: bool) -> int:
    counts, total = tally.counts, sum(tally.counts.values())
    for problem in tally.refused:
        note(problem)
    if (more := counts["refused"] - len(tally.refused)) > 0:
        note(f"and {more:,} more")
    if json:
        say_json({"what": what, **counts, "first_refused": tally.refused, "seconds": round(seconds, 3)})
    else:
        parts = ", ".join(f"{count:,} {status}" for status, count in counts.items())
        say(f"{total:,} {what}: {parts}; {seconds:.1f} s, {total / max(seconds, 1e-9):,.0f}/s")
    return 1 if counts["refused"] else 0
