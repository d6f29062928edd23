"""Naming: what is wanted is told only by names that the strategy or the ERP gave, for an event can hold any text.

The demand is read by others and is no person's to erase, so nothing of a person may stand in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from models.context import ContextSchema
from service.core.stock import Shelf, Stock
from service.core.strategy import DemandRule
from service.core.supplies import MOST_COUNTED, Wanted, Wanting
from service.errors import StoreError
from service.supply.book import READ_AT_ONCE, Supply
from service.supply.demand import Demands

MOST_REMEMBERED = 20_000
_FROM_EVENTS = frozenset((Wanting.VIEW, Wanting.CART))


@dataclass(frozen=True, slots=True)
class Names:
    """The items and places that the documents write, in rules and fields or as the values an attribute can have."""

    items: frozenset[str]
    places: frozenset[str]

    @classmethod
    def of(cls, rules: Sequence[DemandRule], schema: ContextSchema) -> Names:
        """Collect them from the rules of demand, the attributes that these name, and the fields of the supply."""
        counted = [field.supplied for field in schema.fields if field.supplied]
        values = {(event.id, one.name): one.values for event in schema.events.values() for one in event.attributes}
        items = {name for rule in rules for name in (rule.item, *values.get((rule.event, rule.item_from), ()))}
        places = {name for rule in rules for name in (rule.place, *values.get((rule.event, rule.place_from), ()))}
        items |= {one.item for one in counted}
        places |= {one.place for one in counted}
        return cls(frozenset(items - {""}), frozenset(places | {""}))


class Named:
    """A demand log that is told only of given names: those of the documents, and items at places that were reported.

    What an event wants of a given item at any other place counts for no place; of any other item it does not count.
    """

    def __init__(self, demands: Demands, supply: Supply, names: Names) -> None:
        self._demands = demands
        self._supply = supply
        self._names = names
        self._reported: set[Shelf] = set()
        self._failed = 0

    async def tell(self, process: str, number: int, wanted: Sequence[Wanted], deadline_s: float) -> None:
        """Tell what was wanted, by the names that may be told; raise StoreError when the store fails.

        What cannot be looked up twice, while the store takes what is told, is no given name: it must not hold up the
        others.
        """
        ends_s = asyncio.get_running_loop().time() + deadline_s
        if len(self._reported) > MOST_REMEMBERED:
            self._reported.clear()
        try:
            await self._look_up({(row.item, row.place) for row in wanted if self._is_in_doubt(row)}, deadline_s)
        except StoreError:
            if number != self._failed:
                self._failed = number
                raise
        told = self._summed(wanted)
        if told:
            await self._demands.tell(process, number, told, ends_s - asyncio.get_running_loop().time())

    def _summed(self, wanted: Sequence[Wanted]) -> list[Wanted]:
        summed: dict[tuple[str, str, Wanting], tuple[int, int]] = {}
        for row in wanted:
            if shelf := self._shelf(row):
                count, units = summed.get((*shelf, row.kind), (0, 0))
                summed[*shelf, row.kind] = count + row.count, min(units + row.units, MOST_COUNTED)
        return [Wanted(*key, *sums) for key, sums in summed.items()]

    def _is_in_doubt(self, row: Wanted) -> bool:
        given = row.item in self._names.items and row.place in self._names.places
        known = given or (row.item, row.place) in self._reported
        return row.kind in _FROM_EVENTS and bool(row.place) and not known

    def _shelf(self, row: Wanted) -> Shelf | None:
        """Return the names that a row may be told by; None where it cannot be told."""
        shelf = row.item, row.place
        if row.kind not in _FROM_EVENTS or shelf in self._reported:  # units are granted only of what was reported
            return shelf
        if row.item not in self._names.items:
            return None
        return shelf if row.place in self._names.places else (row.item, "")

    async def _look_up(self, shelves: set[Shelf], deadline_s: float) -> None:
        """Remember which of these were ever reported; raise StoreError when some cannot be looked up."""
        waiting, failed = list(shelves), list[BaseException]()
        for start in range(0, len(waiting), READ_AT_ONCE):
            some = waiting[start : start + READ_AT_ONCE]
            looking = (self._supply.stock(*shelf, deadline_s) for shelf in some)
            found = await asyncio.gather(*looking, return_exceptions=True)
            self._reported.update(shelf for shelf, stock in zip(some, found, strict=True) if isinstance(stock, Stock))
            failed += [one for one in found if isinstance(one, BaseException)]
        if failed:
            raise failed[0]
