"""When next time alone may change an answer: a cap frees, a fact grows too old, a rule begins or ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from models import states
from models.context import Field, FoldKind, Source
from service.core.later import moments
from service.core.policy import Judged
from service.core.snapshot import Snapshot
from service.core.stock import Shelf, Stocks
from service.core.strategy import Strategy

LOOKED_AT_LEAST_MS = 60_000
"""How often is looked where a condition may turn at any moment, such as one over the days since a purchase."""
_TURNING = frozenset({FoldKind.WINDOW_COUNT, FoldKind.WINDOW_SUM, FoldKind.RATE, FoldKind.SINCE, FoldKind.DECAY})


class DueNext:
    """Knows of one strategy when an answer is to be looked at again, though nothing was written."""

    def __init__(self, strategy: Strategy) -> None:
        fields = strategy.schema.fields
        self._ages = {(f.purpose.group, f.key): f.max_age_ms for f in fields if f.fold and f.max_age_ms is not None}
        self._moments = moments(strategy)
        self._turns = any(_turns(field) for field in fields) or any(cap.daily for cap in strategy.caps)

    def at(self, snapshot: Snapshot, judged: Judged, stocks: Stocks, shelves: Iterable[Shelf]) -> int | None:
        """Return the next moment (ms) after that of a snapshot; None where time changes nothing."""
        now_ms = snapshot.now_ms
        ends = (*_held(judged), *self._too_old(snapshot.groups), *_expiries(stocks, shelves), *self._moments)
        promised = (one.until_ms for one in snapshot.memory.promised)
        later = [at_ms for at_ms in (*ends, *promised) if at_ms > now_ms]
        if self._turns:
            later.append(now_ms + LOOKED_AT_LEAST_MS)
        return min(later, default=None)

    def _too_old(self, groups: Mapping[str, bytes]) -> Iterator[int]:
        if not self._ages:
            return
        for letter, group in groups.items():
            with suppress(ValueError):
                for key, at_ms, _ in states.cells(group):
                    if (longest := self._ages.get((letter, key))) is not None:
                        yield at_ms + longest + 1


def _turns(field: Field) -> bool:
    return field.source in (Source.CLOCK, Source.MEMORY) or (field.fold is not None and field.fold.kind in _TURNING)


def _held(judged: Judged) -> Iterator[int]:
    for veto in (*judged.verdicts.vetoes, *(veto for place in judged.capped for veto in place)):
        if veto.until_ms is not None:
            yield veto.until_ms


def _expiries(stocks: Stocks, shelves: Iterable[Shelf]) -> Iterator[int]:
    for shelf in shelves:
        if (stock := stocks.get(shelf)) is not None:
            yield stock.expires_ms
