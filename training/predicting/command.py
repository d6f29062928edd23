"""`python -m training predict`: its words on the command line, and how it says what it made."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

Report = dict[str, Any]

_TELLING = (
    "auc", "right", "right_of_the_commonest", "hits", "hits_of_the_commonest", "log_loss", "log_loss_of_the_rate",
    "calibration_error",
)  # fmt: skip


def add_to(
    commands: Any,  # noqa: ANN401  argparse has no public name for it
    seed: Callable[[str], int],
    names: Callable[[str], tuple[str, ...]],
) -> argparse.ArgumentParser:
    """Add the command to a parser's commands."""
    predict: argparse.ArgumentParser = commands.add_parser(
        "predict", help="make predictors from events", description=_predict.__doc__
    )
    predict.set_defaults(command=_predict, words=_words)
    predict.add_argument("--strategy", type=Path, required=True, metavar="DIR", help="the strategy's folder")
    predict.add_argument("--events", type=Path, required=True, metavar="FILE", help="events: .jsonl or .csv, or .gz")
    consents = "consents.jsonl; learn only from those who agreed to what is predicted (default: from everybody)"
    predict.add_argument("--consents", type=Path, metavar="FILE", help=consents)
    out = Path("models", "artifacts")
    predict.add_argument("--out", type=Path, default=out, metavar="DIR", help=f"artefacts: DIR/NAME/VERSION ({out})")
    predict.add_argument("--fields", type=names, default=(), metavar="A,B", help="only these (default: all predicted)")
    predict.add_argument("--seed", type=seed, default=0, metavar="N", help="equal inputs and seeds: equal versions (0)")
    return predict


def _predict(asked: argparse.Namespace) -> Report:
    """Learn the predictions that a strategy declares; write a version of each and print how good it is."""
    from ..progress import progress
    from .fit import Order, predict

    order = Order(asked.strategy, asked.events, asked.consents, asked.out, asked.fields, asked.seed)
    with progress() as bars:
        made, left_out = predict(order, bars)
    predictors = [{"artifact": str(one.place), **msgspec.to_builtins(one.manifest)} for one in made]
    return {"predictors": predictors, "left_out": left_out}


def _words(report: Report) -> str:
    lines: list[str] = []
    for one in report["predictors"]:
        lines.append(f"{one['version']} predicts {one['field']} and is in {one['artifact']}")
        metrics = one["metrics"]
        figures = [
            f"{name.replace('_', ' ')} {metrics[name]:.4f}" for name in _TELLING if metrics.get(name) is not None
        ]
        if figures:
            lines.append(f"  on the latest {metrics['rows']:,} rows: {', '.join(figures)}")
    lines += [f"without a predictor: {field} ({why})" for field, why in report["left_out"].items()]
    return "\n".join(lines)
