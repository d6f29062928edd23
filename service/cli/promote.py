"""`tact promote`: what a challenger would do is decided here, by the engine that serves; the training judges it."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from models.files import unwritable
from service.cli.becoming import become
from service.cli.control import login
from service.cli.evaluate import Where, loaded, log_of
from service.cli.options import Json, example
from service.cli.output import Failed, note, progress, say, say_json
from service.cli.registry import Root
from service.config import DEFAULT_STRATEGY

if TYPE_CHECKING:
    from models.propensity import Folded
    from service.core.strategy import Strategy
    from service.evaluating.rows import Log

EXAMPLE = example("tact promote demo@3f9a0c11d2e4 --against champion --log data/log --groups past.tier")
CHAMPION, PRIORS = "champion", "priors"
_LOOKED_AT = 20_000
"""So many decisions of the log are looked at by the independent check; all of them are valued."""

_File = Path | None


@dataclass(frozen=True, slots=True)
class _Rivals:
    """The two to compare; without a champion its folder and model are unset, and the strategy's priors decide."""

    strategy: Strategy
    challenger: Folded
    champion: Folded | None
    place: Path
    champions: Path | None


def promote(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="NAME@DIGITS, as `tact models list` prints it.")],
    log: Annotated[
        _File, typer.Option(metavar="DIR", help="The log: the folder of `tact log export`, or one file.")
    ] = None,
    against: Annotated[str, typer.Option(metavar="champion|priors", help="What it must not be worse than.")] = CHAMPION,
    strategy: Annotated[Path, typer.Option(metavar="DIR", help="The strategy's folder.")] = Path(DEFAULT_STRATEGY),
    models: Root = Path("data/models"),
    groups: Annotated[
        str, typer.Option(metavar="A,B", help="Features that divide people, for the fairness table.")
    ] = "",
    fairness_seen: Annotated[str, typer.Option(metavar="CODE", help="The code of the fairness table looked at.")] = "",
    fairness_gap: Annotated[str, typer.Option(metavar="X", help="Or: the widest gap of forecast and rate.")] = "",
    tolerances: Annotated[
        str, typer.Option(metavar="A=X,…", help="How much worse is taken: log_loss=0.01,calibration=0.005,value=0.05.")
    ] = "",
    worth: Annotated[str, typer.Option(metavar="A=1,B=-1", help="What a decision earns (as declared).")] = "",
    decisions: Annotated[_File, typer.Option(metavar="FILE", help="The log as decisions.jsonl (or .gz).")] = None,
    events: Annotated[_File, typer.Option(metavar="FILE", help="Events, where the log lacks what was known.")] = None,
    memory: Annotated[str, typer.Option(metavar="SIZE", help="What measuring may take, such as 4GB (2GB).")] = "",
    report: Annotated[_File, typer.Option(metavar="FILE", help="Write a report as one HTML file.")] = None,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who does it (your login name).")] = None,
    back_because: Annotated[
        str, typer.Option("--back-because", metavar="TEXT", help="Go back to an earlier champion, ungated: why.")
    ] = "",
    json: Json = False,
) -> None:
    """Make a version the champion, if it is not worse than the one in force on decisions that neither learned from.

    The gate: it verifies; cases come out as they should and the independent check never objects; log loss, calibration
    and off-policy value are not worse; and somebody has looked at the fairness table.
    """
    who = login() if by is None else by
    place = _found(models, version)
    if back_because:
        _go_back(place, back_because, who, json)
        return
    if why := unwritable(report):
        raise Failed(f"--report: {why}", 2)
    where = Where(log, decisions, events)
    rivals = _rivals(strategy, place, against)
    said = {
        "--worth": worth, "--groups": groups, "--memory": memory, "--fairness-seen": fairness_seen,
        "--fairness-gap": fairness_gap, "--tolerances": tolerances, "--by": who, "--champion": rivals.champions,
        "--report": report,
    }  # fmt: skip
    options = [f"{name}={value}" for name, value in said.items() if value]
    with ExitStack() as opened:
        both, alone = (opened.enter_context(tempfile.TemporaryFile(prefix="tact-policies-")) for _ in range(2))
        tables = [f"/dev/fd/{file.fileno()}" for file in (both, alone)]
        looked = _looked(where, strategy, rivals, [Path(table) for table in tables])
        for file in (both, alone):
            os.set_inheritable(file.fileno(), True)
        options += ["--policies", tables[0], "--rival", tables[1], "--looked", looked, "--strategy", str(strategy)]
        become("promote", str(place), *where.arguments(), *options, *(("--json",) if json else ()))


def _found(root: Path, version: str) -> Path:
    from models.artifacts import ArtifactRefused
    from models.registry import NotInRegistry, found

    try:
        return found(root, version)
    except (NotInRegistry, ArtifactRefused) as refused:
        raise Failed(str(refused)) from None


def _rivals(folder: Path, place: Path, against: str) -> _Rivals:
    from models.artifacts import ArtifactRefused
    from models.registry import champion_of

    if against not in (CHAMPION, PRIORS):
        raise Failed(f"--against: {against!r}; write {CHAMPION}, or {PRIORS} where the champion is refused", 2)
    strategy, challenger = loaded(folder, place)
    if challenger is None:
        raise Failed(f"{place} holds no model")
    alone = _Rivals(strategy, challenger, None, place, None)
    try:
        champions = champion_of(place.parent)
    except ArtifactRefused as refused:
        raise Failed(str(refused)) from None
    if champions == place:
        raise Failed(f"{place.parent.name}@{place.name} is the champion already")
    if champions is None or against == PRIORS:
        return alone
    try:
        return replace(alone, champion=loaded(folder, champions)[1], champions=champions)
    except Failed as failed:
        raise Failed(f"the champion is refused: {failed.message}; compare with --against {PRIORS}") from None


def _looked(where: Where, folder: Path, rivals: _Rivals, tables: list[Path]) -> str:
    """Write what both would say on the log, run the cases, and let the independent check look at what is said."""
    import json

    from service.evaluating.cells import LogRefused
    from service.evaluating.policies import Writer

    told = _cases(folder, rivals)
    strategy, champion = rivals.strategy, rivals.champion
    writers = Writer(strategy, rivals.challenger, (strategy, champion)), Writer(strategy, champion, None)
    try:
        with log_of(where, folder) as log:
            for writer, table, who in zip(writers, tables, ("both", "the champion"), strict=True):
                with progress(f"what {who} would say", log.count(), "decisions") as bar:
                    writer.write(log, table, bar.on)
            told |= _objections(log, rivals)
    except LogRefused as refused:
        raise Failed(str(refused)) from None
    return json.dumps(told)


def _cases(folder: Path, rivals: _Rivals) -> dict[str, Any]:
    from models.documents import DocumentsRefused
    from service.cases.reader import read_cases
    from service.cases.runner import Runner
    from service.cases.verdict import verdict_on

    try:
        cases = read_cases(folder, rivals.strategy)
    except DocumentsRefused as refused:
        raise Failed(f"{refused.problems[0]}; see all with `tact check {folder} --cases`") from None
    runner = Runner(rivals.strategy, rivals.challenger)
    wrong = [case.says for case in cases if not verdict_on(case, runner, rivals.strategy).ok]
    return {"cases": len(cases), "wrong": wrong}


def _objections(log: Log, rivals: _Rivals) -> dict[str, Any]:
    from itertools import chain, islice

    from service.evaluating.arms import Arms
    from service.evaluating.rows import Reader

    arms, rows = Arms(rivals.strategy, rivals.challenger), Reader(rivals.strategy).rows(log)
    found = [arms.objections(row) for row in islice(chain.from_iterable(rows), _LOOKED_AT)]
    return {"decisions": len(found), "objections": [rule for rules in found for rule in rules][:1000]}


def _go_back(place: Path, because: str, who: str, json: bool) -> None:
    """Make a version the champion again that was one before: the gate let it through then."""
    from datetime import UTC, datetime

    from models.artifacts import ArtifactRefused, read_artifact
    from models.registry import champion_of, crown, promoting, promotions
    from models.registry import note as write

    home, version = place.parent, f"{place.parent.name}@{place.name}"
    try:
        read_artifact(place)
    except ArtifactRefused as refused:
        raise Failed(str(refused)) from None
    with promoting(home):
        if not any(one.get("version") == version and one.get("passed") for one in promotions(home)):
            raise Failed(f"{version} was never promoted, so there is no going back to it; let it through the gate")
        before = _named(home, champion_of)
        told = {"version": version, "against": before, "passed": True, "back_because": because, "by": who}
        told["at"] = datetime.now(UTC).isoformat(timespec="seconds")
        write(home, told)
        crown(place)
    say_json(told) if json else say(f"{version} is the champion again; it was {before}")


def _named(home: Path, champion_of: Any) -> str:  # noqa: ANN401 - imported late
    from models.artifacts import ArtifactRefused

    try:
        champion = champion_of(home)
    except ArtifactRefused as refused:
        note(str(refused))
        return ""
    return f"{home.name}@{champion.name}" if champion else ""
