"""`python -m training promote`: the gate, on the policies and cases that the service has decided."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Report = dict[str, Any]


def add_to(
    commands: Any,  # noqa: ANN401  argparse has no public name for it
    seed: Callable[[str], int],
    names: Callable[[str], tuple[str, ...]],
) -> argparse.ArgumentParser:
    """Add the command to a parser's commands."""
    promote: argparse.ArgumentParser = commands.add_parser(
        "promote", help="make a model the champion, through the gate", description=_promote.__doc__
    )
    promote.set_defaults(command=_promote, words=words)
    promote.add_argument("challenger", type=Path, metavar="ARTIFACT", help="the folder of the version to promote")
    promote.add_argument("--champion", type=Path, metavar="ARTIFACT", help="the version in force (none: priors)")
    promote.add_argument("--strategy", type=Path, required=True, metavar="DIR", help="the strategy's folder")
    log = promote.add_mutually_exclusive_group(required=True)
    log.add_argument("--log", type=Path, metavar="DIR", help="a log as a table: the folder of its parts, or a file")
    log.add_argument("--decisions", type=Path, metavar="FILE", help="a log as decisions.jsonl or decisions.jsonl.gz")
    promote.add_argument("--events", type=Path, metavar="FILE", help="events: .jsonl or .csv, or .gz")
    both = "what both would say, as the service computes it of the same log"
    promote.add_argument("--policies", type=Path, required=True, metavar="FILE", help=both)
    promote.add_argument("--rival", type=Path, required=True, metavar="FILE", help="the champion's, by itself")
    promote.add_argument("--looked", default="{}", metavar="JSON", help="cases and objections the service found")
    promote.add_argument("--worth", metavar="A=1,B=-1", help="what decisions earn (as declared)")
    promote.add_argument("--groups", type=names, default=(), metavar="A,B", help="features to look at fairness by")
    promote.add_argument("--fairness-seen", default="", metavar="CODE", help="the code of the table looked at")
    promote.add_argument("--fairness-gap", type=float, metavar="X", help="or: the widest gap that is allowed")
    promote.add_argument("--tolerances", default="", metavar="A=X,…", help="log_loss, calibration, value")
    promote.add_argument("--report", type=Path, metavar="FILE", help="write a report as one HTML file")
    promote.add_argument("--by", default="", metavar="NAME", help="who does it")
    promote.add_argument("--memory", metavar="SIZE", help="what the process may take (2GB)")
    promote.add_argument("--seed", type=seed, default=0, metavar="N", help="the seed of the draws (0)")
    return promote


def add_shadow_to(commands: Any) -> argparse.ArgumentParser:  # noqa: ANN401  argparse has no public name for it
    """Add the comparison by the log to a parser's commands."""
    shadow: argparse.ArgumentParser = commands.add_parser(
        "shadow", help="compare a challenger with the champion by the log", description=_shadow.__doc__
    )
    shadow.set_defaults(command=_shadow, words=shadow_words)
    shadow.add_argument("--strategy", type=Path, required=True, metavar="DIR", help="the strategy's folder")
    shadow.add_argument("--log", type=Path, required=True, metavar="DIR", help="a log as a table")
    shadow.add_argument("--challenger", default="", metavar="VERSION", help="which one (the most frequent)")
    shadow.add_argument("--memory", metavar="SIZE", help="what the process may take (2GB)")
    return shadow


def _shadow(asked: argparse.Namespace) -> Report:
    """Compare what a challenger and the champion forecast for what was said, and how often they agreed."""
    from ..progress import progress
    from .shadows import compared

    with progress() as bars:
        return compared(asked.strategy, asked.log, asked.challenger, _memory(asked.memory), bars)


def shadow_words(report: Report) -> str:
    """Return what a person reads."""
    said = f"{report['challenger']} beside {', '.join(report['champions']) or 'nobody'}"
    agrees = _share(report["agreement"])
    told = [
        f"{said}: {report['decisions']:,} times something was said; it would have said the same first with {agrees}"
    ]
    for name, says in (("log_loss", "log loss"), ("calibration_error", "calibration error")):
        found = report[name]
        if found is not None:
            told.append(
                f"  {says} {found['challenger']:.4f} against {found['champion']:.4f}, difference "
                f"{found['difference']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]: {_verdict(found)}"
            )
    if report["log_loss"] is None:
        told.append(f"  {report['outcomes']:,} outcomes are known, which is too few to compare forecasts by")
    return "\n".join(told)


def _verdict(found: Report) -> str:
    if found["high"] is not None and found["high"] < 0.0:
        return "better"
    return "worse" if found["low"] is not None and found["low"] > 0.0 else "no difference that the interval shows"


def _promote(asked: argparse.Namespace) -> Report:
    """Measure a version against the champion on what neither learned from; crown it only if every criterion passes."""
    from ..progress import progress
    from .promotion import Looked, Order, promoted

    told = json.loads(asked.looked)
    looked = Looked(
        told.get("cases", 0), tuple(told.get("wrong", ())), told.get("decisions", 0), tuple(told.get("objections", ()))
    )
    order = Order(
        strategy=asked.strategy,
        challenger=asked.challenger,
        champion=asked.champion,
        policies=asked.policies,
        rival=asked.rival,
        log=asked.log,
        events=asked.events,
        decisions=asked.decisions,
        looked=looked,
        worth=_factors(asked.worth, "--worth") if asked.worth else None,
        groups=asked.groups,
        seen=asked.fairness_seen,
        largest_gap=asked.fairness_gap,
        tolerances=_tolerances(asked.tolerances),
        by=asked.by,
        report=asked.report,
        memory=_memory(asked.memory),
        seed=asked.seed,
    )
    with progress() as bars:
        return promoted(order, bars)


def _factors(text: str, option: str) -> dict[str, float]:
    from ..errors import AskedWrongly

    try:
        pairs = [part.split("=") for part in text.split(",")]
        return {name.strip(): float(factor) for name, factor in pairs}
    except ValueError:
        raise AskedWrongly(f"{option}: {text!r} is no list of numbers; write it as in a=0.3,b=-1") from None


def _tolerances(text: str) -> Any:  # noqa: ANN401  imported late, as numpy is
    from ..errors import AskedWrongly
    from .gate import Tolerances

    found = _factors(text, "--tolerances") if text else {}
    known = Tolerances.__slots__
    if strange := [name for name in found if name not in known]:
        raise AskedWrongly(f"--tolerances: there is no {strange[0]!r}; there are {', '.join(known)}")
    if any(not 0.0 <= number < 10.0 for number in found.values()):
        raise AskedWrongly("--tolerances: write numbers from 0 to 10")
    return Tolerances(**found)


def _memory(text: str | None) -> int | None:
    from ..errors import AskedWrongly
    from ..log.memory import memory_of

    try:
        return memory_of(text) if text else None
    except ValueError as error:
        raise AskedWrongly(f"--memory: {error}") from None


def words(report: Report) -> str:
    """Return what a person reads."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    where = f"on {report['decisions']:,} decisions after {report['since']}"
    yield f"{report['version']} against {report['against']}, {where}"
    for one in report["criteria"]:
        yield f"  {'passed' if one['passed'] else 'FAILED'}  {one['name']}: {one['words']}"
    if report["fairness"]:
        yield f"fairness, table {report['fairness_code']} (forecast and rate of the outcome; share with anything said)"
    for group in report["fairness"]:
        rate, own, other = (_share(group[name]) for name in ("rate", "challenger", "champion"))
        said = f"says {_share(group['challenger_says'])} (champion {_share(group['champion_says'])})"
        rows = f"{group['decisions']:,} decisions"
        yield f"  {group['field']} = {group['group']}: {rows}, rate {rate}, forecast {own} (champion {other}), {said}"
    yield f"{report['version']} is the champion now" if report["passed"] else "not promoted; nothing has changed"


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
