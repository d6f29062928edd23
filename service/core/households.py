"""Households: whose contacts count together with a customer's, where a strategy caps them."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from models import folds, states
from models.context import Scalar
from service.core.caps import CapTable
from service.core.decision import Bound, Known, Shared
from service.core.plan import Entry
from service.core.strategy import Strategy


class Use(Struct, frozen=True, array_like=True):
    """One use of a household's caps: the decision and action that it is named by, when (ms), when its last window ends,
    when it was granted, and the counters that it counts for.
    """

    name: str
    at_ms: int
    ends_ms: int
    granted_ms: int
    counters: tuple[str, ...]

    @property
    def decision_id(self) -> str:
        """The decision that was to say it."""
        return self.name.partition("|")[0]

    @property
    def action(self) -> str:
        """What was to be said."""
        return self.name.partition("|")[2]


class Uses(Struct, frozen=True):
    """The times (ms, ascending) by counter, and the uses of which nobody said yet what became of them."""

    times: Mapping[str, tuple[int, ...]]
    open: tuple[Use, ...] = ()


class Granted(Struct, frozen=True):
    """The rank that was granted for each placement (-1: none), and the candidates that did not fit."""

    ranks: tuple[int, ...]
    bound: tuple[Bound, ...]


class Households:
    """The caps of a strategy that count by household."""

    def __init__(self, strategy: Strategy, caps: CapTable, index: Mapping[str, int]) -> None:
        self._at = strategy.schema.index[strategy.household]
        self._caps = caps
        self._index = index

    @classmethod
    def of(cls, strategy: Strategy, caps: CapTable, index: Mapping[str, int]) -> Households | None:
        """Return what counts by household; None where no cap does, so that it costs nothing."""
        return cls(strategy, caps, index) if any(cap.household for cap in strategy.caps) else None

    def shared(self, entry: Entry) -> Shared | None:
        """Return what candidates use of the household's caps; None where it is unknown, or they use nothing."""
        household: Scalar | None = entry.values[self._at]
        if not isinstance(household, str) or not household:
            return None
        day, at_ms = self._caps.day(entry.values, entry.at_ms), entry.at_ms
        counters = tuple(
            tuple(
                self._caps.household_counters(entry.channel, placed.placement, self._index[c.action], at_ms, day)
                for c in placed.candidates
            )
            for placed in entry.placements
        )
        return Shared(household, counters) if any(any(placed) for placed in counters) else None


class Naming:
    """Which household the store knows a customer to be of, as far as the consent lets that be known."""

    def __init__(self, strategy: Strategy) -> None:
        field = strategy.schema.fields[strategy.schema.index[strategy.household]]
        self._group, self._key, self._look = field.purpose.group, field.key, folds.look(field)

    def household(self, known: Known) -> str:
        """Return the household; empty where it is not known, or cannot be read."""
        group = known.groups.get(self._group)
        try:
            found = (kept for key, _, kept in states.cells(group or b"") if key == self._key)
            value = next((self._look(known.now_ms, kept, known.now_ms) for kept in found), None) if group else None
        except ValueError:
            return ""
        return value if isinstance(value, str) else ""
