"""Judge: all guardrails and all rules that permit over all actions at once, every veto collected.

Each distinct condition is evaluated once; a rule's selector is a bit mask over the actions, and so is what a condition
about actions gives, so the cost hardly grows with their number. A guardrail forbids unless its condition is known not
to hold; a rule that permits does so only where its condition is known to hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from models.clock import Clock
from models.context import Purpose
from service.core.cel import Truth
from service.core.decision import Reason, ReasonCode
from service.core.epochs import Epochs, earlier
from service.core.rules import Kind, Selector
from service.core.ruling import FOR_ALL, Compiled, Placed, Ruled, Rulings, Veto, judging
from service.core.selection import mask
from service.core.snapshot import Snapshot
from service.core.strategy import Strategy

__all__ = ["Judge", "Verdicts", "Veto"]


class Verdicts(Struct, frozen=True):
    """The outcome of judging one request, apart from placements.

    `vetoes` holds everything that forbids, `vetoed` all actions that are forbidden, `preferred` the actions that a
    rule asks for instead and `asks` the reason of the first rule that asks.
    """

    vetoes: tuple[Veto, ...]
    vetoed: int
    preferred: int
    asks: Reason | None
    truths: Sequence[Truth]


class Judge:
    """Judges all actions of one strategy."""

    def __init__(self, strategy: Strategy) -> None:
        compiled = Compiled(strategy)
        self._conditions, places = compiled.conditions, compiled.places
        valids = [*(rule.valid for rule in judging(strategy)), *(exemption.valid for exemption in strategy.exemptions)]
        self._rulings = Epochs(valids, Rulings(strategy, places).at)
        self._factors = {channel.id: _factors(strategy, channel.id, places) for channel in strategy.channels}
        self._no_consent = Veto(mask(Selector(kinds=(Kind.OFFER,)), strategy.actions, ""), NO_CONSENT)
        self._clock = Clock.of(strategy.schema)

    def judge(self, snapshot: Snapshot, channel: str) -> Verdicts:
        """Return every veto that holds for this snapshot on this channel."""
        truths = self._conditions(snapshot.values, snapshot.now_ms)
        ruling = self._rulings.at(snapshot.now_ms)[channel]
        vetoes: list[Veto] = []
        if Purpose.PERSONALIZATION not in snapshot.level.purposes:
            vetoes.append(self._no_consent)
        if not snapshot.permitted:
            vetoes.append(ruling.unpermitted)
        preferred, asks = 0, None
        for rule in ruling.rules:
            truth = truths[rule.condition]
            if rule.against != FOR_ALL:
                known = _vetoes_over_some(rule, truth or 0, truths[rule.against] or 0, vetoes)
            elif truth is rule.passes:
                continue
            else:
                known = truth is not None
                vetoes.append(self._ending(rule, snapshot) if known else rule.unknown)
            if rule.instead and known:
                preferred |= rule.instead
                asks = asks or rule.held.reason
        vetoed = 0
        for veto in vetoes:
            vetoed |= veto.mask
        return Verdicts(tuple(vetoes), vetoed, preferred, asks, truths)

    def factors(self, channel: str, truths: Sequence[Truth]) -> list[tuple[int, float]]:
        """Return the weights whose condition is known to hold, as (mask, factor)."""
        return [(m, factor) for condition, m, factor in self._factors[channel] if truths[condition]]

    def _ending(self, rule: Ruled, snapshot: Snapshot) -> Veto:
        """Return the veto of a rule that is known to hold back, with its end where that is an hour of the day."""
        if rule.quiet_until is None or self._clock is None:
            return rule.held
        until_ms = self._clock.next_hour(snapshot.values, rule.quiet_until, snapshot.now_ms)
        if until_ms is not None:
            until_ms = earlier(until_ms, rule.valid)
        reason = rule.held.reason
        told = Reason(reason.code, reason.sentence, reason.rule, reason.fields, until_ms)
        return Veto(rule.mask, told, until_ms)


NO_CONSENT = Reason(
    ReasonCode.NO_CONSENT, "Offers need consent to personalization, and this customer has not given it."
)


def _vetoes_over_some(rule: Ruled, passing: int, against: int, vetoes: list[Veto]) -> bool:
    """Add what a condition about actions forbids; tell whether it is known to forbid any."""
    forbidden = rule.mask & ~passing
    held = forbidden & against
    if held:
        vetoes.append(Veto(held, rule.held.reason))
    if held != forbidden:
        vetoes.append(Veto(forbidden ^ held, rule.unknown.reason))
    return held != 0


def _factors(strategy: Strategy, channel: str, places: Mapping[str, Placed]) -> tuple[tuple[int, int, float], ...]:
    found = (
        (places[w.when.source].place, mask(w.boost, strategy.actions, channel), w.factor) for w in strategy.weights
    )
    return tuple(entry for entry in found if entry[1])
