"""`promote`: measure a challenger against the champion on what neither learned from, and crown it if the gate opens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from models.artifacts import ArtifactRefused, Manifest, load_folded, read_artifact
from models.features import FeatureSpace
from models.registry import champion_of, crown, note, promoting

from ..decisions import Decisions, Floats
from ..errors import AskedWrongly, TrainingRefused
from ..log.build import Order as LogOrder
from ..log.build import build
from ..log.memory import DEFAULT_BYTES
from ..offpolicy.estimates import Intervals, Method
from ..offpolicy.evaluation import Evaluated, summed
from ..offpolicy.policies import PolicyTable, read_policies, widened
from ..offpolicy.refusals import MOST_LACKING
from ..offpolicy.tally import Tally
from ..offpolicy.worths import Worths
from ..progress import started
from ..strategy import Declared, read_strategy
from ..unseen import seen_until
from ..verification import verify
from .fairness import Group, Sides, code_of, fairness_table
from .gate import Criterion, Tolerances, enough, fair, guarded, not_worse, value_not_worse
from .measures import Pair, calibration_errors, log_losses

Document = dict[str, Any]

PRIORS = "priors"
"""What a first model is compared with: the strategy without a model."""

_OWN, _RIVAL = "strategy", "against"
_AT_ONCE = 4_096


@dataclass(frozen=True, slots=True)
class Looked:
    """What the service saw when it decided cases and the log with the challenger: cases, those that came out otherwise,
    decisions looked at, and the rules by which the independent check objected, one an objection.
    """

    cases: int = 0
    wrong: tuple[str, ...] = ()
    decisions: int = 0
    objections: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """What to promote, against what, by which log, and what was agreed about it.

    `champion` is None where the strategy's priors decide. `policies` are those of the challenger beside the champion's,
    `rival` those of the champion, whose propensities are compared.
    """

    strategy: Path
    challenger: Path
    champion: Path | None
    policies: Path
    rival: Path
    log: Path | None = None
    events: Path | None = None
    decisions: Path | None = None
    looked: Looked = Looked()
    worth: Mapping[str, float] | None = None
    groups: tuple[str, ...] = ()
    seen: str = ""
    largest_gap: float | None = None
    tolerances: Tolerances = field(default_factory=Tolerances)
    by: str = ""
    report: Path | None = None
    memory: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Late:
    """The decisions after everything that both models learned from, and what both would do and forecast there."""

    since: str
    decisions: Decisions
    rows: np.ndarray[Any, np.dtype[np.int64]]
    table: PolicyTable
    sides: Sides

    @property
    def pair(self) -> Pair:
        """Both forecasts where the outcome of what was said is known."""
        sides = self.sides
        known = ~np.isnan(sides.outcome) & ~np.isnan(sides.challenger) & ~np.isnan(sides.champion)
        whose = self.decisions.customer[known]
        return Pair(sides.challenger[known], sides.champion[known], sides.outcome[known], whose)


def promoted(order: Order, bars: Progress) -> Document:
    """Measure, judge, write it down, and crown the challenger if all criteria pass; tell all of it.

    Raises `ArtifactRefused` for a version that may not serve at all, `TrainingRefused` for input that cannot be used.
    """
    verified = verify(order.challenger)
    manifest, declared = read_artifact(order.challenger).manifest, _declared(order)
    load_folded(order.challenger, declared.space)
    if manifest.version != f"{order.challenger.parent.name}@{order.challenger.name}":
        raise ArtifactRefused(f"{order.challenger}: holds {manifest.version}, and a folder bears its own version")
    late = _late(order, declared, manifest, bars)
    groups = fairness_table(late.decisions, late.sides, order.groups)
    criteria = _criteria(order, late, groups, bars)
    told: Document = {
        "version": verified.version,
        "against": _version(order.champion),
        "passed": all(one.passed for one in criteria),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": order.by,
        "since": late.since,
        "currency": late.table.about["currency"],
        "decisions": len(late.decisions),
        "criteria": [asdict(one) for one in criteria],
        "fairness": [asdict(group) for group in groups],
        "fairness_code": code_of(groups) if groups else "",
        "tolerances": asdict(order.tolerances),
    }
    told = finite(told)
    if order.report:
        from ..report.page import write_report
        from .reporting import report

        write_report(order.report, report(told, late.pair))
    _write_down(order, told, declared.space)
    return told


def finite(told: Any) -> Any:  # noqa: ANN401  a document
    """Return a document with null for numbers that JSON has no word for."""
    if isinstance(told, dict):
        return {name: finite(one) for name, one in told.items()}
    if isinstance(told, list | tuple):
        return [finite(one) for one in told]
    return None if isinstance(told, float) and not isfinite(told) else told


def _write_down(order: Order, told: Document, space: FeatureSpace) -> None:
    """Note a promotion, and change the champion if it passed; a champion that was changed meanwhile stays."""
    home = order.challenger.parent
    with promoting(home):
        found = champion_of(home)
        if found != order.champion and (order.champion is not None or _serves(found, space)):
            raise TrainingRefused(
                f"the champion is {_version(found)} now, and it was compared with {_version(order.champion)}; "
                "compare with the one in force"
            )
        note(home, told)
        if told["passed"]:
            crown(order.challenger)


def _serves(folder: Path | None, space: FeatureSpace) -> bool:
    """Tell whether there is a champion that could serve; one that is refused may be replaced as if there were none."""
    try:
        return folder is not None and bool(load_folded(folder, space).actions)
    except ArtifactRefused:
        return False


def _version(folder: Path | None) -> str:
    return f"{folder.parent.name}@{folder.name}" if folder else PRIORS


def _late(order: Order, declared: Declared, challenger: Manifest, bars: Progress) -> Late:
    logged = LogOrder(declared, order.log, order.events, order.decisions, order.memory or DEFAULT_BYTES)
    built = build(logged, bars)
    manifests = [challenger, *([read_artifact(order.champion).manifest] if order.champion else [])]
    since, since_ms = seen_until(manifests)
    rows = np.flatnonzero(built.decisions.at_ms > since_ms)
    if not len(rows):
        raise TrainingRefused(
            f"there is no decision after {since} in the log, and no model is judged on what it learned from; "
            "export the log again when there are some"
        )
    table, rival = (read_policies(path, built) for path in (order.policies, order.rival))
    late = built.decisions.part(rows)
    here = late.happened[np.arange(len(late)), late.action]
    outcome = np.where(late.action > 0, here, np.nan)
    says = _says(table, rows)
    sides = Sides(table.propensity[rows], rival.propensity[rows], outcome, says[_OWN], says[_RIVAL])
    return Late(since, late, rows, table, sides)


def _says(table: PolicyTable, rows: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, Floats]:
    """Return the probability with which each says anything, (rows,)."""
    said: dict[str, list[Floats]] = {_OWN: [], _RIVAL: []}
    for start in range(0, len(rows), _AT_ONCE):
        found = table.policies(rows[start : start + _AT_ONCE])
        for name, parts in said.items():
            parts.append(1.0 - found[name][:, 0])
    return {name: np.concatenate(parts) for name, parts in said.items()}


def _criteria(order: Order, late: Late, groups: tuple[Group, ...], bars: Progress) -> list[Criterion]:
    pair, looked, tolerances = late.pair, order.looked, order.tolerances
    data = enough(len(pair.outcome), int(pair.outcome.sum()), late.since)
    found = [guarded(looked.cases, looked.wrong, looked.decisions, looked.objections), data]
    if data.passed:
        loss = log_losses(pair)
        found.append(not_worse("log loss", loss, tolerances.log_loss * loss.champion))
        found.append(not_worse("calibration error", calibration_errors(pair, order.seed), tolerances.calibration))
        found.append(_value(late, tolerances.value, bars))
    found.append(fair(groups, order.seen, order.largest_gap))
    return found


def _value(late: Late, tolerance: float, bars: Progress) -> Criterion:
    found = _valued(late, bars)
    own, other = found.arm(_OWN), found.arm(_RIVAL)
    refusal = own.support.refusal or other.support.refusal
    both = own.values.get(Method.DR), other.values.get(Method.DR)
    return value_not_worse(found.difference(_OWN, _RIVAL), *both, refusal, tolerance, late.table.about["currency"])


def _valued(late: Late, bars: Progress) -> Evaluated:
    """Value both on the late decisions, doubly robust: what actions earn is learned there, by other persons."""
    wide = widened(late.decisions, late.table.actions)
    worths, tally = Worths(len(wide.columns), len(wide.actions)), Tally((_OWN, _RIVAL), wide.actions)
    advance = started(bars, "valuing both", 2 * len(wide), "decisions")
    slices = [slice(start, start + _AT_ONCE) for start in range(0, len(wide), _AT_ONCE)]
    for some in slices:
        worths.add(wide.part(some))
        advance(len(wide.at_ms[some]))
    for some in slices:
        part, policies = wide.part(some), late.table.policies(late.rows[some])
        tally.add(part, {name: policies[name] for name in (_OWN, _RIVAL)}, worths.expected(part))
        advance(len(part))
    return summed(tally, Intervals(), MOST_LACKING)


def _declared(order: Order) -> Declared:
    from dataclasses import replace

    declared = read_strategy(order.strategy)
    if order.worth is None:
        return declared
    try:
        return replace(declared, outcomes=declared.outcomes.worth_by(order.worth))
    except ValueError as error:
        raise AskedWrongly(f"--worth: {error}") from None
