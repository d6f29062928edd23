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
_GROUPED = (ValueType.BOOL, ValueType.INT, ValueType.DOUBLE, ValueType.STRING)


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
        return text if text in self.texts else OTHERS


def segments(schema: ContextSchema, fields: Iterable[str], sample: Sequence[LoggedRow]) -> tuple[Segment, ...]:
    """Return how fields divide people, from a sample of rows; moments and lists divide nobody."""
    found = []
    for name in dict.fromkeys(fields):
        if schema.fields[schema.index[name]].type in _GROUPED:
            found.append(_segment(name, [row.known[name] for row in sample if name in row.known]))
    return tuple(found)


def _segment(name: str, values: Sequence[Any]) -> Segment:
    numbers = sorted(value for value in values if isinstance(value, int | float) and not isinstance(value, bool))
    if numbers:
        ends = sorted({numbers[round(part * (len(numbers) - 1) / 4)] for part in range(5)})
        inner = ends[1:-1]
        named = tuple(f"{low:.4g} to {high:.4g}" for low, high in pairwise(ends)) or (f"{ends[0]:.4g}",)
        return Segment(name, tuple(map(float, inner)), named)
    usual = Counter(value for value in values if isinstance(value, str)).most_common(_MOST_TEXTS)
    return Segment(name, texts=tuple(text for text, _ in usual))
