"""Groups of people and situations by what was known of them: texts by value, truths by truth, numbers by quarters."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from msgspec import Struct

from models.context import ContextSchema, ValueType
from service.simulating.logged import LoggedRow

UNKNOWN, OTHERS = "unknown", "others"
SAMPLE = 20_000
"""Of how many rows the quarters of numbers and the usual texts are taken."""
_MOST_TEXTS = 20
GROUPED = (ValueType.BOOL, ValueType.INT, ValueType.DOUBLE, ValueType.STRING)


class Segment(Struct, frozen=True):
    """How one field divides people: at the inner `edges` of a number, whose groups are named, or by usual `texts`."""

    field: str
    edges: tuple[float, ...] = ()
    names: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    def of(self, known: Mapping[str, Any]) -> str:
        """Return the group of somebody of whom these values are known."""
        value = known.get(self.field)
        if value is None:
            return UNKNOWN
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, int | float) and self.names:
            return self.names[bisect_right(self.edges, value)]
        text = str(value)
        return _quoted(text) if text in self.texts else OTHERS


def segments(schema: ContextSchema, fields: Iterable[str], sample: Sequence[LoggedRow]) -> tuple[Segment, ...]:
    """Return how fields divide people, from a sample of rows; moments and lists divide nobody."""
    found = []
    for name in dict.fromkeys(fields):
        if schema.fields[schema.index[name]].type in GROUPED:
            found.append(_segment(name, [row.known[name] for row in sample if name in row.known]))
    return tuple(found)


def _segment(name: str, values: Sequence[Any]) -> Segment:
    numbers = sorted(value for value in values if isinstance(value, int | float) and not isinstance(value, bool))
    if numbers:
        ends = sorted({numbers[round(part * (len(numbers) - 1) / 4)] for part in range(5)})
        inner = ends[1:-1] if len(ends) > 2 else ends[1:]
        return Segment(name, tuple(map(float, inner)), _named(ends[0], inner, ends[-1]))
    usual = Counter(value for value in values if isinstance(value, str)).most_common(_MOST_TEXTS)
    return Segment(name, texts=tuple(text for text, _ in usual))


def _named(low: float, inner: Sequence[float], high: float) -> tuple[str, ...]:
    """Return the names of the groups between edges, each told so exactly that no two are alike; an edge belongs to the
    group above it.
    """
    ends = [low, *inner, high]
    written = next(
        (texts for digits in (4, 6, 9, 12) if _distinct(texts := [f"{end:.{digits}g}" for end in ends], ends)),
        [repr(end) for end in ends],
    )
    between = [f"{text} to under {over}" for text, over in pairwise(written[:-1])]
    return (*between, written[-1] if ends[-2] == high else f"{written[-2]} to {written[-1]}")


def _distinct(texts: Sequence[str], ends: Sequence[float]) -> bool:
    return len(set(texts)) == len(set(ends))


def _quoted(text: str) -> str:
    """Return the name of a text, which is in quotes where it would be taken for another group."""
    return f'"{text}"' if text in (UNKNOWN, OTHERS) or text.startswith('"') else text
