"""`tact train`, `tact train-predictions` and `tact verify`: this process becomes the training.

Serving never imports scikit-learn.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from service.children import surroundings
from service.cli.options import Json, example
from service.config import DEFAULT_STRATEGY

TRAIN_EXAMPLE = example("tact train --events events.jsonl --decisions decisions.jsonl --out data/models")
PREDICTIONS_EXAMPLE = example("tact train-predictions --events events.jsonl --out data/models")
VERIFY_EXAMPLE = example("tact verify data/models/demo/3f9a0c11d2e4")


def train(
    events: Annotated[Path, typer.Option(metavar="FILE", help="Events, .jsonl or .jsonl.gz.", show_default=False)],
    decisions: Annotated[
        Path, typer.Option(metavar="FILE", help="Logged decisions, .jsonl or .jsonl.gz.", show_default=False)
    ],
    strategy: Annotated[Path, typer.Option(metavar="DIR", help="The strategy's folder.")] = Path(DEFAULT_STRATEGY),
    out: Annotated[Path, typer.Option(metavar="DIR", help="The model goes to DIR/NAME/VERSION.")] = Path("data/models"),
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The model's name (the strategy's).")] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Equal inputs and seeds give equal versions.")] = 0,
    json: Json = False,
) -> None:
    """Learn from events and logged decisions how likely each action's outcome is, and write a new model version."""
    files = {"--strategy": strategy, "--events": events, "--decisions": decisions, "--out": out, "--seed": seed}
    words = [str(word) for pair in files.items() for word in pair]
    _become("fit", *words, *(("--name", name) if name else ()), *(("--json",) if json else ()))


def train_predictions(
    events: Annotated[Path, typer.Option(metavar="FILE", help="Events, .jsonl or .jsonl.gz.", show_default=False)],
    consents: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Learn only from those who agreed to it, by this file.")
    ] = None,
    strategy: Annotated[Path, typer.Option(metavar="DIR", help="The strategy's folder.")] = Path(DEFAULT_STRATEGY),
    out: Annotated[Path, typer.Option(metavar="DIR", help="Models go to DIR/NAME/VERSION.")] = Path("data/models"),
    seed: Annotated[int, typer.Option(metavar="N", help="Equal inputs and seeds give equal versions.")] = 0,
    json: Json = False,
) -> None:
    """Learn from events the predictions that a strategy declares, and write a new model version of each."""
    files = {"--strategy": strategy, "--events": events, "--out": out, "--seed": seed}
    words = [str(word) for pair in files.items() for word in pair]
    _become("predict", *words, *(("--consents", str(consents)) if consents else ()), *(("--json",) if json else ()))


def verify(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The folder of one version.", show_default=False)],
    json: Json = False,
) -> None:
    """Check that a model is what it says and that its arrays say what its estimators say; ends with 0 if so."""
    _become("verify", str(model), *(("--json",) if json else ()))


def _become(*arguments: str) -> NoReturn:
    command = [sys.executable, "-P", "-m", "training", *arguments]
    os.execve(command[0], command, surroundings())  # noqa: S606 - no shell is wanted
