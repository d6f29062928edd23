"""Conditions on which a release fails, such as `changed > 20%`: a small grammar, checked before anything is decided.

    NAME [on CHANNEL | by FIELD | of CAP] (< | <= | > | >=) NUMBER[%]

A condition on a value looks at the end of its 95 % interval that speaks for failing. A condition fails where the log
does not tell its figure at all, and one that no figure can fail is refused: nobody releases by luck.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping
from math import inf
from typing import Any

from msgspec import Struct

Document = Mapping[str, Any]
FEWEST = 30
"""Of how many rows a group must be to count in a gap."""


class GateRefused(ValueError):
    """A condition that cannot be read, or is about nothing that is there; the message says what would be right."""


class Condition(Struct, frozen=True):
    """One condition as it was written, and its parts; `about` is the channel, field or cap, empty for none."""

    text: str
    name: str
    about: str
    sign: str
    bound: float


class Checked(Struct, frozen=True):
    """What became of a condition: the figure it looked at, None where there is none, and whether the release fails."""

    condition: str
    figure: float | None
    failed: bool


_SHARES_ON = ("changed", "suppressed", "suppressed-rise", "offers", "offers-loss")
_SHARES = ("underserved", "lost")
_GAPS = ("gap", "gap-rise")
_RISES = ("suppressed-rise", "offers-loss", "gap-rise")
_COUNTS = ("uses", "held-back")
VALUES = ("value", "value-gain")
NAMES = (*_SHARES_ON, *_SHARES, *_GAPS, *_COUNTS, *VALUES)
_SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge
}  # fmt: skip
_WRITTEN = re.compile(r"\s*([a-z-]+)(?:\s+(on|by|of)\s+(\S+))?\s*(<=|>=|<|>)\s*(-?[0-9]+(?:\.[0-9]+)?)\s*(%?)\s*")
_TAKES = {**dict.fromkeys(_SHARES_ON, "on"), **dict.fromkeys(_GAPS, "by"), **dict.fromkeys(_COUNTS, "of")}
EXAMPLES = "changed > 20%, suppressed on email > 0.5, gap by past.region > 10%, value < 0"


def condition(text: str, channels: Collection[str] | None, fields: Collection[str], caps: Collection[str]) -> Condition:
    """Read a condition; raise `GateRefused` for one that says nothing, or of something that is not there.

    Channels are None as long as it is not known which there are; `see_channels` looks at them then.
    """
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise GateRefused(f"{text!r} is no condition; write one as in {EXAMPLES}")
    name, word, about, sign, number, percent = found.groups()
    if name not in NAMES:
        raise GateRefused(f"{text!r}: there is no figure {name!r}; there are {', '.join(NAMES)}")
    there = {"on": (about or "",) if channels is None else channels, "by": fields, "of": caps}
    _see_about(text, name, word or "", about or "", there)
    bound = _bound(text, name, float(number), bool(percent))
    _see_reach(text, name, sign, bound)
    return Condition(text.strip(), name, about or "", sign, bound)


def see_channels(conditions: Collection[Condition], channels: Collection[str]) -> None:
    """Raise `GateRefused` for a condition on a channel that is not there."""
    for one in conditions:
        if one.name in _SHARES_ON and one.about:
            _see_about(one.text, one.name, "on", one.about, {"on": channels})


def check(conditions: Collection[Condition], document: Document) -> tuple[Checked, ...]:
    """Return what becomes of conditions by what a simulation found."""
    checked = []
    for one in conditions:
        figure = _figure(one, document)
        failed = figure is None or _SIGNS[one.sign](figure, one.bound)
        checked.append(Checked(one.text, figure, failed))
    return tuple(checked)


def _see_about(text: str, name: str, word: str, about: str, there: Mapping[str, Collection[str]]) -> None:
    takes = _TAKES.get(name, "")
    if word and word != takes:
        right = f"write `{name} {takes} …`" if takes else f"write `{name}` alone"
        raise GateRefused(f"{text!r}: {name} is told of no `{word} {about}`; {right}")
    if takes in ("by", "of") and not about:
        what = "a field of --groups" if takes == "by" else "a cap of the strategy"
        raise GateRefused(f"{text!r}: {name} is of one thing; write `{name} {takes} …` with {what}")
    if about and about not in there[takes]:
        known = ", ".join(sorted(there[takes])) or "none"
        raise GateRefused(f"{text!r}: there is no {about!r} to look at; there is {known}")


def _bound(text: str, name: str, number: float, percent: bool) -> float:
    if name in (*_COUNTS, *VALUES):
        if percent:
            raise GateRefused(f"{text!r}: {name} is no share; write a number without %")
        return number
    share = number / 100.0 if percent else number
    if not -1.0 <= share <= 1.0:
        raise GateRefused(f"{text!r}: {name} is a share; write a percentage, or a number from 0 to 1")
    return share


def _see_reach(text: str, name: str, sign: str, bound: float) -> None:
    """Raise `GateRefused` where no figure there can be would fail the release."""
    low, high = _reach(name)
    if not any(_SIGNS[sign](end, bound) for end in (low, high)):
        reach = f"from {low:g} to {high:g}" if high < inf else f"at least {low:g}"
        raise GateRefused(f"{text!r}: this can never fail a release, for {name} is {reach}; write another bound")


def _reach(name: str) -> tuple[float, float]:
    """Return the least and the greatest that a figure can be."""
    if name in VALUES:
        return -inf, inf
    if name in _COUNTS:
        return 0.0, inf
    return (-1.0 if name in _RISES else 0.0), 1.0


def _figure(one: Condition, document: Document) -> float | None:
    if one.name in _SHARES_ON:
        return _share(one, document)
    if one.name in _SHARES:
        return float(document["people"][one.name]["share"])
    if one.name in _GAPS:
        now, before = gap(document["groups"][one.about], "now"), gap(document["groups"][one.about], "before")
        return now if one.name == "gap" or now is None or before is None else now - before
    if one.name in _COUNTS:
        own = [row for row in document["caps"] if row["cap"] == one.about]
        return float(sum(row["now" if one.name == "uses" else "held_back"] for row in own))
    return _value(one, document["value"])


def _share(one: Condition, document: Document) -> float | None:
    rows = [row for row in document["channels"] if not one.about or row["channel"] == one.about]
    total = sum(int(row["rows"]) for row in rows)
    if not total:
        return None

    def share(name: str) -> float:
        return float(sum(int(row[name]) for row in rows) / total)

    match one.name:
        case "changed":
            return share("changed")
        case "suppressed":
            return share("nothing_now")
        case "suppressed-rise":
            return share("nothing_now") - share("nothing_before")
        case "offers":
            return share("offers_now")
        case _:
            return share("offers_before") - share("offers_now")


def gap(groups: Collection[Mapping[str, Any]], when: str) -> float | None:
    """Return how far the shares that get an offer are apart, of the groups of enough rows that are furthest apart; None
    where fewer than two have enough.
    """
    shares = [row[f"offers_{when}"] / row["rows"] for row in groups if row["rows"] >= FEWEST]
    return float(max(shares) - min(shares)) if len(shares) > 1 else None


def _value(one: Condition, value: Mapping[str, Any]) -> float | None:
    told = value.get("strategy" if one.name == "value" else "over_before")
    if not told or told.get("value") is None:
        return None
    end = told.get("low" if one.sign.startswith("<") else "high")
    return None if end is None else float(end)
