"""`tact train`, `tact train-predictions` and `tact verify`: this process becomes the training.

Serving never imports scikit-learn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli.becoming import become
from service.cli.options import Json, example
from service.config import DEFAULT_STRATEGY

TRAIN_EXAMPLE = example("tact train --log data/log --out data/models")
PREDICTIONS_EXAMPLE = example("tact train-predictions --events events.jsonl --out data/models")
VERIFY_EXAMPLE = example("tact verify data/models/demo/3f9a0c11d2e4")


def train(
    log: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A table of decisions: a folder of parts, .parquet or .csv.")
    ] = None,
    events: Annotated[Path | None, typer.Option(metavar="FILE", help="Events, .jsonl or .jsonl.gz.")] = None,
    decisions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Logged decisions instead of a log, .jsonl or .jsonl.gz.")
    ] = None,
    strategy: Annotated[Path, typer.Option(metavar="DIR", help="The strategy's folder.")] = Path(DEFAULT_STRATEGY),
    out: Annotated[Path, typer.Option(metavar="DIR", help="The model goes to DIR/NAME/VERSION.")] = Path("data/models"),
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The model's name (the strategy's).")] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Equal inputs and seeds give equal versions.")] = 0,
    features: Annotated[
        str, typer.Option(metavar="A,B", help="Try these fields instead of the strategy's features.")
    ] = "",
    forests: Annotated[int, typer.Option(metavar="N", help="At most N forests of trees serve; 0: none.")] = 8,
    memory: Annotated[str, typer.Option(metavar="SIZE", help="What the process may take, such as 2GB.")] = "2GB",
    dask: Annotated[str | None, typer.Option(metavar="WHERE", help="Read on Dask: tcp://HOST:PORT or local:2.")] = None,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Take outcomes that may still come as if they did not.")
    ] = False,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write an HTML page of what was learned.")] = None,
    json: Json = False,
) -> None:
    """Learn from a log, or events and decisions, how likely each action's outcome is; write a new model version."""
    options = {
        "--strategy": strategy, "--log": log, "--events": events, "--decisions": decisions, "--out": out,
        "--seed": seed, "--name": name, "--features": features, "--forests": forests, "--memory": memory,
        "--dask": dask, "--report": report,
    }  # fmt: skip
    words = [str(word) for pair in options.items() if pair[1] not in (None, "") for word in pair]
    become("fit", *words, *(("--unfinished",) if unfinished else ()), *(("--json",) if json else ()))


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
    become("predict", *words, *(("--consents", str(consents)) if consents else ()), *(("--json",) if json else ()))


def verify(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The folder of one version.", show_default=False)],
    json: Json = False,
) -> None:
    """Check that a model is what it says and that its arrays say what its estimators say; ends with 0 if so."""
    become("verify", str(model), *(("--json",) if json else ()))
