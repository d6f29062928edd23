"""`tact tend`: the job beside the service that keeps a champion right between trainings."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.options import DEFAULT_TARGET, Json, Target, example
from service.cli.output import Failed, say, say_json
from service.cli.registry import Root
from service.cli.serve import run_loop
from service.config import DEFAULT_STRATEGY
from service.signals import Signals, Told

if TYPE_CHECKING:
    from service.cli.tending import Care, Round

EXAMPLE = example("tact tend demo --log data/log --groups past.tier --fairness-gap 0.05 --every 1h")
_EVERY = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_LONGEST_S = 30 * 86_400


def tend(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The model, whose champion is tended.")],
    log: Annotated[Path, typer.Option(metavar="DIR", help="The log: it is exported to here.", show_default=False)],
    groups: Annotated[
        str,
        typer.Option(metavar="A,B", help="Features that divide people, for the fairness table.", show_default=False),
    ],
    fairness_gap: Annotated[
        str, typer.Option(metavar="X", help="The widest gap of forecast and rate; without: a person looks.")
    ] = "",
    every: Annotated[
        str, typer.Option(metavar="SPAN", help="From the end of a round to the next: 30m, 1h, 1d.")
    ] = "1h",
    once: Annotated[bool, typer.Option("--once", help="One round; ends with 1 where it failed.")] = False,
    strategy: Annotated[Path, typer.Option(metavar="DIR", help="The strategy's folder.")] = Path(DEFAULT_STRATEGY),
    models: Root = Path("data/models"),
    memory: Annotated[str, typer.Option(metavar="SIZE", help="What measuring may take, such as 4GB.")] = "",
    target: Target = DEFAULT_TARGET,
    json: Json = False,
) -> int:
    """Keep a champion right between trainings: export the log, look for drift, recalibrate on an alarm, ask the gate.

    Each round says in one line what it did and why. A version that was made is put before the gate in later rounds, on
    decisions that came after it; only the gate makes it the champion, which a service on DIR/NAME/champion takes up.
    What fails in a round is tried again in the next. It goes on until SIGTERM or Ctrl-C.
    """
    from service.cli.tending import Care

    pause_s = _seconds(every)
    care = Care(name, models, log, strategy, target, _groups(groups, strategy), _gap(fairness_gap), memory)
    _check_model(care)
    return run_loop(_tend(care, None if once else pause_s, json))


async def _tend(care: Care, pause_s: int | None, json: bool) -> int:
    signals = Signals()
    code = 0
    with suppress(Told):
        code = await signals.unless_told(_rounds(care, pause_s, json))
    return code


async def _rounds(care: Care, pause_s: int | None, json: bool) -> int:
    from service.cli.tending import Did, tended

    while True:
        done = await tended(care)
        _tell(done, json)
        if pause_s is None:
            return 1 if done.did is Did.FAILED else 0
        await asyncio.sleep(pause_s)


def _tell(done: Round, json: bool) -> None:
    at = datetime.now(UTC).isoformat(timespec="seconds")
    if json:
        say_json({"at": at, "did": done.did.value, "version": done.version or None, "words": done.words})
    else:
        say(f"{at}  {done.did}: {done.words}")


def _check_model(care: Care) -> None:
    from models.artifacts import NAME

    if not NAME.fullmatch(care.name) or not care.home.is_dir():
        raise Failed(f"there is no model {care.name!r} in {care.models}; see `tact models list`")


def _groups(text: str, folder: Path) -> str:
    """Return the features that divide people; refuse now, not at the first alarm, what is no field."""
    from models.documents import DocumentsRefused
    from models.schema import load_context

    try:
        known = [field.id for field in load_context(folder).fields]
    except DocumentsRefused as refused:
        raise Failed(f"--strategy {folder}: {refused}", 2) from None
    named = [part.strip() for part in text.split(",") if part.strip()]
    strange = [part for part in named if part not in known]
    if strange or not named:
        raise Failed(f"--groups {text!r}: name fields of the strategy, such as {', '.join(known[:5])}", 2)
    return ",".join(named)


def _gap(text: str) -> str:
    with suppress(ValueError):
        if not text or (isfinite(float(text)) and 0.0 <= float(text) <= 1.0):
            return text
    raise Failed(f"--fairness-gap {text!r}: write a number from 0 to 1, such as 0.05", 2)


def _seconds(text: str) -> int:
    found = _EVERY.fullmatch(text)
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not 0 < seconds <= _LONGEST_S:
        raise Failed(f"--every {text!r}: write a number and s, m, h or d, such as 1h, up to 30d", 2)
    return seconds
