"""`tact evaluate`: what a strategy and its simple rivals are worth by a log, without asking a customer again.

What the arms would have said is computed here, by the engine that serves; then this process becomes the training, which
values it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.files import unwritable
from service.cli.becoming import become
from service.cli.options import Json, example
from service.cli.output import Failed, note, progress
from service.config import DEFAULT_STRATEGY

if TYPE_CHECKING:
    from models.propensity import Folded
    from service.core.strategy import Strategy
    from service.evaluating.policies import Writer
    from service.evaluating.rows import Log

EXAMPLE = example("tact evaluate --log data/log --model data/models/demo/3f9a0c11d2e4 --report evaluation.html")

_File = Path | None


@dataclass(frozen=True, slots=True)
class Where:
    """Where the logged decisions lie: a table, or decisions and events in JSON lines."""

    log: Path | None
    decisions: Path | None
    events: Path | None

    def arguments(self) -> list[str]:
        """Return the same as options of the training."""
        named = {"--log": self.log, "--decisions": self.decisions, "--events": self.events}
        return [str(word) for name, path in named.items() if path is not None for word in (name, path)]


def evaluate(
    log: Annotated[
        _File, typer.Option(metavar="DIR", help="The log: the folder of `tact log export`, or one file.")
    ] = None,
    strategy: Annotated[Path, typer.Option(metavar="DIR", help="The strategy's folder.")] = Path(DEFAULT_STRATEGY),
    model: Annotated[_File, typer.Option(metavar="DIR", help="The model to decide with (default: priors).")] = None,
    against: Annotated[_File, typer.Option(metavar="DIR", help="Another strategy to compare with.")] = None,
    against_model: Annotated[_File, typer.Option(metavar="DIR", help="Another model to compare with.")] = None,
    decisions: Annotated[_File, typer.Option(metavar="FILE", help="The log as decisions.jsonl (or .gz).")] = None,
    events: Annotated[_File, typer.Option(metavar="FILE", help="Events, where the log lacks what was known.")] = None,
    placement: Annotated[str, typer.Option(metavar="P", help="Where it was asked, in a log that does not tell.")] = "",
    also_learned_from: Annotated[
        bool, typer.Option("--also-learned-from", help="Value what the model learned from, too, and claim nothing.")
    ] = False,
    within_allowed: Annotated[
        bool, typer.Option("--within-allowed", help="Keep all arms within what the log says it might have said.")
    ] = False,
    worth: Annotated[str, typer.Option(metavar="A=1,B=-1", help="What a decision earns (as declared).")] = "",
    method: Annotated[str, typer.Option(metavar="M", help="What claims rest on: dr, snips or ips.")] = "dr",
    bootstrap: Annotated[int, typer.Option(metavar="N", min=0, help="Intervals from N draws of the customers.")] = 0,
    groups: Annotated[str, typer.Option(metavar="A,B", help="Features to show fairness by.")] = "",
    memory: Annotated[str, typer.Option(metavar="SIZE", help="What valuing may take, such as 4GB (2GB).")] = "",
    dask: Annotated[
        str, typer.Option(metavar="WHERE", help="Read the log on a Dask cluster: tcp://… or local:2.")
    ] = "",
    report: Annotated[_File, typer.Option(metavar="FILE", help="Write a report as one HTML file.")] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="The seed of the bootstrap.")] = 0,
    json: Json = False,
) -> None:
    """Say what a strategy is worth by a log of other decisions, beside random, propensity only, no levers, the best
    single action and nothing, how sure that is, and where the log cannot tell.
    """
    from service.evaluating.asked import wrong
    from service.evaluating.policies import Writer

    where = Where(log, decisions, events)
    if why := unwritable(report):
        raise Failed(f"--report: {why}", 2)
    compared = loaded(strategy, model)
    rival = loaded(against or strategy, against_model) if against or against_model else None
    for one in (compared[0], *((rival[0],) if rival else ())):
        _see_placement(one, placement)
    if why := wrong(compared[0], strategy, worth, groups, method):
        raise Failed(why, 2)
    said = {"--worth": worth, "--groups": groups, "--memory": memory, "--dask": dask, "--report": report}
    options = [str(word) for name, value in said.items() if value for word in (name, value)]
    fixed = {"--strategy": strategy, "--method": method, "--bootstrap": bootstrap, "--seed": seed}
    options += [str(word) for pair in fixed.items() for word in pair] + (["--json"] if json else [])
    options += [word for path in (model, against_model) if path for word in ("--model", str(path))]
    options += ["--also-learned-from"] if also_learned_from else []
    # Its name is gone before anything is written: however this ends, nothing stays behind.
    with tempfile.TemporaryFile(prefix="tact-policies-") as policies:
        writer = Writer(*compared, rival, within_allowed, placement)
        _compute(where, strategy, writer, Path(f"/dev/fd/{policies.fileno()}"))
        if placement and not writer.left_out:
            note(f"--placement {placement} changes nothing: every row of the log names its own")
        os.set_inheritable(policies.fileno(), True)
        become("evaluate", *where.arguments(), "--policies", f"/dev/fd/{policies.fileno()}", *options)


def _see_placement(strategy: Strategy, placement: str) -> None:
    """Raise `Failed` for a placement that no channel of a strategy has."""
    known = dict.fromkeys(one for channel in strategy.channels for one in channel.placements)
    if placement and placement not in known:
        raise Failed(f"--placement: the strategy has no {placement!r}; it has {', '.join(known)}", 2)


def _compute(
    where: Where,
    folder: Path,
    writer: Writer,
    out: Path,
) -> None:
    from service.evaluating.cells import LogRefused

    try:
        with log_of(where, folder) as log, progress("what the arms would say", log.count(), "decisions") as bar:
            writer.write(log, out, bar.on)
    except LogRefused as refused:
        raise Failed(str(refused)) from None


@contextmanager
def log_of(where: Where, folder: Path) -> Iterator[Log]:
    """Open a log; raise `Failed` where it is not named as it must be."""
    from service.evaluating.rows import LinesLog, TableLog, files_of

    if (where.log is None) == (where.decisions is None):
        raise Failed("name the log either with --log or with --decisions", 2)
    if where.log is not None:
        yield TableLog(files_of(where.log))
        return
    if where.decisions is None or where.events is None:
        raise Failed("name the events with --events: they tell what was known at each decision", 2)
    with tempfile.TemporaryDirectory(prefix="tact-known-") as made:
        known = Path(made) / "known.csv"
        _see(folder, where.events, where.decisions, known)
        yield LinesLog(where.decisions, known)


def _see(strategy: Path, events: Path, decisions: Path, out: Path) -> None:
    """Compute what was known at each decision, in a process of its own."""
    import asyncio

    from service.children import run_module

    asked = {"--strategy": strategy, "--events": events, "--moments": decisions, "--out": out}
    words = [str(word) for pair in asked.items() for word in pair]
    ended = asyncio.run(run_module("training", ["features", *words, "--json"], shown=True))
    if ended.code:
        raise Failed(ended.last_words)


def loaded(folder: Path, model: Path | None) -> tuple[Strategy, Folded | None]:
    """Load a strategy, and a model for it; raise `Failed` in words."""
    from models.artifacts import ArtifactRefused, load_folded
    from models.documents import DocumentsRefused
    from models.features import FeatureSpace
    from service.core.loader import load_strategy

    try:
        strategy = load_strategy(folder)
        space = FeatureSpace.of(strategy.schema, strategy.features)
        return strategy, load_folded(model, space) if model else None
    except DocumentsRefused as refused:
        first = refused.problems[0]
        raise Failed(f"{first.file}:{first.line}: {first.message}; see all with `tact check {folder}`") from None
    except ArtifactRefused as refused:
        raise Failed(str(refused)) from None
