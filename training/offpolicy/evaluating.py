"""`evaluate`: from the files to what is told of them, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from models.artifacts import read_artifact

from ..decisions import Decisions, Floats
from ..errors import AskedWrongly, TrainingRefused
from ..log.build import Built, build
from ..log.build import Order as LogOrder
from ..log.memory import DEFAULT_BYTES
from ..scale import workers
from ..strategy import Declared, read_strategy
from ..unseen import seen_until
from .estimates import Intervals, Method
from .forecasts import Forecast, forecast
from .groups import by_group, group_columns
from .order import Arms, evaluate_arms
from .policies import PolicyTable, read_policies
from .telling import IN_SAMPLE, arms_told, differences_told, numbers
from .uplift import uplift_of

Document = dict[str, Any]
Window = tuple[int | None, int | None]
"""From which moment on, and before which other (ms), decisions are looked at; None is no bound."""
_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class Order:
    """What to evaluate: the strategy, its log, the policies on it, and how to value and to tell it.

    `models` decide in the policies: what they learned from is left out, unless `also_learned_from`; and so is what lies
    outside of `within`, which the policies do not have.
    """

    strategy: Path
    log: Path | None
    events: Path | None
    decisions: Path | None
    policies: Path
    models: tuple[Path, ...] = ()
    also_learned_from: bool = False
    worth: Mapping[str, float] | None = None
    method: str = Method.DR
    draws: int = 0
    groups: tuple[str, ...] = ()
    memory: int | None = None
    dask: str | None = None
    report: Path | None = None
    seed: int = 0
    within: Window = (None, None)


def evaluated(order: Order, bars: Progress) -> Document:
    """Evaluate, and write the report where one is wanted; raise `TrainingRefused` where the input cannot be used."""
    declared = _declared(order)
    with workers(order.dask) as many:
        memory = order.memory or DEFAULT_BYTES
        built = windowed(build(LogOrder(declared, order.log, order.events, order.decisions, memory), bars, many), order)
    judged = unseen(order, built, read_policies(order.policies, built))
    decisions, table = judged.decisions, judged.table
    arms = evaluate_arms(decisions, table, bars, Intervals(draws=order.draws, seed=order.seed))
    propensities, uplift = forecast(decisions, table), uplift_of(decisions, table, order.seed)
    groups = by_group(decisions, _said(decisions, table), order.groups)
    values = _values(arms, Method(order.method), judged.in_sample)
    document = {
        **_about(order, built, judged),
        **values,
        "passed": any(arm["values"] for arm in values["arms"].values()),
        "propensities": _quality(propensities),
        "uplift": {"refusal": uplift} if isinstance(uplift, str) else {"refusal": "", **uplift.plain()},
        "groups": [asdict(row) for row in groups],
    }
    if order.report:
        from ..report.page import write_report
        from .reporting import report

        shares = np.bincount(decisions.action, minlength=len(table.actions)) / len(decisions)
        write_report(order.report, report(document, propensities, uplift, groups, shares.tolist()))
    return document


def windowed(built: Built, order: Order) -> Built:
    """Return the decisions of a log that are looked at; raise `TrainingRefused` where there is none."""
    from_ms, until_ms = order.within
    if from_ms is None and until_ms is None:
        return built
    at_ms = built.decisions.at_ms
    inside = (at_ms >= (at_ms.min() if from_ms is None else from_ms)) & (
        at_ms < (at_ms.max() + 1 if until_ms is None else until_ms)
    )
    rows = np.flatnonzero(inside)
    if not len(rows):
        raise TrainingRefused("there is no decision in the window")
    arrays = {name: getattr(built, name)[rows] for name in ("placement", "influenced", "delay_ms", "key")}
    amounts = {name: sums[rows] for name, sums in built.amounts.items()}
    return replace(built, decisions=built.decisions.part(rows), amounts=amounts, **arrays)


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The decisions that are valued, and what the arms would do at them.

    `since` is the moment of the last one that a model learned from; the `left_out` decisions up to it are not there,
    unless `in_sample`. Without a model it is empty.
    """

    decisions: Decisions
    table: PolicyTable
    since: str = ""
    left_out: int = 0
    in_sample: bool = False


def unseen(order: Order, built: Built, table: PolicyTable) -> Judged:
    """Return the decisions after all that the models learned from; raise `TrainingRefused` where there is none."""
    if not order.models:
        return Judged(built.decisions, table)
    since, since_ms = seen_until([read_artifact(model).manifest for model in order.models])
    rows = np.flatnonzero(built.decisions.at_ms > since_ms)
    seen = len(built.decisions) - len(rows)
    if order.also_learned_from:
        return Judged(built.decisions, table, since, 0, seen > 0)
    if not len(rows):
        raise TrainingRefused(
            f"there is no decision after {since} in the log, and no model is judged on what it learned from; "
            "export the log again when there are some, or look at it as it is with --also-learned-from"
        )
    return Judged(built.decisions.part(rows), table.part(rows), since, seen)


def _about(order: Order, built: Built, judged: Judged) -> Document:
    versions = {name: judged.table.about[name] for name in ("strategy", "model", "against", "currency")}
    return {
        **versions,
        "first": _written(int(judged.decisions.at_ms.min())),
        "last": _written(int(judged.decisions.at_ms.max())),
        "since": judged.since,
        "left_out": judged.left_out,
        "in_sample": judged.in_sample,
        "notes": [*_learned_from(judged), *_notes(built)],
        "report": str(order.report) if order.report else "",
    }


def _values(arms: Arms, method: Method, in_sample: bool) -> Document:
    found = arms.evaluated
    told: Document = {
        "method": str(method),
        "rows": found.rows,
        "customers": found.customers,
        "unknown": found.unknown,
        "actions": list(found.actions),
        "logged": numbers(found.logged),
        "arms": arms_told(found, method),
        "differences": differences_told(found, method),
        "best_single": arms.best_single,
    }
    if in_sample:
        for over in (*told["differences"], *(arm["over_log"] for arm in told["arms"].values() if arm["over_log"])):
            over["verdict"] = IN_SAMPLE
    return told


def _declared(order: Order) -> Declared:
    declared = read_strategy(order.strategy)
    for field in order.groups:
        group_columns(declared.space.columns, field)
    if order.worth is None:
        return declared
    try:
        return replace(declared, outcomes=declared.outcomes.worth_by(order.worth))
    except ValueError as error:
        raise AskedWrongly(f"--worth: {error}") from None


def _said(decisions: Decisions, table: PolicyTable) -> dict[str, Floats]:
    """Return the probability with which the log, the strategy and its rivals say anything at each decision, (n,)."""
    found: dict[str, list[Floats]] = {}
    for start in range(0, len(decisions), _AT_ONCE):
        rows = np.arange(start, min(start + _AT_ONCE, len(decisions)))
        for name, policy in table.policies(rows).items():
            found.setdefault(name, []).append(1.0 - policy[:, 0])
    said = {name: np.concatenate(parts) for name, parts in found.items() if name in ("strategy", "against")}
    return {"the log": (decisions.action > 0).astype(np.float64), **said}


def _quality(found: Forecast) -> Document:
    if found.metrics is None:
        return {}
    return {"all": found.metrics.plain(), "actions": {name: one.plain() for name, one in found.actions.items()}}


def _learned_from(judged: Judged) -> list[str]:
    if judged.left_out:
        return [f"{judged.left_out:,} decisions up to {judged.since} are left out: the model learned from them"]
    return []


def _notes(built: Built) -> list[str]:
    counts = built.counts
    notes: list[str] = []
    notes += counts.too_late
    if counts.unknown:
        notes.append(f"the log tells nothing of {', '.join(counts.unknown)}")
    if counts.kept < 1.0:
        notes.append(f"a share of {counts.kept:.0%} of the customers fitted into the memory; raise --memory for more")
    return notes


def _written(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
