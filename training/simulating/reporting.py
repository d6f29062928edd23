"""Make the page of a simulation: who gets something else, what it is worth, the pressure, who gets nothing, groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from ..report.figures import Estimate, Group, by_day, coverage_of_actions, fairness, from_what_to_what, off_policy_arms
from ..report.parts import Cell, Report, Section, Table

Document = dict[str, Any]

_MOST_FIGURES = 8
_MOST_ROWS = 100


def report(told: Document) -> Report:
    """Return the page of the document that `tact simulate` writes."""
    changed = told["changed"]
    words = (
        f"{_instead(told)}, in {told['rows']:,} rows (placements) of {told['decisions']:,} decisions about "
        f"{told['people']['customers']:,} customers from {told['days'][0]} to {told['days'][1]}: "
        f"{changed['rows']:,} of them ({changed['share']:.1%}) say something else.",
        *(f"{note[0].upper()}{note[1:]}." for note in told["notes"]),
    )
    sections = [_gate(told)] if told["gate"] else []
    sections += [_changes(told), _value(told), *_pressure(told), _underserved(told), *_groups(told)]
    return Report(f"Simulation of {told['strategy']}", tuple(sections), words)


def _instead(told: Document) -> str:
    """Say what is compared; the models are named where the strategy is the same."""
    if told["strategy"] != told["before"]:
        return f"{told['strategy']} instead of {told['before']}"
    models = [told[name] or "priors" for name in ("model", "before_model")]
    return f"{told['strategy']} with {models[0]} instead of {models[1]}"


def _gate(told: Document) -> Section:
    rows = tuple((one["condition"], one["figure"], "FAILED" if one["failed"] else "passed") for one in told["gate"])
    words = "The release passes." if told["passed"] else "The release fails."
    return Section("The gate", (words,), (), (Table("Conditions on which it fails", ("if", "it is", ""), rows),))


def _changes(told: Document) -> Section:
    flows = Counter[tuple[str, str]]()
    for row in told["flows"]:
        flows[row["before"], row["now"]] += row["rows"]
    actions = sorted({name for pair in flows for name in pair})
    shares = [
        (when, [sum(n for pair, n in flows.items() if pair[place] == name) / told["rows"] for name in actions])
        for place, when in enumerate(("before", "now"))
    ]
    channels = [Group(row["channel"] or "any", row["rows"], _shares(row)) for row in told["channels"]]
    figures = (
        from_what_to_what([(before, now, count) for (before, now), count in flows.items()]),
        coverage_of_actions(actions, shares),
        fairness(channels, "channel"),
    )
    tables = (_table("What is not said any more, and why", told["why"], ("action", "reason", "rows")),)
    return Section("Who gets something else", (), figures, tables)


def _value(told: Document) -> Section:
    value, unit = told["value"], f"{told['currency']} a decision"
    if value["refusal"]:
        return Section("What it is worth", (f"The log does not tell: {value['refusal']}.",))
    arms = [_estimate(name, arm["value"], arm["refusal"]) for name, arm in value["arms"].items()]
    over = value["over_before"]
    words = [f"By {value['method']} on the logged decisions; intervals hold 95 %."]
    if over:
        words.append(
            f"Over what was said before: {over['value']:+.4g} {unit}, from {_end(over['low'])} to "
            f"{_end(over['high'])}: {over['verdict']}."
        )
    words += [f"{note[0].upper()}{note[1:]}." for note in value["notes"]]
    return Section("What it is worth", tuple(words), (off_policy_arms(arms, unit),))


def _estimate(name: str, told: Document | None, refusal: str) -> Estimate:
    if not told or told["value"] is None:
        return Estimate(name, None, words=refusal)
    return Estimate(name, told["value"], told["low"], told["high"])


def _end(number: float | None) -> str:
    return "anything" if number is None else f"{number:+.4g}"


def _pressure(told: Document) -> Iterator[Section]:
    for what, title, lines, unit in (
        ("cap", "Pressure on caps", ("before", "now", "held_back"), "uses and decisions held back"),
        ("item", "Pressure on supply", ("before", "now"), "units"),
    ):
        rows = told["caps" if what == "cap" else "supply"]
        most = Counter[str]()
        for row in rows:
            most[row[what]] += row["now"] + row["before"]
        figures = tuple(
            _daily(name, [r for r in rows if r[what] == name], lines, unit) for name, _ in most.most_common(8)
        )
        if figures:
            yield Section(title, (f"Day by day (UTC), the {len(figures)} with most uses of {len(most)}.",), figures)


def _daily(name: str, rows: Sequence[Document], lines: Sequence[str], unit: str) -> Any:  # noqa: ANN401  a figure
    days = sorted({row["day"] for row in rows})
    of = {row["day"]: row for row in rows}
    return by_day(name, days, {line.replace("_", " "): [of[day][line] for day in days] for line in lines}, unit)


def _underserved(told: Document) -> Section:
    people = told["people"]
    none, lost = people["underserved"], people["lost"]
    words = (
        f"{none['customers']:,} customers ({none['share']:.1%}) get no offer in any of their decisions; "
        f"{lost['customers']:,} ({lost['share']:.1%}) had one before and lose every one. What is "
        "named holds back what would be worth most. Shown are groups that get none surely more often than everybody "
        f"else: {len(told['underserved_where']):,} of {told['underserved_tried']:,} that were compared, all of which "
        "together are so sure as 95 % (Bonferroni).",
    )
    where = [
        Group(f"{row['field']} {row['group']}", row["customers"], (("get no offer", row["share"]),))
        for row in told["underserved_where"][:_MOST_FIGURES]
    ]
    figures = (fairness(where, "what is known of them"),) if where else ()
    head = ("reason", "customers", "lost")
    return Section("Who gets no offer", words, figures, (_table("Why", told["underserved_because"], head),))


def _groups(told: Document) -> Iterator[Section]:
    for field, rows in told["groups"].items():
        own = [Group(row["group"], row["rows"], _shares(row)) for row in rows]
        words = (
            "The share of rows with an offer, and of those that change. Somebody has to judge whether it is fair.",
        )
        yield Section(f"Effects by {field}", words, (fairness(own, field),))


def _shares(row: Document) -> tuple[tuple[str, float], ...]:
    names = (("offers before", "offers_before"), ("offers now", "offers_now"), ("changed", "changed"))
    return tuple((name, row[key] / row["rows"]) for name, key in names)


def _table(title: str, rows: Sequence[Document], head: Sequence[str]) -> Table:
    told: tuple[tuple[Cell, ...], ...] = tuple(tuple(row[name] for name in head) for row in rows[:_MOST_ROWS])
    return Table(title, tuple(head), told)
