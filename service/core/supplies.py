"""What is reported of the supply, and what is told of the demand. Frozen values only."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from service.core.decision import Take

MOST_COUNTED = 2**53 - 1
"""The largest sum of wants that is told: every reader can hold it exactly, also one that knows only doubles."""

_Sum: TypeAlias = Annotated[int, Meta(ge=0, le=MOST_COUNTED)]


class Taken(Struct, frozen=True):
    """What an action of a decision takes, and when the decision was made (ms, by the store's clock)."""

    take: Take
    at_ms: int


class SupplyReport(Struct, frozen=True):
    """So many units of an item were available at a place at `observed_ms`; the report holds until `expires_ms`."""

    item: str
    place: str
    available: int
    observed_ms: int
    expires_ms: int


class SupplyStatus(IntEnum):
    """What became of a report. OLDER: one that was counted later is in force; CONFLICT: another of the same moment."""

    STORED = 1
    REPEATED = 2
    OLDER = 3
    CONFLICT = 4


class SupplyFate(Struct, frozen=True):
    """What became of a report, and what holds now: units that are free, held, and accepted since they were counted."""

    status: SupplyStatus
    free: int
    held: int
    accepted_since: int


class Wanting(IntEnum):
    """How something was wanted; the numbers are those of the public contract."""

    VIEW = 1
    CART = 2
    DECISION = 3
    ACCEPTED = 4


class Wanted(Struct, frozen=True, array_like=True):
    """How often one item was wanted at one place (empty: unknown) in one way, and how many units that were."""

    item: str
    place: str
    kind: Wanting
    count: _Sum
    units: _Sum


class DemandTold(Struct, frozen=True):
    """What was wanted in about a second, with the cursor after it. `gap`: what was told before it is gone."""

    cursor: str
    at_ms: int
    wanted: tuple[Wanted, ...]
    gap: bool
