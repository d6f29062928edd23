"""Make the report of an evaluation: values of all arms, what is said to whom, and how true the propensities are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..report.figures import (
    Curve,
    Estimate,
    Forecasts,
    Group,
    calibration,
    coverage_of_actions,
    fairness,
    gains_and_lift,
    off_policy_arms,
    uplift_and_qini,
)
from ..report.parts import Report, Section, Table
from ..uplift.metrics import TOLD_AT, UpliftMetrics
from .estimates import Method
from .forecasts import Forecast
from .groups import GroupRow
from .telling import NAMES, claims, marked

Document = dict[str, Any]


def report(
    document: Document,
    forecast: Forecast,
    uplift: UpliftMetrics | str,
    groups: Sequence[GroupRow],
    logged: Sequence[float],
) -> Report:
    """Return the report; `logged` is the share of each action in the log, nothing first."""
    sections = [_arms(document), _coverage(document, logged)]
    if len(forecast.outcome):
        sections.append(_propensities(document, forecast))
    sections += [_uplift(document, uplift), *_fairness(groups)]
    model = f" with {document['model']}" if document["model"] else " with its priors"
    words = (
        f"{document['strategy']}{model} on {document['rows']:,} logged decisions about {document['customers']:,} "
        f"customers, from {document['first']} to {document['last']}{marked(document)}.",
        *(f"{note[0].upper()}{note[1:]}." for note in document["notes"]),
    )
    return Report(f"Evaluation of {document['strategy']}", tuple(sections), words)


def _arms(document: Document) -> Section:
    method, unit = document["method"], f"{document['currency']} a decision"
    shown = [_estimate("the log", document["logged"], "what was logged")]
    for name, arm in document["arms"].items():
        told = arm["values"].get(method)
        shown.append(_estimate(NAMES.get(name, name), told, arm["refusal"]))
    head = ("arm", *(str(one).upper() for one in Method), "effective decisions", "largest weight", "lacking support")
    rows = tuple(
        (
            NAMES.get(name, name),
            *(arm["values"].get(str(one), {}).get("value") for one in Method),
            arm["effective_decisions"],
            arm["largest_weight"],
            f"{arm['lacking']:.1%}",
        )
        for name, arm in document["arms"].items()
    )
    words = (
        "Every arm keeps the guardrails. The intervals hold 95 % and allow for the likeness of one person's decisions.",
        *((f"The best single action is {document['best_single']}.",) if document["best_single"] else ()),
        *claims(document),
    )
    return Section("What the arms are worth", words, (off_policy_arms(shown, unit),), (Table("Arms", head, rows),))


def _estimate(name: str, told: Document | None, words: str) -> Estimate:
    if not told or told["value"] is None:
        return Estimate(name, None, words=words)
    return Estimate(name, told["value"], told["low"], told["high"], words)


def _coverage(document: Document, logged: Sequence[float]) -> Section:
    actions = document["actions"]
    shares = [("the log", list(logged))]
    for name in ("strategy", "propensity_only"):
        says = document["arms"][name]["says"]
        shares.append((NAMES[name], [says.get(action, 0.0) for action in actions]))
    return Section("What is said", (), (coverage_of_actions(actions, shares),))


def _propensities(document: Document, found: Forecast) -> Section:
    shown = [Forecasts(f"what was said{marked(document)}", found.probability, found.outcome)]
    head = ("action", "rows", "outcomes", "AUC", "log loss", "calibration error")
    rows = tuple(
        (action, one.rows, one.outcomes, one.auc, one.log_loss, one.calibration_error)
        for action, one in sorted(found.actions.items(), key=lambda item: -item[1].rows)
    )
    figures = (calibration(shown), gains_and_lift(shown))
    return Section(f"How true the propensities are{marked(document)}", (), figures, (Table("By action", head, rows),))


def _uplift(document: Document, found: UpliftMetrics | str) -> Section:
    title = f"Whether those said to gain most do gain most{marked(document)}"
    if isinstance(found, str):
        return Section(title, (f"Refused: {found}.",))
    curves = [Curve("the strategy", one.x, one.y, one.low, one.high) for one in (found.uplift, found.gain)]
    words = (
        "Decisions that said what the strategy ranks highest, against those that said nothing, by the worth that the "
        "strategy expects over saying nothing.",
    )
    rows = [("Qini coefficient", found.qini), ("uplift of all", found.overall)]
    rows += [(f"uplift of the highest {share:.0%}", found.at(share)) for share in TOLD_AT]
    unit = f"{document['currency']} a decision"
    table = Table(
        "Uplift", ("figure", unit, "low", "high"), tuple((n, one.value, one.low, one.high) for n, one in rows)
    )
    return Section(title, words, (uplift_and_qini(curves[:1], curves[1:], unit),), (table,))


def _fairness(groups: Sequence[GroupRow]) -> list[Section]:
    sections = []
    for field in dict.fromkeys(row.field for row in groups):
        own = [Group(row.group, row.rows, tuple(row.said.items())) for row in groups if row.field == field]
        words = ("The share of decisions in which something is said. Somebody has to judge whether it is fair.",)
        sections.append(Section(f"Fairness by {field}", words, (fairness(own, field),)))
    return sections
