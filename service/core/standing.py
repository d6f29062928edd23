"""Standing: what of an answer that somebody watches is still to be said, and what it holds of what is scarce."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from models.context import Purpose
from service.core.decision import Answer, Counter, Known, Reason, ReasonCode, Take
from service.core.judge import Veto
from service.core.reasons import each_once
from service.core.stock import Shelf, Stock, Stocks
from service.core.strategy import ConsentLevel

LOST = Reason(ReasonCode.NO_CONSENT, "The customer no longer agrees to what it rests on.")


class Holds(Struct, frozen=True):
    """What a decision holds that its customer cannot be told twice: uses of caps since it was made, promises, units.

    `customer` is the person, `actions` are what was said, `promises` whether that may have promised anything. Empty for
    a decision that was not recorded.
    """

    decision_id: str = ""
    customer: str = ""
    at_ms: int = 0
    actions: tuple[str, ...] = ()
    counters: tuple[Counter, ...] = ()
    takes: tuple[Take, ...] = ()
    promises: bool = True

    @property
    def anything(self) -> bool:
        """Whether there is anything to give back."""
        return bool(self.decision_id and (self.counters or self.takes or (self.promises and self.actions)))


HOLDS_NOTHING = Holds()


class Withdrawn(Struct, frozen=True):
    """What may not be said any more at a placement, and everything that forbids it."""

    placement: str
    action: str
    reasons: tuple[Reason, ...]


def material(answers: Iterable[Answer]) -> bytes:
    """Return 8 bytes that tell whether other answers say another thing: what, in which words, or why nothing and until
    when. What it is worth may change without that.
    """
    said = [
        (one.placement, one.action, one.text)
        if one.action
        else (one.placement, one.held_back, [(why.code, why.rule) for why in one.reasons], one.until_ms)
        for one in answers
    ]
    return blake2b(msgspec.msgpack.encode(said), digest_size=8, person=b"tact watch").digest()


def without(known: Known, holds: Holds) -> Known:
    """Return what is known without the uses of a decision itself, which must not forbid it to stand.

    A use that was only reserved stands at another time than it was made, and at that of its outcome when that came.
    """
    if not holds.counters:
        return known
    counters: dict[str, tuple[int, ...]] = dict(known.counters)
    for one in holds.counters:
        times = list(counters.get(one.key, ()))
        reserved = known.now_ms if one.since_ms else holds.at_ms + one.hold_ms - one.within_ms
        found = reserved if one.hold_ms and reserved in times else holds.at_ms
        if found not in times:
            found = next((time for time in reversed(times) if time >= holds.at_ms), -1)
        if found in times:
            times.remove(found)
            counters[one.key] = tuple(times)
    return replace(known, counters=counters)


def with_own(stocks: Stocks, takes: Iterable[Take]) -> Stocks:
    """Return the supply with units that a decision holds itself, as far as they are still there for it."""
    found: dict[Shelf, Stock | None] = dict(stocks)
    for take in takes:
        stock = found.get((take.item, take.place))
        if stock is not None:
            found[take.item, take.place] = replace(stock, free=stock.free + take.units)
    return found


def withdrawn(
    before: Iterable[Answer],
    after: Iterable[Answer],
    against: Mapping[tuple[str, str], tuple[Reason, ...]],
    *,
    consent_lost: bool,
) -> tuple[Withdrawn, ...]:
    """Return what was said and may not be any more; not what another action only is worth more than.

    `against` has what forbids an action at a placement. Where the consent allows less than before, whatever is said
    otherwise by now may rest on what it no longer allows.
    """
    found = []
    for old, new in zip(before, after, strict=True):
        if not old.action or (old.action, old.text) == (new.action, new.text):
            continue
        reasons = against.get((old.placement, old.action), ()) if old.action != new.action else ()
        if not reasons and consent_lost:
            reasons = (LOST,)
        if reasons:
            found.append(Withdrawn(old.placement, old.action, reasons))
    return tuple(found)


def reasons_against(bit: int, vetoes: Iterable[Veto]) -> tuple[Reason, ...]:
    """Return the reasons of the vetoes over one action."""
    return tuple(each_once(veto.reason for veto in vetoes if veto.mask & bit))


def lost(before: ConsentLevel | None, now: ConsentLevel) -> frozenset[Purpose]:
    """Return the purposes that a level allowed and that of now does not."""
    return frozenset(before.purposes).difference(now.purposes) if before else frozenset()
