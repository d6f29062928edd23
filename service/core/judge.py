"""Judge: all guardrails, eligibility rules and caps over all actions at once, every veto collected.

Each distinct condition is evaluated once; a rule's selector is a bit mask over the actions, so the cost hardly grows
with their number. A guardrail forbids unless its condition is known not to hold; an eligibility rule permits only
where its condition is known to hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec import Struct

from models.context import Purpose
from service.core.cel import Conditions, Program, check_condition
from service.core.decision import Reason, ReasonCode
from service.core.rules import Eligibility, Guardrail, Kind, Selector, Weight
from service.core.selection import mask
from service.core.snapshot import Snapshot
from service.core.strategy import Strategy


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled rule on one channel: it forbids its actions unless its condition's truth is `passes`.

    What it asks for `instead` counts only while the condition is known to hold.
    """

    condition: int
    passes: bool
    mask: int
    instead: int
    held: Veto
    unknown: Veto


class Veto(Struct, frozen=True):
    """Why the actions in a mask may not be said; `until_ms` is when a cap frees, unset for rules."""

    mask: int
    reason: Reason
    until_ms: int | None = None


class Verdicts(Struct, frozen=True):
    """The outcome of judging one request, apart from placements.

    `vetoes` holds everything that forbids, `vetoed` all actions that are forbidden, `preferred` the actions that a
    guardrail asks for instead and `asks` the reason of the first guardrail that asks.
    """

    vetoes: tuple[Veto, ...]
    vetoed: int
    preferred: int
    asks: Reason | None
    truths: Sequence[bool | None]


class Judge:
    """Judges all actions of one strategy."""

    def __init__(self, strategy: Strategy) -> None:
        self._conditions, places = _compiled(strategy)
        self._rules = {c.id: _rules(strategy, c.id, places) for c in strategy.channels}
        self._factors = {c.id: _factors(strategy, c.id, places) for c in strategy.channels}
        self._no_consent = Veto(mask(Selector(kinds=(Kind.OFFER,)), strategy.actions, ""), NO_CONSENT)
        self._no_permission = Veto((1 << len(strategy.actions)) - 1, NO_PERMISSION)

    def judge(self, snapshot: Snapshot, channel: str) -> Verdicts:
        """Return every veto that holds for this snapshot on this channel."""
        truths = self._conditions(snapshot.values, snapshot.now_ms)
        vetoes = list(self._consent_vetoes(snapshot))
        preferred, asks = 0, None
        for rule in self._rules[channel]:
            truth = truths[rule.condition]
            if truth is rule.passes:
                continue
            veto = rule.unknown if truth is None else rule.held
            vetoes.append(veto)
            if rule.instead and truth is not None:
                preferred |= rule.instead
                asks = asks or veto.reason
        vetoed = 0
        for veto in vetoes:
            vetoed |= veto.mask
        return Verdicts(tuple(vetoes), vetoed, preferred, asks, truths)

    def factors(self, channel: str, truths: Sequence[bool | None]) -> list[tuple[int, float]]:
        """Return the weights whose condition is known to hold, as (mask, factor)."""
        return [(m, factor) for condition, m, factor in self._factors[channel] if truths[condition]]

    def _consent_vetoes(self, snapshot: Snapshot) -> list[Veto]:
        vetoes = []
        if Purpose.PERSONALIZATION not in snapshot.level.purposes:
            vetoes.append(self._no_consent)
        if not snapshot.permitted:
            vetoes.append(self._no_permission)
        return vetoes


NO_CONSENT = Reason(
    ReasonCode.NO_CONSENT, "Offers need consent to personalization, and this customer has not given it."
)
NO_PERMISSION = Reason(
    ReasonCode.NO_CONTACT_PERMISSION, "This customer has not permitted to be contacted on this channel."
)


def _compiled(strategy: Strategy) -> tuple[Conditions, dict[str, tuple[int, tuple[str, ...]]]]:
    """Compile every condition; return the function and, a source text, its place and the fields it reads."""
    program = Program()
    terms: list[str] = []
    places: dict[str, tuple[int, tuple[str, ...]]] = {}
    rules: list[Guardrail | Eligibility | Weight] = [*strategy.guardrails, *strategy.eligibility, *strategy.weights]
    for source in dict.fromkeys(rule.when.source for rule in rules):
        checked = check_condition(source, strategy.schema)
        places[source] = (len(terms), checked.fields)
        terms.append(program.add(checked.node))
    return program.compile(terms, strategy.schema), places


_Places = Mapping[str, tuple[int, tuple[str, ...]]]


def _rules(strategy: Strategy, channel: str, places: _Places) -> tuple[Rule, ...]:
    rules = [_guardrail(rule, strategy, channel, places) for rule in strategy.guardrails]
    rules += [_eligibility(rule, strategy, channel, places) for rule in strategy.eligibility]
    return tuple(rule for rule in rules if rule.mask or rule.instead)


def _guardrail(rule: Guardrail, strategy: Strategy, channel: str, places: _Places) -> Rule:
    place, fields = places[rule.when.source]
    selected = mask(rule.forbid, strategy.actions, channel)
    return Rule(
        condition=place,
        passes=False,
        mask=selected,
        instead=mask(rule.instead, strategy.actions, channel) if rule.instead else 0,
        held=Veto(selected, Reason(ReasonCode.GUARDRAIL, rule.says, rule.id, fields)),
        unknown=Veto(selected, Reason(ReasonCode.GUARDRAIL_UNKNOWN, _not_known(rule.says), rule.id, fields)),
    )


def _eligibility(rule: Eligibility, strategy: Strategy, channel: str, places: _Places) -> Rule:
    place, fields = places[rule.when.source]
    selected = mask(rule.permit, strategy.actions, channel)
    return Rule(
        condition=place,
        passes=True,
        mask=selected,
        instead=0,
        held=Veto(selected, Reason(ReasonCode.NOT_ELIGIBLE, rule.says, rule.id, fields)),
        unknown=Veto(selected, Reason(ReasonCode.ELIGIBILITY_UNKNOWN, _not_permitted(rule.says), rule.id, fields)),
    )


def _not_known(says: str) -> str:
    return f"{says} (It is not known whether this holds, so it is taken to bind.)"


def _not_permitted(says: str) -> str:
    return f"{says} (It is not known whether this holds, so it does not permit.)"


def _factors(strategy: Strategy, channel: str, places: _Places) -> tuple[tuple[int, int, float], ...]:
    found = ((places[w.when.source][0], mask(w.boost, strategy.actions, channel), w.factor) for w in strategy.weights)
    return tuple(entry for entry in found if entry[1])
