"""`python -m training fit | predict | verify | features`: make a model from logged decisions, make predictors from
events, look at one before it serves, and tell what was known at moments of the past.

Results go to stdout (with `--json` as one object), progress and errors to stderr. Ends with 0, with 1 where something
was refused, with 2 where the command itself is wrong, and with 143 on SIGTERM, when nothing that was half done stays
behind.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import msgspec

from models.files import unwritable

from .drift import command as drifting
from .learning import command as learning
from .offpolicy import command as offpolicy
from .predicting import command as predicting
from .promoting import command as promoting
from .simulating import command as simulating
from .without import do_without

# Before numpy is imported: these models are small, and more threads would only take cores from the service.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

Report = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return how the process ends."""
    asked = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], Report] = asked.command
    if why := unwritable(getattr(asked, "report", None)):
        return _refused(f"--report: {why}", 2, asked.json)
    if arguments is None and not getattr(asked, "dask", None):  # a process of its own
        do_without()
    # Imported here, after the threads are bounded, and after --help has answered: it takes a second and more.
    from models.artifacts import ArtifactRefused

    from .errors import TrainingRefused

    try:
        report = command(asked)
    except (TrainingRefused, ArtifactRefused) as refused:
        return _refused(str(refused), getattr(refused, "code", 1), asked.json)
    sys.stdout.write(f"{json.dumps(report, sort_keys=True) if asked.json else asked.words(report)}\n")
    return 0 if report.get("passed", True) else 1


def _refused(why: str, code: int, as_json: bool) -> int:
    sys.stderr.writelines(f"tact: {line}\n" for line in why.splitlines())
    if as_json:
        sys.stdout.write(f"{json.dumps({'error': why})}\n")
    return code


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with a command in one line, as `tact` does, which hands its arguments on to this."""

    def error(self, message: str) -> NoReturn:
        """End with 2."""
        self.exit(2, f"tact: {' '.join(message.split())}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m training", description="Train and verify propensity models.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    fit = learning.add_to(commands, _seed, _names)
    verify = commands.add_parser("verify", help="look at a model before it serves", description=_verify.__doc__)
    verify.set_defaults(command=_verify, words=_verify_words)
    which = verify.add_mutually_exclusive_group(required=True)
    which.add_argument("artifact", type=Path, nargs="*", default=[], metavar="ARTIFACT", help="a version's folder")
    waiting = "verify what stdin names, a JSON text a line, and answer each with a line of JSON, until it ends"
    which.add_argument("--waiting", action="store_true", help=waiting)
    features = commands.add_parser("features", help="tell what was known then", description=_features.__doc__)
    features.set_defaults(command=_features, words=_features_words)
    features.add_argument("--strategy", type=Path, required=True, metavar="DIR", help="the strategy's folder")
    features.add_argument("--events", type=Path, required=True, metavar="FILE", help="events: .jsonl or .csv, or .gz")
    moments = "customer_id and at, and context where fields came with a request: .jsonl or .csv, or .gz"
    features.add_argument("--moments", type=Path, required=True, metavar="FILE", help=moments)
    features.add_argument("--out", type=Path, required=True, metavar="FILE", help="the table: .csv or .jsonl, or .gz")
    features.add_argument("--fields", type=_names, default=(), metavar="A,B", help="only these fields (default: all)")
    predict = predicting.add_to(commands, _seed, _names)
    evaluate = offpolicy.add_to(commands, _seed, _names)
    promote = promoting.add_to(commands, _seed, _names)
    shadow = promoting.add_shadow_to(commands)
    drift = drifting.add_to(commands, _seed, _names)
    page = simulating.add_to(commands)
    for command in (fit, verify, features, evaluate, promote, shadow, *drift, predict, page):
        command.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _seed(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; write a whole number of up to 9 digits")
    return int(text)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(filter(None, text.split(",")))
    if not names:
        raise argparse.ArgumentTypeError(f"{text!r} names no field; write one or more, as in A,B, or leave it out")
    return names


def _verify(asked: argparse.Namespace) -> Report:
    """Check that versions are what they say, hold nothing strange, and give what their estimators give."""
    found = [_verified(folder) for folder in asked.artifact]
    if asked.waiting:
        for line in sys.stdin:
            sys.stdout.write(f"{json.dumps(_answer(Path(json.loads(line))), sort_keys=True)}\n")
            sys.stdout.flush()
    return {"ok": True, **found[0]} if len(found) == 1 else {"ok": True, "verified": found}


def _verified(folder: Path) -> Report:
    from models.predictor_artifacts import is_predictor

    from .predicting.verification import verify_predictor
    from .verification import verify

    verified = (verify_predictor if is_predictor(folder) else verify)(folder)
    return {"artifact": str(folder), **msgspec.to_builtins(verified)}


def _answer(folder: Path) -> Report:
    """Return what is verified, or why it is refused: whoever waits for the next one is still asked."""
    from models.artifacts import ArtifactRefused

    try:
        return {"ok": True, **_verified(folder)}
    except ArtifactRefused as refused:
        return {"error": str(refused)}


def _features(asked: argparse.Namespace) -> Report:
    """Write a table of what was known of customers at moments: from the events strictly before each, as serving folds
    them. Consent is not looked at.
    """
    from .asof import Order, features
    from .progress import progress

    with progress() as bars:
        made = features(Order(asked.strategy, asked.events, asked.moments, asked.out, asked.fields), bars)
    return {"table": str(asked.out), **msgspec.to_builtins(made)}


def _features_words(report: Report) -> str:
    return (
        f"{report['rows']:,} rows of {len(report['fields'])} fields from {report['events']:,} events are in "
        f"{report['table']}"
    )


def _verify_words(report: Report) -> str:
    return "\n".join(
        f"{one['version']} may serve: arrays and estimators differ by at most {one['largest_difference']:.1e} "
        f"in probability on {one['rows']:,} rows"
        for one in report.get("verified", [report])
    )


def _exit() -> NoReturn:
    signal.signal(signal.SIGTERM, _ended)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        signal.signal(signal.SIGHUP, _ended)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)


def _ended(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # clearing up is not interrupted
    sys.exit(128 + number)


if __name__ == "__main__":
    _exit()
