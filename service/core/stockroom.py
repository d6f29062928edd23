"""Stockroom: what actions consume, and what too little of it forbids. The store alone grants units."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from models.context import Scalar
from service.core.decision import Reason, ReasonCode, Take
from service.core.judge import Veto
from service.core.stock import Count, Shelf, counts
from service.core.strategy import Consumes, Strategy

UNGRANTED = "|stock"
"""The counter of what the store did not grant. No cap has it: theirs begin with the id of a rule."""
UNTRIED = "|untried"
"""The counter of what the store was not asked for, because something before it could be said."""
OUT = Reason(ReasonCode.OUT_OF_STOCK, "Not enough is left of what this needs.")


@dataclass(frozen=True, slots=True)
class _Need:
    """What some actions consume alike, and the vetoes over them."""

    consumes: Consumes
    count: Count
    mask: int
    out: Veto
    unknown: Veto
    short: Veto

    def veto(self, values: Sequence[Scalar | None], customer: str) -> Veto | None:
        free = values[self.count.index]
        if type(free) is not int:
            return self.unknown
        if free < self.consumes.units:
            return self.out
        below = self.consumes.throttle_below
        if free < below and not among(free / below, customer, self.count.shelf(values)):
            return self.short
        return None


class Stockroom:
    """What the actions of a strategy consume."""

    def __init__(self, strategy: Strategy) -> None:
        known = {count.field.id: count for count in counts(strategy.schema)}
        masks: dict[Consumes, int] = {}
        for action in strategy.actions:
            if action.consumes:
                masks[action.consumes] = masks.get(action.consumes, 0) | 1 << action.index
        self._needs = tuple(_need(consumes, known[consumes.supply], mask) for consumes, mask in masks.items())
        self._needed = {
            action.id: need for action in strategy.actions for need in self._needs if need.mask >> action.index & 1
        }

    def vetoes(self, values: Sequence[Scalar | None], customer: str) -> list[Veto]:
        """Return a veto over all that needs more than there is, or of which this customer is not offered the rest."""
        return [veto for need in self._needs if (veto := need.veto(values, customer))] if self._needs else []

    def takes(self, actions: Iterable[str], values: Sequence[Scalar | None]) -> tuple[Take, ...]:
        """Return what each of these actions takes when it is said; most take nothing."""
        if not self._needed:
            return ()
        taking = [(action, self._needed[action]) for action in dict.fromkeys(actions) if action in self._needed]
        return tuple(
            Take(action, *shelf, need.consumes.units, need.consumes.hold_ms)
            for action, need in taking
            if (shelf := need.count.shelf(values))
        )


def among(share: float, customer: str, shelf: Shelf | None) -> bool:
    """Tell whether a customer is among the share who are offered what is short: always the same ones, fewer of them
    as the share shrinks.
    """
    name = "\n".join((*(shelf or ()), customer)).encode()
    return int.from_bytes(blake2b(name, digest_size=8, person=b"tact supply").digest()) < share * 2**64


def _need(consumes: Consumes, count: Count, mask: int) -> _Need:
    fields = (consumes.supply,)
    unknown = f"It is not known how much is left of what this needs, so it counts as none. ({count.field.says})"
    short = f"What this needs is short, and this customer is not among those who get the rest. ({count.field.says})"
    return _Need(
        consumes,
        count,
        mask,
        out=Veto(mask, Reason(ReasonCode.OUT_OF_STOCK, f"{OUT.sentence} ({count.field.says})", "", fields)),
        unknown=Veto(mask, Reason(ReasonCode.OUT_OF_STOCK, unknown, "", fields)),
        short=Veto(mask, Reason(ReasonCode.SHORT_SUPPLY, short, "", fields)),
    )
