"""`python -m training evaluate`: what a strategy and its rivals are worth by a log, from the policies on it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..learning.command import memory_size

Report = dict[str, Any]

_MOST_DRAWS = 100_000


def add_to(
    commands: Any,  # noqa: ANN401  argparse has no public name for it
    seed: Callable[[str], int],
    names: Callable[[str], tuple[str, ...]],
) -> argparse.ArgumentParser:
    """Add the command to a parser's commands."""
    evaluate: argparse.ArgumentParser = commands.add_parser(
        "evaluate", help="value policies by a log", description=_evaluate.__doc__
    )
    evaluate.set_defaults(command=_evaluate, words=_words)
    evaluate.add_argument("--strategy", type=Path, required=True, metavar="DIR", help="the strategy's folder")
    log = evaluate.add_mutually_exclusive_group(required=True)
    log.add_argument("--log", type=Path, metavar="DIR", help="a log as a table: the folder of its parts, or a file")
    log.add_argument("--decisions", type=Path, metavar="FILE", help="a log as decisions.jsonl or decisions.jsonl.gz")
    evaluate.add_argument("--events", type=Path, metavar="FILE", help="events: .jsonl or .csv, or .gz")
    policies = "what the arms would say, as the service computes it of the same log"
    evaluate.add_argument("--policies", type=Path, required=True, metavar="FILE", help=policies)
    models = "a model that decides in them: what it learned from is left out"
    evaluate.add_argument("--model", type=Path, action="append", default=[], metavar="ARTIFACT", help=models)
    kept = "value the decisions that a model learned from, too; then nothing is claimed"
    evaluate.add_argument("--also-learned-from", action="store_true", help=kept)
    evaluate.add_argument("--worth", type=worth_of, metavar="A=1,B=-1", help="what decisions earn (as declared)")
    evaluate.add_argument("--method", choices=("ips", "snips", "dr"), default="dr", help="what claims rest on (dr)")
    draws = "draw customers with replacement so often for the intervals (0: by their influence)"
    evaluate.add_argument("--bootstrap", type=_draws, default=0, metavar="N", help=draws)
    evaluate.add_argument("--groups", type=names, default=(), metavar="A,B", help="features to show fairness by")
    evaluate.add_argument("--memory", type=memory_size, metavar="SIZE", help="what the process may take (2GB)")
    dask = "read the log on a Dask cluster: tcp://HOST:PORT of a scheduler, or local:2 for two processes here"
    evaluate.add_argument("--dask", metavar="WHERE", help=dask)
    evaluate.add_argument("--report", type=Path, metavar="FILE", help="write a report as one HTML file")
    evaluate.add_argument("--seed", type=seed, default=0, metavar="N", help="the seed of the bootstrap (0)")
    for bound, which in (("--from-ms", "from this moment on"), ("--until-ms", "before this moment")):
        evaluate.add_argument(bound, type=int, metavar="MS", help=f"only decisions {which} (ms since 1970)")
    return evaluate


def worth_of(text: str) -> dict[str, float]:
    """Return the factors of a worth, as in spend=0.3,reward=-1."""
    try:
        pairs = [part.split("=") for part in text.split(",")]
        return {name.strip(): float(factor) for name, factor in pairs}
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no worth; write factors as in spend=0.3,reward=-1") from None


def _draws(text: str) -> int:
    if not text.isdecimal() or int(text) > _MOST_DRAWS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of draws; write one from 0 to {_MOST_DRAWS}")
    return int(text)


def _evaluate(asked: argparse.Namespace) -> Report:
    """Say what a strategy and its simple rivals are worth by a log, how sure that is, and where it cannot be known."""
    from ..progress import progress
    from .evaluating import Order, evaluated

    order = Order(
        strategy=asked.strategy,
        log=asked.log,
        events=asked.events,
        decisions=asked.decisions,
        policies=asked.policies,
        models=tuple(asked.model),
        also_learned_from=asked.also_learned_from,
        worth=asked.worth,
        method=asked.method,
        draws=asked.bootstrap,
        groups=asked.groups,
        memory=asked.memory,
        dask=asked.dask,
        report=asked.report,
        seed=asked.seed,
        within=(asked.from_ms, asked.until_ms),
    )
    with progress() as bars:
        return evaluated(order, bars)


def _words(report: Report) -> str:
    from .telling import in_words

    return in_words(report)
