"""See: turn what the store gave out into a typed snapshot in which everything doubtful is unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from models import folds
from models.context import ContextSchema, Field, Purpose, Scalar, Source
from service.core.decision import FieldSeen, Known, Request
from service.core.strategy import ConsentLevel, Strategy

_unpack = msgspec.msgpack.Decoder(dict[int, list[Any]]).decode
NO_STATE = -1
_Reader = Callable[[Any, int], Scalar | None]


class Snapshot(Struct, frozen=True):
    """What is known of one customer at one moment.

    `values` follows the schema's fields; None is unknown. `states` holds the unpacked field states by store key, for
    ages. `permitted` says whether the customer may be contacted unasked on the request's channel.
    """

    values: tuple[Scalar | None, ...]
    states: Mapping[int, list[Any]]
    now_ms: int
    level: ConsentLevel
    permitted: bool


class Sight:
    """Sees snapshots under one strategy."""

    def __init__(self, strategy: Strategy) -> None:
        self._schema = strategy.schema
        self._levels = {level.id: level for level in strategy.levels}
        self._lowest = strategy.levels[0]
        self._needs_permission = {channel.id: channel.permission for channel in strategy.channels}
        self._stored = {level.id: _readers(strategy.schema, level.purposes) for level in strategy.levels}
        self._requested = {level.id: _request_fields(strategy.schema, level.purposes) for level in strategy.levels}

    def see(self, known: Known, request: Request) -> Snapshot:
        """Return the snapshot for a request: only fields whose purpose the customer agreed to, and none too old."""
        level = self._levels.get(known.level or "", self._lowest)
        now_ms = known.now_ms if request.as_of_ms is None else request.as_of_ms
        states = _unpacked(known.groups)
        state_of = states.get
        values = [
            None if (state := state_of(key)) is None else read(state, now_ms) for key, read in self._stored[level.id]
        ]
        requested = self._requested[level.id]
        for index, value in request.context.items():
            if index in requested:
                values[index] = value
        permitted = request.channel in known.channels or not self._needs_permission[request.channel]
        return Snapshot(tuple(values), states, now_ms, level, permitted)

    def fields_seen(self, snapshot: Snapshot) -> tuple[FieldSeen, ...]:
        """Return every field that the consent allows, with its value and age, for explanations."""
        return tuple(
            FieldSeen(field.id, value, _age_ms(field, snapshot))
            for field, value in zip(self._schema.fields, snapshot.values, strict=True)
            if field.purpose in snapshot.level.purposes
        )


def _readers(schema: ContextSchema, purposes: tuple[Purpose, ...]) -> tuple[tuple[int, _Reader], ...]:
    """Return a key and reader for each field; the key of a field that may not be read is one that no state has."""
    return tuple(
        (field.key if field.fold is not None and field.purpose in purposes else NO_STATE, folds.reader(field))
        for field in schema.fields
    )


def _request_fields(schema: ContextSchema, purposes: tuple[Purpose, ...]) -> frozenset[int]:
    asked = [i for i, field in enumerate(schema.fields) if field.source is Source.REQUEST]
    return frozenset(i for i in asked if schema.fields[i].purpose in purposes)


def _unpacked(groups: Mapping[str, bytes]) -> dict[int, list[Any]]:
    """Merge the groups' states; a group that cannot be read is as good as empty, so that its fields are unknown."""
    states: dict[int, list[Any]] = {}
    for packed in groups.values():
        try:
            states.update(_unpack(packed))
        except msgspec.DecodeError:
            continue
    return states


def _age_ms(field: Field, snapshot: Snapshot) -> int | None:
    state = snapshot.states.get(field.key)
    if field.fold is None or not state:
        return None
    return folds.age_ms(state, snapshot.now_ms)
