"""`tact drift` and `tact recalibrate`: this process becomes the training, which reads the log of a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from service.cli.becoming import become
from service.cli.options import Json, example
from service.cli.output import Failed
from service.cli.registry import Root
from service.config import DEFAULT_STRATEGY

EXAMPLE = example("tact drift demo/champion --log data/log --report drift.html")
RECALIBRATE_EXAMPLE = example("tact recalibrate demo/champion --log data/log")

_REGISTRY = Path("data/models")
_Version = Annotated[
    str, typer.Argument(metavar="VERSION", help="NAME@DIGITS, or NAME/champion, of the registry.", show_default=False)
]
_Log = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The log: the folder of `tact log export`, or one file.")
]
_Strategy = Annotated[Path, typer.Option(metavar="DIR", help="The strategy's folder.")]
_Decisions = Annotated[Path | None, typer.Option(metavar="FILE", help="The log as decisions.jsonl (or .gz).")]
_Events = Annotated[Path | None, typer.Option(metavar="FILE", help="Events, where the log lacks what was known.")]
_Since = Annotated[
    str, typer.Option(metavar="MOMENT", help="Decisions after it are recent (those behind the model's data).")
]
_From = Annotated[str, typer.Option("--from", metavar="MOMENT", help="Decisions before it are left out.")]
_Memory = Annotated[str, typer.Option(metavar="SIZE", help="What reading may take, such as 4GB (1GB).")]
_Report = Annotated[Path | None, typer.Option(metavar="FILE", help="Write what was found as an HTML page, too.")]


def drift(
    version: _Version,
    log: _Log = None,
    strategy: _Strategy = Path(DEFAULT_STRATEGY),
    models: Root = _REGISTRY,
    decisions: _Decisions = None,
    events: _Events = None,
    since: _Since = "",
    first: _From = "",
    memory: _Memory = "",
    report: _Report = None,
    json: Json = False,
) -> None:
    """Tell whether the world has moved away from a model: what customers are like, how often outcomes happen, and
    whether forecasts still say so. Each alarm has its reason.
    """
    given: dict[str, object] = {"--strategy": strategy, "--log": log, "--decisions": decisions, "--events": events,
             "--since": since, "--from": first, "--memory": memory, "--report": report}  # fmt: skip
    become("drift", *_words(models, version, given), *(("--json",) if json else ()))


def recalibrate(
    version: _Version,
    log: _Log = None,
    strategy: _Strategy = Path(DEFAULT_STRATEGY),
    models: Root = _REGISTRY,
    decisions: _Decisions = None,
    events: _Events = None,
    since: _Since = "",
    window: Annotated[int, typer.Option(metavar="N", help="So many recent outcomes of an action teach.")] = 2000,
    slope_only: Annotated[
        bool, typer.Option("--slope-only", help="Leave the weights: slope and offset of the log odds alone.")
    ] = False,
    always: Annotated[bool, typer.Option("--always", help="Without an alarm, too, if it is an improvement.")] = False,
    memory: _Memory = "",
    report: _Report = None,
    json: Json = False,
) -> None:
    """Put a model's probabilities right on recent outcomes, where an alarm asks for it, as a version of its own.

    It is not promoted by that: `tact promote` does it, on decisions that come after.
    """
    given: dict[str, object] = {"--strategy": strategy, "--log": log, "--decisions": decisions, "--events": events,
             "--out": models, "--since": since, "--memory": memory, "--report": report, "--window": window}  # fmt: skip
    flags = {"--slope-only": slope_only, "--always": always, "--json": json}
    become("recalibrate", *_words(models, version, given), *(flag for flag, wanted in flags.items() if wanted))


def _words(models: Path, version: str, given: Mapping[str, object]) -> tuple[str, ...]:
    from models.artifacts import ArtifactRefused
    from models.registry import NotInRegistry, found

    try:
        place = found(models, version)
    except (NotInRegistry, ArtifactRefused) as refused:
        raise Failed(str(refused)) from None
    return str(place), *(f"{name}={value}" for name, value in given.items() if value not in (None, ""))
