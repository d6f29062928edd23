"""`tact simulate`: what another strategy would have said in logged decisions, who would get something else, and why.

The decisions are made again here, by the engine that serves, on all cores; what that is worth is computed by the
training, in a process of its own, and so is the page.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from models.files import unwritable
from service.cli.evaluate import Where, loaded, log_of
from service.cli.options import Json, as_of_moment, example
from service.cli.output import Failed, progress, say, say_json
from service.cli.simulated import cleared_up, source
from service.config import DEFAULT_STRATEGY

if TYPE_CHECKING:
    from models.context import ValueType
    from models.propensity import Folded
    from service.core.strategy import Strategy
    from service.evaluating.rows import Log
    from service.simulating.gate import Condition
    from service.simulating.spread import Spread, Window
    from service.simulating.tally import Tally

EXAMPLE = example(
    'tact simulate --strategy strategies/demo --log data/log --fail-if "changed > 20%" --report page.html'
)
GATE_FAILED = 4
"""How the process ends where a condition of `--fail-if` holds."""

_File = Path | None


@dataclass(frozen=True, slots=True)
class Asked:
    """What is simulated: a strategy and its model, against another or what the log said, on which decisions."""

    strategy: Path
    model: Path | None
    against: Path | None
    against_model: Path | None
    where: Where
    groups: tuple[str, ...]
    jobs: int
    method: str
    worth: str
    memory: str


def simulate(
    strategy: Annotated[Path, typer.Option(metavar="DIR", help="The strategy to try.")] = Path(DEFAULT_STRATEGY),
    model: Annotated[_File, typer.Option(metavar="DIR", help="Its model (default: priors).")] = None,
    log: Annotated[
        _File, typer.Option(metavar="DIR", help="The log: the folder of `tact log export`, or one file.")
    ] = None,
    target: Annotated[str, typer.Option(metavar="HOST:PORT", help="Read the log of the service there instead.")] = "",
    population: Annotated[
        int, typer.Option(metavar="N", min=0, help="Instead, N customers of the demo population, and its pilot.")
    ] = 0,
    decisions: Annotated[_File, typer.Option(metavar="FILE", help="Instead, decisions.jsonl (or .gz).")] = None,
    events: Annotated[_File, typer.Option(metavar="FILE", help="Their events, for what was known.")] = None,
    begin: Annotated[str, typer.Option("--from", metavar="TIME", help="Only decisions from this moment on.")] = "",
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="Only decisions before this moment.")] = "",
    against: Annotated[
        _File, typer.Option(metavar="DIR", help="Compare with this strategy (default: with what the log said).")
    ] = None,
    against_model: Annotated[_File, typer.Option(metavar="DIR", help="Compare with this model.")] = None,
    groups: Annotated[str, typer.Option(metavar="A,B", help="Fields to show effects on groups by.")] = "",
    fail_if: Annotated[
        list[str] | None, typer.Option("--fail-if", metavar="CONDITION", help='End with 4 if, as in "changed > 20%".')
    ] = None,
    no_value: Annotated[bool, typer.Option("--no-value", help="Leave out what it is worth.")] = False,
    worth: Annotated[str, typer.Option(metavar="A=1,B=-1", help="What a decision earns (as declared).")] = "",
    method: Annotated[str, typer.Option(metavar="M", help="What the value rests on: dr, snips or ips.")] = "dr",
    jobs: Annotated[int, typer.Option(metavar="N", min=0, help="So many processes (default: one a core).")] = 0,
    memory: Annotated[str, typer.Option(metavar="SIZE", help="What valuing may take, such as 4GB (2GB).")] = "",
    report: Annotated[_File, typer.Option(metavar="FILE", help="Write a page with charts as one HTML file.")] = None,
    json: Json = False,
) -> None:
    """Decide logged decisions again under another strategy: who gets something else, from what to what, what it is
    worth, the pressure on caps and supply, who loses every offer and why, and effects by groups.
    """
    from service.evaluating.cells import LogRefused
    from service.simulating.gate import GateRefused
    from service.simulating.running import SimulationFailed

    fields = tuple(dict.fromkeys(filter(None, (one.strip() for one in groups.split(",")))))
    if why := unwritable(report):
        raise Failed(f"--report: {why}", 2)
    window = _window(begin, end)
    own = loaded(strategy, model)
    rival = loaded(against or strategy, against_model) if against or against_model else None
    _see_words(own[0], strategy, fields, worth, method, memory)
    conditions = _conditions(own[0], fields, fail_if or [], no_value)
    with cleared_up() as folder:
        where = source(Where(log, decisions, events), target, population, strategy, folder)
        asked = Asked(strategy, model, against, against_model, where, fields, jobs, method, worth, memory)
        try:
            told = _simulated(asked, own, rival, window, folder, no_value, conditions)
            _end(told, conditions, report, json, folder)
        except GateRefused as refused:
            raise Failed(f"--fail-if: {refused}", 2) from None
        except (LogRefused, SimulationFailed) as refused:
            raise Failed(str(refused)) from None


def _simulated(
    asked: Asked,
    own: tuple[Strategy, Folded | None],
    rival: tuple[Strategy, Folded | None] | None,
    window: Window,
    folder: Path,
    no_value: bool,
    conditions: list[Condition],
) -> dict[str, Any]:
    """Return everything that a simulation tells, but for its gate."""
    from service.simulating.telling import document
    from service.simulating.valuing import NOT_ASKED, valued

    with log_of(asked.where, asked.strategy) as log:
        spread, tally, left_out = _decided(asked, own, rival, log, window, folder, conditions)
    told = document(tally, spread, asked.groups, _about(own, rival))
    told["notes"] = _notes(own[0], spread, rival is not None, left_out)
    told["value"] = NOT_ASKED if no_value else valued(_words(asked, window, folder), rival is not None)
    return told


def _decided(
    asked: Asked,
    own: tuple[Strategy, Folded | None],
    against: tuple[Strategy, Folded | None] | None,
    log: Log,
    window: Window,
    folder: Path,
    conditions: list[Condition],
) -> tuple[Spread, Tally, tuple[str, ...]]:
    """Decide a log again; return what was read and counted, and the columns that have another type."""
    from service.simulating.gate import see_channels
    from service.simulating.running import simulated
    from service.simulating.segments import segments
    from service.simulating.spread import spread
    from service.simulating.worker import Plan

    log, kinds, left_out = _readable(log, own[0])
    with progress("reading the log", log.count(), "rows") as bar:
        found = spread(log, kinds, window, folder, bar.on)
    compared = (own[0], against[0]) if against else (own[0],)
    see_channels(conditions, found.channels | {channel.id for one in compared for channel in one.channels})
    divided = segments(own[0].schema, (*asked.groups, *own[0].features), found.sample)
    rival = str(asked.against or asked.strategy) if asked.against or asked.against_model else ""
    models = (str(asked.model or ""), str(asked.against_model or ""))
    plan = Plan(str(asked.strategy), models[0], (rival, models[1]), divided, tuple(sorted(found.told)))
    with progress("deciding again", len(found.parts), "rows") as bar:
        tally = simulated(plan, found.parts, asked.jobs or os.cpu_count() or 1, folder, bar.on)
    return found, tally, left_out


def _readable(log: Log, strategy: Strategy) -> tuple[Log, dict[str, ValueType], tuple[str, ...]]:
    """Return a log with all that is read of it, the columns of fields by type, and those that have another type."""
    from models.decision_table import feature_column
    from service.evaluating.rows import TableLog
    from service.simulating.logged import SEEN

    kinds = {feature_column(field.id): field.type for field in strategy.schema.fields}
    if not isinstance(log, TableLog):
        return log, kinds, ()
    left_out = log.otherwise(kinds)
    left = {name: kind for name, kind in kinds.items() if name not in left_out}
    return replace(log, also=(SEEN,)), left, left_out


def _about(own: tuple[Strategy, Folded | None], rival: tuple[Strategy, Folded | None] | None) -> dict[str, Any]:
    return {
        "strategy": own[0].version,
        "model": own[1].version if own[1] else "",
        "before": rival[0].version if rival else "what the log said",
        "before_model": rival[1].version if rival and rival[1] else "",
        "currency": own[0].currency,
    }


def _notes(strategy: Strategy, spread: Spread, compared: bool, left_out: tuple[str, ...]) -> list[str]:
    """Return what the log does not tell, in sentences: a simulation knows no more than it."""
    notes = []
    if spread.unseen:
        notes.append(
            f"{spread.unseen:,} rows do not tell caps, refusals, promises and permission as they were: it is "
            "taken that nothing was used up or promised before the window, and that contact was permitted"
        )
    if spread.undrawn and not compared:
        notes.append(
            f"{spread.undrawn:,} rows do not tell their dice: what was said then is compared with the best that "
            "would be said now; --against compares like with like"
        )
    if left_out:
        notes.append(f"of another type in the log, and so unknown: {', '.join(left_out)}")
    if gone := sorted(spread.levels - {level.id for level in strategy.levels} - {""}):
        notes.append(f"decided at the lowest consent level, for the strategy has no {', '.join(gone)}")
    return notes


def _words(asked: Asked, window: Window, folder: Path) -> list[str]:
    """Return the command by which the training values the policies."""
    fixed = {"--strategy": asked.strategy, "--policies": folder / "policies.parquet", "--method": asked.method}
    said = {
        "--worth": asked.worth,
        "--memory": asked.memory,
        "--from-ms": window.from_ms,
        "--until-ms": window.until_ms,
    }
    words = ["evaluate", *asked.where.arguments(), *(str(word) for pair in fixed.items() for word in pair), "--json"]
    words += [str(word) for name, value in said.items() if value not in ("", None) for word in (name, value)]
    return words + [word for path in (asked.model, asked.against_model) if path for word in ("--model", str(path))]


def _end(told: dict[str, Any], conditions: list[Condition], report: Path | None, json: bool, folder: Path) -> None:
    """Tell what was found; raise `Failed` where a condition says that a release fails."""
    import msgspec

    from service.simulating.gate import check
    from service.simulating.telling import gate_in_words, in_words
    from service.simulating.valuing import drawn

    checked = check(conditions, told)
    told["gate"] = [msgspec.to_builtins(one) for one in checked]
    told["passed"] = not any(one.failed for one in checked)
    told["report"] = str(report) if report else ""
    if report is not None:
        drawn(told, report, folder)
    if json:
        say_json(told)
    else:
        for line in (*in_words(told), *gate_in_words(told)):
            say(line)
    if not told["passed"]:
        failed = "; ".join(one.condition for one in checked if one.failed)
        raise Failed(f"--fail-if: {failed}", GATE_FAILED)


def _window(begin: str, end: str) -> Window:
    from service.simulating.spread import Window

    ends = [as_of_moment(text or None) for text in (begin, end)]
    if ends[0] and ends[1] and ends[0] >= ends[1]:
        raise Failed("--from is not before --to; there is nothing between them", 2)
    return Window(*(_ms(moment) for moment in ends))


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)


def _see_words(strategy: Strategy, folder: Path, groups: tuple[str, ...], worth: str, method: str, memory: str) -> None:
    """Raise `Failed` for what cannot be meant, before anything long begins."""
    from service.evaluating.asked import memory_wrong, wrong
    from service.simulating.segments import GROUPED

    fields = {field.id: field.type for field in strategy.schema.fields}
    for field in groups:
        if field not in fields:
            raise Failed(f"--groups: there is no field {field!r}; there are {', '.join(fields)}", 2)
        if fields[field] not in GROUPED:
            can = ", ".join(name for name, kind in fields.items() if kind in GROUPED)
            raise Failed(f"--groups: {field} is of type {fields[field].value}, which makes no groups; name {can}", 2)
    if why := wrong(strategy, folder, worth, "", method):
        raise Failed(why, 2)
    if why := memory_wrong(memory):
        raise Failed(f"--memory: {why}", 2)


def _conditions(strategy: Strategy, groups: tuple[str, ...], texts: list[str], no_value: bool) -> list[Condition]:
    """Read the conditions; which channels there are is known with the log."""
    from service.simulating.gate import VALUES, GateRefused, condition

    try:
        found = [condition(text, None, groups, [cap.id for cap in strategy.caps]) for text in texts]
    except GateRefused as refused:
        raise Failed(f"--fail-if: {refused}", 2) from None
    if no_value and any(one.name in VALUES for one in found):
        raise Failed("--fail-if: with --no-value nothing is valued; leave one of them out", 2)
    return found
