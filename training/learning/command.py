"""`python -m training fit`: its words on the command line, and how it says what it made."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

Report = dict[str, Any]


def add_to(
    commands: Any,  # noqa: ANN401  argparse has no public name for it
    seed: Callable[[str], int],
    names: Callable[[str], tuple[str, ...]],
) -> argparse.ArgumentParser:
    """Add the command to a parser's commands."""
    fit: argparse.ArgumentParser = commands.add_parser(
        "fit", help="make a model from a log, or from events and decisions", description=_fit.__doc__
    )
    fit.set_defaults(command=_fit, words=_words)
    fit.add_argument("--strategy", type=Path, required=True, metavar="DIR", help="the strategy's folder")
    fit.add_argument("--log", type=Path, metavar="DIR", help="a table of decisions: a folder, .parquet or .csv")
    fit.add_argument("--events", type=Path, metavar="FILE", help="events.jsonl or events.jsonl.gz")
    fit.add_argument("--decisions", type=Path, metavar="FILE", help="decisions.jsonl or .jsonl.gz")
    out = Path("models", "artifacts")
    fit.add_argument("--out", type=Path, default=out, metavar="DIR", help=f"the artefact is DIR/NAME/VERSION ({out})")
    fit.add_argument("--name", metavar="N", help="the model's name (default: the strategy's)")
    fit.add_argument("--seed", type=seed, default=0, metavar="N", help="equal inputs and seeds: equal versions (0)")
    features = "try these instead of the strategy's features; what is made of them cannot serve"
    fit.add_argument("--features", type=names, default=(), metavar="A,B", help=features)
    fit.add_argument("--forests", type=_forests, default=8, metavar="N", help="at most N forests serve; 0: none (8)")
    memory = "what the process may take; of a log that does not fit, some customers are left out (2GB)"
    fit.add_argument("--memory", type=memory_size, default=None, metavar="SIZE", help=memory)
    dask = "read the log on a Dask cluster: tcp://HOST:PORT of a scheduler, or local:2 for two processes here"
    fit.add_argument("--dask", metavar="WHERE", help=dask)
    unfinished = "take decisions whose outcome may still come as if it did not"
    fit.add_argument("--unfinished", action="store_true", help=unfinished)
    fit.add_argument("--report", type=Path, metavar="FILE", help="write what was learned as an HTML page, too")
    return fit


def _forests(text: str) -> int:
    if not text.isdecimal() or int(text) > 64:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of forests; write one from 0 to 64")
    return int(text)


def memory_size(text: str) -> int:
    """Return the bytes that an argument names; raise `ArgumentTypeError` for what is no size."""
    from ..log.memory import memory_of

    try:
        return memory_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _fit(asked: argparse.Namespace) -> Report:
    """Learn, an action, how likely its outcome is; write a new version and print how good it is on the latest rows."""
    from ..fit import Order, fit
    from ..log.memory import DEFAULT_BYTES
    from ..progress import progress
    from .source import Source

    memory = asked.memory or DEFAULT_BYTES
    source = Source(asked.log, asked.events, asked.decisions, memory, asked.unfinished, asked.dask)
    order = Order(asked.strategy, source, asked.out, asked.name, asked.seed, asked.features, asked.forests)
    with progress() as bars:
        trained = fit(order, bars)
    if asked.report:
        from ..report.page import write_report
        from .told import report_of

        write_report(asked.report, report_of(trained))
    report = {"artifact": str(trained.place), **msgspec.to_builtins(trained.manifest)}
    return report | ({"report": str(asked.report)} if asked.report else {})


def _words(report: Report) -> str:
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    from ..uplift.telling import lines as worth_lines

    yield f"{report['version']} is in {report['artifact']}"
    for side, what in (("said", "models"), ("silent", "baselines")):
        metrics = report["metrics"].get(side, {"actions": {}, "all": None})
        figures = metrics["all"]
        seen = f"; on the latest rows {_figures(figures)}" if figures else ""
        yield f"{what}: {len(metrics['actions'])}{seen}"
    for action, how in report.get("learning", {}).get("said", {}).items():
        yield f"  {action}: {how['learner']}, from {how['from']} ({how['rows']:,} rows, {how['outcomes']:,} outcomes)"
        if "borrows" in how:
            yield f"    {how['borrows']}"
    yield from worth_lines(report)
    yield from (f"without a model, so with its prior: {action} ({why})" for action, why in report["left_out"].items())
    yield from (f"warning: {warning}" for warning in report.get("warnings", ()))
    if "report" in report:
        yield f"the report is in {report['report']}"


def _figures(figures: Report) -> str:
    auc = "no AUC" if figures["auc"] is None else f"AUC {figures['auc']:.3f}"
    loss = f"log loss {figures['log_loss']:.4f} against {figures['log_loss_of_the_rate']:.4f} for the plain rate"
    return f"{auc}, {loss}, calibration error {figures['calibration_error']:.4f} ({figures['rows']:,} rows)"
