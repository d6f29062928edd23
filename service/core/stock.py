"""Stock: how much there is of an item at a place, as far as one process knows, and the fields that tell it."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from msgspec import Struct

from models.context import ContextSchema, Field, Scalar, Supplied

Shelf = tuple[str, str]
"""An item and a place."""


class Stock(Struct, frozen=True):
    """What is free of one item at one place, by the report that was counted at `observed_ms` and holds until
    `expires_ms`.
    """

    free: int
    observed_ms: int
    expires_ms: int


Stocks = Mapping[Shelf, Stock | None]
"""All that is known of the supply at one moment; None stands for what was asked for and never reported."""

NOTHING_KNOWN: Stocks = {}


@dataclass(frozen=True, slots=True)
class Count:
    """One supply field: its place among the values, what it counts, and where the field with its place stands."""

    index: int
    field: Field
    supplied: Supplied
    place_at: int | None

    def shelf(self, values: Sequence[Scalar | None]) -> Shelf | None:
        """Return the item and the place that the field counts for these values; None where the place is unknown."""
        place = self.supplied.place if self.place_at is None else values[self.place_at]
        return (self.supplied.item, place) if type(place) is str and place else None


class Shelves:
    """The supply fields of a strategy."""

    def __init__(self, found: tuple[Count, ...]) -> None:
        self._counts = found

    @classmethod
    def of(cls, schema: ContextSchema, purposes: Container[str]) -> Shelves | None:
        """Collect the supply fields that these purposes allow; None where there are none, so that it costs nothing."""
        found = tuple(count for count in counts(schema) if count.field.purpose in purposes)
        return cls(found) if found else None

    def fill(self, values: list[Scalar | None], stocks: Stocks, now_ms: int) -> dict[str, int]:
        """Put in what is free; return when each field that is known was counted (ms). Too old is unknown."""
        observed = {}
        for count in self._counts:
            shelf = count.shelf(values)
            stock = stocks.get(shelf) if shelf else None
            if stock is None or not _holds(stock, count.field, now_ms):
                values[count.index] = None
                continue
            values[count.index] = stock.free
            observed[count.field.id] = stock.observed_ms
        return observed

    def unlisted(self, values: Sequence[Scalar | None], stocks: Stocks) -> tuple[Shelf, ...]:
        """Return what these values would need to know of the supply and `stocks` does not list."""
        shelves = (count.shelf(values) for count in self._counts)
        return tuple(dict.fromkeys(shelf for shelf in shelves if shelf and shelf not in stocks))


def counts(schema: ContextSchema) -> tuple[Count, ...]:
    """Return the supply fields of a schema."""
    return tuple(
        Count(index, field, field.supplied, schema.index.get(field.supplied.place_from))
        for index, field in enumerate(schema.fields)
        if field.supplied
    )


def _holds(stock: Stock, field: Field, now_ms: int) -> bool:
    if stock.expires_ms <= now_ms:
        return False
    return field.max_age_ms is None or now_ms - stock.observed_ms <= field.max_age_ms
