"""How the states of a group of fields are packed, as the store keeps them under one purpose.

A group has four parts, with whole numbers of two bytes, the higher one first:

    how many states | the field key of each | for each the place of its date | [table, kept, kept, ...] as msgpack

Places count from 0 and have one byte, or two where there are 256 states or more. The table is [t, lag, t, lag, ...]:
the first t is the milliseconds since 1970 of an event, each other one the milliseconds since the one before it; the
lag is how many seconds later that event arrived, rounded down. What is kept of each state is in models/cells.py. So a
state costs three bytes and what it says, and an event about six, however many fields it dates.
service/store/lua/groups.lua writes the same.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, TypeAlias

import msgspec

from models.cells import MALFORMED, State, kept_of, state_of

_decode = msgspec.msgpack.Decoder(list[Any]).decode
_encode = msgspec.msgpack.Encoder().encode
_SECOND_MS = 1000
_WIDE = 256
_NUMBERS = [struct.Struct(f">{n}H").unpack_from for n in range(_WIDE)]
_BAD = (msgspec.DecodeError, struct.error, *MALFORMED)

Columns: TypeAlias = tuple[Sequence[int], Sequence[int], list[int], list[int], list[Any]]
"""The field keys, the places of their dates, the dates (ms), their lags (s) and what is kept."""


def packed(states: Mapping[int, State], arrivals: Mapping[int, int] | None = None) -> bytes:
    """Return the bytes of states by field key, with when (ms) the event that dates each of them arrived.

    An arrival that is not given is the event's own time; arrivals are kept to the second.
    """
    dates = {
        key: (state[0], ((arrivals or {}).get(key, state[0]) - state[0]) // _SECOND_MS) for key, state in states.items()
    }
    places = {date: place for place, date in enumerate(sorted(set(dates.values())))}
    table: list[int] = []
    latest = 0
    for t, lag in places:
        table += [t - latest, lag]
        latest = t
    n = len(states)
    head = struct.pack(f">H{n}H{n}{_code(n)}", n, *states, *(places[date] for date in dates.values()))
    return head + _encode([table, *map(kept_of, states.values())])


def unpacked(group: bytes) -> dict[int, State]:
    """Return the states of a group by field key, as models/folds.py describes them.

    Raises ValueError when the group cannot be read; a single state that cannot be is left out.
    """
    return dict(_states(cells(group)))


def arrivals(group: bytes) -> dict[int, int]:
    """Return by field key when (ms, to the second) the event that dates the state arrived; raise ValueError."""
    keys, places, times, lags, _ = columns(group)
    if not all(type(lag) is int for lag in lags):
        raise _unreadable()
    at = [t + lag * _SECOND_MS for t, lag in zip(times, lags, strict=True)]
    return {key: at[place] for key, place in zip(keys, places, strict=True)}


def cells(group: bytes) -> Iterable[tuple[int, int, Any]]:
    """Return of each state of a group its field key, its date (ms) and what is kept; raise ValueError."""
    keys, places, times, _, kept = columns(group)
    return zip(keys, [times[place] for place in places], kept, strict=True)


def columns(group: bytes) -> Columns:
    """Return a group column by column, the fastest way to read all of it; raise ValueError."""
    try:
        n = 256 * group[0] + group[1]
        start = 2 + 2 * n
        places: Sequence[int]
        if n < _WIDE:
            kept = _decode(group[start + n :])
            keys, places = _NUMBERS[n](group, 2), group[start : start + n]
        else:
            kept = _decode(group[start + 2 * n :])
            keys, places = struct.unpack_from(f">{n}H", group, 2), struct.unpack_from(f">{n}H", group, start)
        table = kept.pop(0)
        times, lags = [*accumulate(table[::2])], table[1::2]
        if len(kept) == n and len(lags) == len(times) and (not n or max(places) < len(times)):
            return keys, places, times, lags, kept
    except _BAD:
        pass
    raise _unreadable()


def _code(n: int) -> str:
    return "B" if n < _WIDE else "H"


def _states(found: Iterable[tuple[int, int, Any]]) -> Iterator[tuple[int, State]]:
    for key, t, kept in found:
        try:
            yield key, state_of(t, kept)
        except MALFORMED:
            continue


def _unreadable() -> ValueError:
    return ValueError("the field states cannot be read")
