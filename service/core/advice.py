"""Advice: what a strategy may say but hardly means, such as a cap that holds back nothing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Protocol

from models.context import Source
from service.core.parts import parts
from service.core.rules import ALWAYS, CONTACT_PERMISSION, Cap, Kind, Selector, Valid
from service.core.selection import bits, mask
from service.core.strategy import Strategy


class _Dated(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def valid(self) -> Valid: ...


def advice(strategy: Strategy, now_ms: int) -> tuple[str, ...]:
    """Return a sentence for everything that should be looked at, at a moment (ms); nothing of it is a mistake."""
    found = (_missing(strategy), _over(strategy, now_ms), _promises_nothing(strategy), _idle_caps(strategy))
    return tuple(chain(*found, _moved(strategy), _voided(strategy), _unasked_offers(strategy)))


def _missing(strategy: Strategy) -> Iterator[str]:
    if not strategy.guardrails:
        yield "there are no guardrails: nothing is ever forbidden, not even selling over an open ticket"
    if not strategy.caps:
        yield "there are no caps: nobody is ever contacted too often"


def _over(strategy: Strategy, now_ms: int) -> Iterator[str]:
    rules: list[_Dated] = [*strategy.guardrails, *strategy.eligibility, *strategy.caps, *strategy.weights]
    rules += [*strategy.cool_offs, *strategy.promises, *strategy.exemptions]
    for rule in rules:
        if rule.valid.until_ms is not None and rule.valid.until_ms <= now_ms:
            yield f"`{rule.id}` is over since its `until`, and does nothing any more; remove it, or write a later one"


def _promises_nothing(strategy: Strategy) -> Iterator[str]:
    for rule in strategy.promises:
        selected = 0
        for channel in strategy.channels:
            selected |= mask(rule.keep, strategy.actions, channel.id)
        shares = parts(rule.id, rule.per, selected, strategy.actions).values()
        if all(share.bit_count() < 2 for share in shares):
            yield f"`{rule.id}` promises nothing, for nowhere are there two actions to choose from; widen its `keep`"


def _moved(strategy: Strategy) -> Iterator[str]:
    """Name the caps whose day begins when the caller says so."""
    schema = strategy.schema
    zone = schema.time_zone.field if schema.time_zone else ""
    if zone not in schema.index or schema.fields[schema.index[zone]].source is not Source.REQUEST:
        return
    for cap in strategy.caps:
        if cap.daily:
            yield (
                f"`{cap.id}` counts the day by `{zone}`, which comes with the request, so that whoever asks can move"
                " midnight and be told more; fold the zone from an event, or write `within: 24h`"
            )


def _idle_caps(strategy: Strategy) -> Iterator[str]:
    for place, cap in enumerate(strategy.caps):
        for other_place, other in enumerate(strategy.caps):
            first = other_place < place  # of two that are the same, the second one is idle
            if other is not cap and _covers(strategy, other, cap) and (first or not _covers(strategy, cap, other)):
                yield f"`{cap.id}` never holds back what `{other.id}` does not hold back, too; remove one of them"
                break


def _covers(strategy: Strategy, strict: Cap, loose: Cap) -> bool:
    """Say whether one cap surely binds whenever another one does."""
    lets_out = {rule.exempt_from for rule in strategy.exemptions if strict.id in rule.exempt_from}
    return (
        strict.count == loose.count
        and strict.at_most <= loose.at_most
        and strict.within_ms >= loose.within_ms
        and (loose.daily or not strict.daily)
        and set(strict.per) <= set(loose.per)
        and strict.counts is loose.counts
        and strict.hold_ms >= loose.hold_ms
        and strict.household == loose.household
        and strict.valid in (ALWAYS, loose.valid)
        and all(loose.id in exempt for exempt in lets_out)
    )


def _voided(strategy: Strategy) -> Iterator[str]:
    """Name the rules from which everything that they are about is exempt."""
    about = {rule.id: rule.forbid for rule in strategy.guardrails}
    about |= {rule.id: rule.permit for rule in strategy.eligibility}
    about |= {rule.id: rule.count for rule in strategy.caps} | {rule.id: rule.about for rule in strategy.cool_offs}
    about |= {rule.id: rule.keep for rule in strategy.promises}
    for exemption in strategy.exemptions:
        for name in exemption.exempt_from:
            if name != CONTACT_PERMISSION and not _left(strategy, about[name], exemption.actions):
                yield f"`{name}` holds for nothing that `{exemption.id}` does not exempt from it; remove one of them"


def _left(strategy: Strategy, bound: Selector, exempt: Selector) -> bool:
    actions, channels = strategy.actions, [channel.id for channel in strategy.channels]
    return any(mask(bound, actions, on) & ~mask(exempt, actions, on) for on in channels)


def _unasked_offers(strategy: Strategy) -> Iterator[str]:
    for rule in strategy.exemptions:
        if CONTACT_PERMISSION in rule.exempt_from:
            offers = _offers(strategy, rule.actions)
            if offers:
                yield f"`{rule.id}` contacts people unasked to sell them `{offers[0]}`; exempt what is no offer"


def _offers(strategy: Strategy, selector: Selector) -> list[str]:
    """Return the offers that a selector means on channels that need permission, and that are said there."""
    asking = [channel.id for channel in strategy.channels if channel.permission]
    meant = [(on, strategy.actions[i]) for on in asking for i in bits(mask(selector, strategy.actions, on))]
    offers = [(on, action) for on, action in meant if action.kind is Kind.OFFER]
    return [action.id for on, action in offers if any(one.channel == on for one in action.treatments)]
