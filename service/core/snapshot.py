"""See: turn what the store gave out into a typed snapshot in which everything doubtful is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TypeAlias

from msgspec import Struct

from models import states
from models.cells import version_of
from models.clock import Clock
from models.contact import ContactBefore
from models.context import ContextSchema, Field, Purpose, Scalar, Source
from models.kernel import filler
from models.looking import looked_at
from service.core.decision import Known, Request
from service.core.explained import FieldSeen
from service.core.memory import NOTHING_OFF, NOTHING_REMEMBERED, Memory, Switched
from service.core.stock import NOTHING_KNOWN, Shelf, Shelves, Stocks
from service.core.strategy import ConsentLevel, Strategy

NOT_OBSERVED: Mapping[str, int] = {}
_Place: TypeAlias = tuple[str, int]
"""The letter and the field key under which a state is kept."""


class Snapshot(Struct, frozen=True):
    """What is known of one customer at one moment.

    `values` follows the schema's fields; None is unknown. `groups` holds the packed field states, for
    ages, and `observed` when each known field of the supply was counted (ms). `permitted` says whether the customer
    may be contacted unasked on the request's channel. `memory` is what was said and answered before, `off` what
    operators have switched off.
    """

    values: tuple[Scalar | None, ...]
    groups: Mapping[str, bytes]
    now_ms: int
    level: ConsentLevel
    permitted: bool
    observed: Mapping[str, int] = NOT_OBSERVED
    memory: Memory = NOTHING_REMEMBERED
    off: Switched = NOTHING_OFF


class Sight:
    """Sees snapshots under one strategy."""

    def __init__(self, strategy: Strategy) -> None:
        self._schema = strategy.schema
        self._levels = {level.id: level for level in strategy.levels}
        self._lowest = strategy.levels[0]
        self._needs_permission = {channel.id: channel.permission for channel in strategy.channels}
        fills = {purpose: filler(looked_at(strategy.schema, purpose)) for purpose in Purpose}
        self._stored = {level.id: {one.group: fills[one] for one in level.purposes} for level in strategy.levels}
        self._requested = {level.id: _request_fields(strategy.schema, level.purposes) for level in strategy.levels}
        clock, before = Clock.of(strategy.schema), ContactBefore.of(strategy.schema)
        self._shelves = {level.id: Shelves.of(strategy.schema, level.purposes) for level in strategy.levels}
        served = {level.id: Purpose.SERVICE in level.purposes for level in strategy.levels}
        self._clocks = {level: clock if may else None for level, may in served.items()}
        self._befores = {level: before if may else None for level, may in served.items()}

    def see(self, known: Known, request: Request, stocks: Stocks = NOTHING_KNOWN) -> Snapshot:
        """Return the snapshot for a request: only fields whose purpose the customer agreed to, and none too old."""
        level = self._levels.get(known.level or "", self._lowest)
        now_ms = known.now_ms if request.as_of_ms is None else request.as_of_ms
        values: list[Scalar | None] = [None] * len(self._schema.fields)
        stored = self._stored[level.id]
        for letter, group in known.groups.items():
            if (fill := stored.get(letter)) is not None:
                fill(values, group, now_ms)
        requested = self._requested[level.id]
        for index, value in request.context.items():
            if index in requested:
                values[index] = value
        clock = self._clocks[level.id]
        if clock is not None:
            clock.fill(values, now_ms)
        if (last := known.memory.last) is not None and (before := self._befores[level.id]) is not None:
            before.fill(values, last.channel, last.at_ms, now_ms)
        permitted = request.channel in known.channels or not self._needs_permission[request.channel]
        shelves = self._shelves[level.id]
        observed = shelves.fill(values, stocks, now_ms) if shelves is not None else NOT_OBSERVED
        return Snapshot(tuple(values), known.groups, now_ms, level, permitted, observed, known.memory, known.off)

    def level(self, name: str) -> ConsentLevel | None:
        """Return the consent level of a name, or None where the strategy has none of it."""
        return self._levels.get(name)

    def unlisted(self, snapshot: Snapshot, stocks: Stocks) -> tuple[Shelf, ...]:
        """Return the items and places that the snapshot would need to know of and `stocks` does not list."""
        shelves = self._shelves[snapshot.level.id]
        return shelves.unlisted(snapshot.values, stocks) if shelves is not None else ()

    def requested(self, level: str | None) -> frozenset[int]:
        """Return the indexes of the request fields that a consent level allows to be read."""
        return self._requested[self._levels.get(level or "", self._lowest).id]

    def lost(self, then: str, now: ConsentLevel) -> frozenset[Purpose]:
        """Return the purposes that a level of then allowed and that of now does not; of an unknown one, all those."""
        before = self._levels.get(then)
        return frozenset(before.purposes if before else Purpose).difference(now.purposes)

    def fields_seen(self, snapshot: Snapshot) -> tuple[FieldSeen, ...]:
        """Return every field that the consent allows, with its value and age, for explanations."""
        dates, versions = _dates(snapshot.groups), _versions(snapshot.groups)
        return tuple(
            _seen(field, value, _age_ms(field, snapshot, dates), _version(field, versions))
            for field, value in zip(self._schema.fields, snapshot.values, strict=True)
            if field.purpose in snapshot.level.purposes
        )


def _seen(field: Field, value: Scalar | None, age_ms: int | None, version: str) -> FieldSeen:
    return FieldSeen(field.id, value, age_ms, version, field.purpose.value, field.max_age_ms)


def _request_fields(schema: ContextSchema, purposes: tuple[Purpose, ...]) -> frozenset[int]:
    asked = [i for i, field in enumerate(schema.fields) if field.source is Source.REQUEST]
    return frozenset(i for i in asked if schema.fields[i].purpose in purposes)


def _dates(groups: Mapping[str, bytes]) -> dict[_Place, int]:
    dates: dict[_Place, int] = {}
    for letter, group in groups.items():
        with suppress(ValueError):
            dates.update(((letter, key), t) for key, t, _ in states.cells(group))
    return dates


def _versions(groups: Mapping[str, bytes]) -> dict[_Place, str]:
    """Return the versions of the models that computed what is kept, by its place."""
    versions: dict[_Place, str] = {}
    for letter, group in groups.items():
        with suppress(ValueError):
            found = (((letter, key), version_of(kept)) for key, _, kept in states.cells(group))
            versions.update((place, version) for place, version in found if version)
    return versions


def _version(field: Field, versions: Mapping[_Place, str]) -> str:
    return versions.get(_place(field), "") if field.source is Source.MODEL else ""


def _place(field: Field) -> _Place:
    return field.purpose.group, field.key


def _age_ms(field: Field, snapshot: Snapshot, dates: Mapping[_Place, int]) -> int | None:
    if field.supplied:
        observed = snapshot.observed.get(field.id)
        return None if observed is None else snapshot.now_ms - observed
    if field.fold is None or _place(field) not in dates:
        return None
    return snapshot.now_ms - dates[_place(field)]
