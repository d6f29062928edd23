"""`python -m training drift` and `recalibrate`: their words on the command line, and how they say what they found."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .version import Recalibrated
    from .watching import Found, Order, Watched

Report = dict[str, Any]


def add_to(
    commands: Any,  # noqa: ANN401  argparse has no public name for it
    seed: Callable[[str], int],
    names: Callable[[str], tuple[str, ...]],
) -> tuple[argparse.ArgumentParser, ...]:
    """Add the commands to a parser's commands."""
    drift: argparse.ArgumentParser = commands.add_parser(
        "drift", help="tell whether the world moved away from a model", description=_drift.__doc__
    )
    drift.set_defaults(command=_drift, words=_drift_words)
    mend: argparse.ArgumentParser = commands.add_parser(
        "recalibrate", help="put a model's probabilities right on recent outcomes", description=_recalibrate.__doc__
    )
    mend.set_defaults(command=_recalibrate, words=_recalibrate_words)
    for command in (drift, mend):
        command.add_argument("model", type=Path, metavar="ARTIFACT", help="the folder of a version")
        command.add_argument("--strategy", type=Path, required=True, metavar="DIR", help="the strategy's folder")
        command.add_argument("--log", type=Path, metavar="DIR", help="a table of decisions: a folder, .parquet or .csv")
        command.add_argument("--events", type=Path, metavar="FILE", help="events.jsonl or events.jsonl.gz")
        command.add_argument("--decisions", type=Path, metavar="FILE", help="decisions.jsonl or .jsonl.gz")
        since = "decisions after this moment are recent (default: after those that the model learned from)"
        command.add_argument("--since", metavar="MOMENT", help=since)
        command.add_argument("--memory", metavar="SIZE", help="what the process may take (1GB)")
        command.add_argument("--report", type=Path, metavar="FILE", help="write what was found as an HTML page, too")
    first = "decisions before this moment are left out (default: none)"
    drift.add_argument("--from", dest="first", metavar="MOMENT", help=first)
    mend.set_defaults(first=None)
    out = Path("models", "artifacts")
    mend.add_argument("--out", type=Path, default=out, metavar="DIR", help=f"the version is DIR/NAME/VERSION ({out})")
    mend.add_argument("--window", type=_rows, default=2000, metavar="N", help="recent outcomes that teach (2000)")
    mend.add_argument("--slope-only", action="store_true", help="leave the weights; slope and offset alone")
    mend.add_argument("--always", action="store_true", help="do it without an alarm, too, if it is an improvement")
    return drift, mend


def _rows(text: str) -> int:
    if not text.isdecimal() or not 200 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no window; write a number of outcomes from 200 to 1000000")
    return int(text)


def _drift(asked: argparse.Namespace) -> Report:
    """Compare what a model saw and said since it was trained with what it learned from; say what moved, and why."""
    from ..progress import progress
    from .told import plain
    from .watching import look, watched

    with progress() as bars:
        one = watched(_order(asked), bars)
    seen = look(one.past, one.recent)
    return plain(one, seen) | _reported(asked, one, seen, None)


def _recalibrate(asked: argparse.Namespace) -> Report:
    """Put a model's probabilities right on recent outcomes, as a version of its own, if an alarm asks for it."""
    import msgspec

    from ..progress import progress
    from .repair import Reach
    from .told import plain
    from .version import Wish, recalibrated
    from .watching import RECALIBRATED

    reach = Reach(window=asked.window, weights=not asked.slope_only)
    with progress() as bars:
        made = recalibrated(Wish(_order(asked), asked.out, reach, asked.always), bars)
    report = plain(made.watched, made.found) | _reported(asked, made.watched, made.found, made)
    if made.manifest is None:
        return report | {"why": made.why}
    told = msgspec.to_builtins(made.manifest)
    told[RECALIBRATED] = told["learning"][RECALIBRATED]
    return report | {
        "artifact": str(made.place),
        **{key: told[key] for key in ("version", "of", "metrics", RECALIBRATED)},
    }


def _order(asked: argparse.Namespace) -> Order:
    from ..errors import AskedWrongly
    from ..learning.source import Source
    from ..log.memory import memory_of
    from .watching import Order, moment

    try:
        memory = memory_of(asked.memory or "1GB")
    except ValueError as error:
        raise AskedWrongly(f"--memory: {error}") from None
    source = Source(asked.log, asked.events, asked.decisions, memory)
    since, first = (None if text is None else moment(text) for text in (asked.since, asked.first))
    return Order(asked.strategy, asked.model, source, since, first)


def _reported(asked: argparse.Namespace, one: Watched, seen: Found, made: Recalibrated | None) -> Report:
    if not asked.report:
        return {}
    from ..report.page import write_report
    from .told import report_of

    write_report(asked.report, report_of(one, seen, made))
    return {"report": str(asked.report)}


def _drift_words(report: Report) -> str:
    from .told import words

    return "\n".join([*words(report), *([f"the report is in {report['report']}"] if "report" in report else [])])


def _recalibrate_words(report: Report) -> str:
    from .told import made_words

    return "\n".join([_drift_words(report), *made_words(report)])
