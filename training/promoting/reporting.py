"""Make the report of a promotion: every criterion, both models' calibration and values, and the fairness table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..report.figures import Estimate, Forecasts, Group, calibration, fairness, off_policy_arms
from ..report.parts import Report, Section, Table
from .measures import Pair

Document = dict[str, Any]


def report(told: Document, pair: Pair) -> Report:
    """Return the report of what a promotion told, and of both forecasts where the outcome is known."""
    sections = [_criteria(told), *_forecasts(told, pair), *_fairness(told)]
    end = "It is the champion now." if told["passed"] else "It was not promoted."
    where = f"on {told['decisions']:,} decisions after {told['since']}, which neither has learned from"
    words = (f"{told['version']} against {told['against']}, {where}. {end}",)
    return Report(f"The gate: {told['version']}", tuple(sections), words)


def _criteria(told: Document) -> Section:
    head = ("criterion", "passed", "challenger", "champion", "difference", "low", "high", "in words")
    rows = tuple(
        (one["name"], "yes" if one["passed"] else "NO", *(one[name] for name in head[2:7]), one["words"])
        for one in told["criteria"]
    )
    words = ("A difference is challenger less champion, with its 95 % interval by person.",)
    figures = tuple(
        off_policy_arms(_values(told, one), f"{told['currency']} a decision")
        for one in told["criteria"]
        if one["name"] == "value" and one["difference"] is not None
    )
    return Section("What the gate looked at", words, figures, (Table("All criteria", head, rows),))


def _values(told: Document, value: Document) -> list[Estimate]:
    return [
        Estimate(told["version"], value["challenger"]),
        Estimate(told["against"], value["champion"]),
        Estimate("difference", value["difference"], value["low"], value["high"]),
    ]


def _forecasts(told: Document, pair: Pair) -> Iterator[Section]:
    if len(pair.outcome):
        both = [
            Forecasts(told["version"], pair.challenger, pair.outcome),
            Forecasts(told["against"], pair.champion, pair.outcome),
        ]
        yield Section("How true the forecasts are", (), (calibration(both),))


def _fairness(told: Document) -> Iterator[Section]:
    words = (f"The code of this table is {told['fairness_code']}. Somebody has to judge whether it is fair.",)
    for field in dict.fromkeys(group["field"] for group in told["fairness"]):
        own = [group for group in told["fairness"] if group["field"] == field]
        shown = [Group(one["group"], one["decisions"], _shares(one)) for one in own if one["rate"] is not None]
        yield Section(f"Fairness by {field}", words, (fairness(shown, field),) if shown else ())


def _shares(group: Document) -> tuple[tuple[str, float], ...]:
    return (
        ("rate of the outcome", group["rate"]),
        ("forecast", group["challenger"]),
        ("champion's forecast", group["champion"]),
        ("anything said", group["challenger_says"]),
        ("said by the champion", group["champion_says"]),
    )
