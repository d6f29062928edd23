"""Tell what a simulation counted: as a document for programs, and in lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from statistics import NormalDist
from typing import Any

from models.decision_table import NOTHING
from service.simulating.segments import OTHERS
from service.simulating.spread import Spread
from service.simulating.tally import Tally, day_of

Document = dict[str, Any]
FEWEST_PEOPLE = 30
FEWEST_TOLD = 10
"""Of fewer customers a group is not told of its own: it would tell of somebody."""
_UNSURE = 0.05
"""How probably any group at all is found where none differs."""
_MOST_LINES = 8
_COUNTED = ("rows", "changed", "nothing_before", "nothing_now", "offers_before", "offers_now")


def document(tally: Tally, spread: Spread, groups: Sequence[str], about: Mapping[str, Any]) -> Document:
    """Return what was counted, as a document; the fields of `groups` are told group by group."""
    channels = [{"channel": key[0], **_named(numbers)} for key, numbers in tally.sorted("channel")]
    total = sum(row["rows"] for row in channels)
    changed = sum(row["changed"] for row in channels)
    return {
        **about,
        "first": spread.first_ms,
        "last": spread.last_ms,
        "days": [day_of(spread.first_ms), day_of(spread.last_ms)],
        "rows": total,
        "decisions": tally.counts["decisions"][()][0],
        "changed": {"rows": changed, "share": changed / total},
        "channels": channels,
        "flows": _flows(tally),
        "why": _most(tally, "why", ("action", "reason")),
        "caps": [_by_day("cap", key, numbers, "held_back") for key, numbers in tally.sorted("cap")],
        "supply": [_by_day("item", key, numbers) for key, numbers in tally.sorted("supply")],
        "short": [{"day": key[0], "reason": key[1], "decisions": n} for key, (n,) in tally.sorted("short")],
        **_people(tally),
        "groups": {field: _group(tally, field) for field in groups},
        "least_group": FEWEST_TOLD,
    }


def _named(numbers: Sequence[int]) -> Document:
    return dict(zip(_COUNTED, numbers, strict=True))


def _flows(tally: Tally) -> list[Document]:
    rows = [
        {"channel": channel, "before": before or NOTHING, "now": now or NOTHING, "rows": count}
        for (channel, before, now), (count,) in tally.sorted("flow")
    ]
    return sorted(rows, key=lambda row: -int(str(row["rows"])))


def _most(tally: Tally, what: str, names: Sequence[str]) -> list[Document]:
    rows = [{**dict(zip(names, key, strict=True)), "rows": numbers[0]} for key, numbers in tally.sorted(what)]
    return sorted(rows, key=lambda row: -int(str(row["rows"])))


def _by_day(what: str, key: Sequence[str], numbers: Sequence[int], *more: str) -> Document:
    return {what: key[1], "day": key[0], **dict(zip(("before", "now", *more), numbers, strict=True))}


def _people(tally: Tally) -> Document:
    customers, had, has, lost = tally.counts["people"][()]
    none = customers - has
    because = [
        {"reason": key[0], "customers": count, "lost": gone} for key, (count, gone) in tally.sorted("underserved")
    ]
    return {
        "people": {
            "customers": customers,
            "with_offers_before": had,
            "with_offers_now": has,
            "underserved": {"customers": none, "share": none / customers},
            "lost": {"customers": lost, "share": lost / customers},
        },
        "underserved_because": sorted(because, key=lambda row: -int(str(row["customers"]))),
        "underserved_where": _where(tally),
        "underserved_tried": len(_tried(tally)),
    }


def _tried(tally: Tally) -> list[tuple[Sequence[str], Sequence[int]]]:
    """Return the groups that are compared with everybody else: of enough people, with enough beside them."""
    customers = tally.counts["people"][()][0]
    enough = range(FEWEST_PEOPLE, customers - FEWEST_PEOPLE + 1)
    return [(key, numbers) for key, numbers in tally.sorted("people_group") if numbers[0] in enough]


def _where(tally: Tally) -> list[Document]:
    """Return the groups that are surely under-served more often than everybody else: the interval of the difference
    (Newcombe) is above 0, each so wide that all of them together hold with 95 % (Bonferroni).
    """
    customers, _, has, _ = tally.counts["people"][()]
    found, tried = [], _tried(tally)
    sure = NormalDist().inv_cdf(1.0 - _UNSURE / 2 / max(1, len(tried)))
    for (field, group), (own, none, lost) in tried:
        rest, others = customers - has - none, customers - own
        low = _least_difference((none, own), (rest, others), sure)
        if low > 0.0:
            told = {"field": field, "group": group, "customers": own, "underserved": none, "lost": lost}
            found.append({**told, "share": none / own, "rest": rest / others, "low": low})
    ordered = sorted(found, key=lambda row: -float(str(row["low"])))
    # What is unknown of the same people is one finding, however many fields say so.
    once = {(row["customers"], row["underserved"], row["lost"]): row for row in reversed(ordered)}
    return [row for row in ordered if once[row["customers"], row["underserved"], row["lost"]] is row]


def _least_difference(one: tuple[int, int], other: tuple[int, int], sure: float) -> float:
    """Return the lower end of the difference of two shares, each told as how many of how many."""
    share, than = one[0] / one[1], other[0] / other[1]
    low, high = _wilson(*one, sure)[0], _wilson(*other, sure)[1]
    return share - than - sqrt((share - low) ** 2 + (high - than) ** 2)


def _wilson(count: int, of: int, sure: float) -> tuple[float, float]:
    """Return the ends of the interval of a share; `sure` is the quantile of the normal distribution."""
    share, z = count / of, sure * sure / of
    middle, half = share + z / 2, sure * sqrt(share * (1.0 - share) / of + z / (4 * of))
    return (middle - half) / (1.0 + z), (middle + half) / (1.0 + z)


def _group(tally: Tally, field: str) -> list[Document]:
    people = {key[1]: numbers[0] for key, numbers in tally.sorted("people_group") if key[0] == field}
    told: dict[str, list[int]] = {}
    for (of, group), numbers in tally.sorted("group"):
        if of == field:
            name = group if people.get(group, 0) >= FEWEST_TOLD else OTHERS
            before = told.get(name, [0] * len(numbers))
            told[name] = [one + more for one, more in zip(before, numbers, strict=True)]
    return [{"group": group, **_named(numbers)} for group, numbers in sorted(told.items())]


def instead(told: Document) -> str:
    """Return what is compared; the models are named where the strategy is the same."""
    own, before = told["strategy"], told["before"]
    if own != before:
        return f"{own} instead of {before}"
    models = [told[name] or "priors" for name in ("model", "before_model")]
    return f"{own} with {models[0]} instead of {models[1]}"


def in_words(told: Document) -> Iterator[str]:
    """Yield a document as people read it on a terminal."""
    people, changed = told["people"], told["changed"]
    yield (
        f"{told['rows']:,} rows of {told['decisions']:,} decisions about {people['customers']:,} customers, "
        f"{told['days'][0]} to {told['days'][1]}: {instead(told)} says something else in {changed['rows']:,} "
        f"({changed['share']:.1%})"
    )
    for row in told["channels"]:
        yield _channel(row)
    shown = [row for row in told["flows"] if row["before"] != row["now"]]
    yield from (
        f"  {row['rows']:>9,}  {row['before']} -> {row['now']} on {row['channel']}" for row in shown[:_MOST_LINES]
    )
    yield from (f"  {row['rows']:>9,}  {row['action']} not said: {row['reason']}" for row in told["why"][:_MOST_LINES])
    yield (
        f"{people['underserved']['customers']:,} customers ({people['underserved']['share']:.1%}) get no offer at all, "
        f"{people['lost']['customers']:,} ({people['lost']['share']:.1%}) lose every one they had"
    )
    for row in told["underserved_because"][:_MOST_LINES]:
        yield f"  {row['customers']:>9,}  because of {row['reason']} ({row['lost']:,} lose every offer)"
    for row in told["underserved_where"][:_MOST_LINES]:
        who = f"{row['customers']:,} customers with {row['field']} {row['group']}"
        yield f"  {row['share']:>9.1%}  of {who} get none, {row['rest']:.1%} of the rest"
    found, tried = len(told["underserved_where"]), told["underserved_tried"]
    yield f"  {found:,} of {tried:,} groups that were compared get none surely more often than everybody else"
    yield from _pressure(told)
    yield _value(told)
    yield from told["notes"]


def _channel(row: Document) -> str:
    rows = row["rows"]
    return (
        f"  {row['channel'] or '(no channel)'}: {row['changed'] / rows:.1%} of {rows:,} rows changed; offers "
        f"{row['offers_before'] / rows:.1%} -> {row['offers_now'] / rows:.1%}, nothing "
        f"{row['nothing_before'] / rows:.1%} -> {row['nothing_now'] / rows:.1%}"
    )


def _pressure(told: Document) -> Iterator[str]:
    for cap in dict.fromkeys(row["cap"] for row in told["caps"]):
        own = [row for row in told["caps"] if row["cap"] == cap]
        before, now, held = (sum(row[name] for row in own) for name in ("before", "now", "held_back"))
        yield f"  cap {cap}: {before:,} -> {now:,} uses, held something back in {held:,} decisions"
    for item in dict.fromkeys(row["item"] for row in told["supply"]):
        own = [row for row in told["supply"] if row["item"] == item]
        before, now = (sum(row[name] for row in own) for name in ("before", "now"))
        yield f"  supply of {item}: {before:,} -> {now:,} units taken"


def _value(told: Document) -> str:
    value, currency = told["value"], told["currency"]
    if value["refusal"]:
        return f"value: the log does not tell ({value['refusal']})"
    own = value["strategy"]
    return f"value: {_interval(own)} {currency} a decision, {_interval(value['over_before'])} over what was said before"


def _interval(told: Mapping[str, Any] | None) -> str:
    if not told or told["value"] is None:
        return "unknown"
    if told["low"] is None:
        return f"{told['value']:.4g} (anything)"
    return f"{told['value']:.4g} ({told['low']:.4g} to {told['high']:.4g})"


def gate_in_words(told: Document) -> Iterator[str]:
    """Yield what became of the conditions of a release."""
    for one in told["gate"]:
        figure = "the log does not tell it" if one["figure"] is None else f"it is {one['figure']:.4g}"
        yield f"{'FAILED' if one['failed'] else 'passed'}: {one['condition']}: {figure}"
    if told["report"]:
        yield f"the report is {told['report']}"
