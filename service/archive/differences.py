"""Where two entries of the log differ first, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import msgspec
from msgspec import Struct

from service.core.plan import Entry

_ABSENT = object()
_ONE_OF = {
    "candidates": "candidate",
    "degraded": "degradation",
    "draws": "draw",
    "first": "first choice",
    "kept": "promise",
    "learned": "learned action",
    "objections": "objection",
    "odds": "odds",
    "off": "switched off action",
    "promised": "promise",
    "reasons": "reason",
    "refusals": "refusal",
    "takes": "supply",
}
_MOST_SHOWN = 200
_LISTS = ("values", "placements", *_ONE_OF)


class Difference(Struct, frozen=True):
    """What differs, in words that hold no value, and both values as text."""

    what: str
    logged: str
    again: str

    def told(self, *, show: bool) -> str:
        """Return a sentence, with the values where they may be shown."""
        return f"{self.what} differs" + (f": logged {self.logged}, made again {self.again}" if show else "")


def first_difference(logged: Entry, again: Entry, fields: Sequence[str]) -> Difference | None:
    """Return what differs first in the order of the log's fields; None where the entries say the same.

    `fields` names the strategy's fields, in the order of the values.
    """
    found = next(_different((), logged, again), None)
    if found is None:
        return None
    path, one, other = found
    return Difference(_worded(path, logged, fields), _shown(one), _shown(other))


def _different(path: tuple[str | int, ...], one: Any, other: Any) -> Iterator[tuple[tuple[str | int, ...], Any, Any]]:  # noqa: ANN401 - any part of an entry
    if isinstance(one, Struct) and type(one) is type(other):
        for name in one.__struct_fields__:
            yield from _different((*path, name), getattr(one, name), getattr(other, name))
    elif _is_list(one) and _is_list(other):
        for place, (mine, theirs) in enumerate(zip_longest(one, other, fillvalue=_ABSENT)):
            yield from _different((*path, place), mine, theirs)
    elif isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted({*one, *other}):
            yield from _different((*path, str(key)), one.get(key, _ABSENT), other.get(key, _ABSENT))
    elif type(one) is not type(other) or _packed(one) != _packed(other):
        yield path, one, other


def _is_list(value: object) -> bool:
    return isinstance(value, tuple | list)


def _packed(value: object) -> object:
    """Return what tells a value from all others: -0.0 from 0.0 as well."""
    return msgspec.msgpack.encode(value) if value is not _ABSENT else value


def _worded(path: tuple[str | int, ...], entry: Entry, fields: Sequence[str]) -> str:
    words: list[str] = []
    for place, part in enumerate(path):
        before = path[place - 1] if place else ""
        if isinstance(part, int):
            words.append(_numbered(str(before), part, entry, fields))
        elif part not in _LISTS or place == len(path) - 1:
            words.append(part.replace("_", " "))
    return "the " + " of ".join(reversed(words))


def _numbered(of: str, place: int, entry: Entry, fields: Sequence[str]) -> str:
    if of == "values":
        return f"value of field {fields[place]}" if place < len(fields) else f"value {place + 1}"
    if of == "placements" and place < len(entry.placements):
        return f"placement {entry.placements[place].placement}"
    return f"{_ONE_OF.get(of, 'part')} {place + 1}"


def _shown(value: object) -> str:
    if value is _ABSENT:
        return "nothing"
    text = msgspec.json.encode(msgspec.to_builtins(value)).decode()
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"
