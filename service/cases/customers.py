"""Read the customers of cases: facts that several cases share, and those that one case changes."""

from __future__ import annotations

from collections.abc import Sequence

from models.context import Scalar
from models.records import Record
from models.shapes import Reference
from service.cases.case import Customer
from service.cases.facts import read_facts
from service.core.strategy import Strategy

NOBODY = "somebody"
"""The id of a customer of whom a case tells everything itself."""


class Customers:
    """The customers of a strategy's cases, by id. One may be `like` another, with some facts changed."""

    def __init__(self, records: Sequence[Record], strategy: Strategy) -> None:
        self._strategy = strategy
        self._levels = [level.id for level in strategy.levels]
        self._channels = [channel.id for channel in strategy.channels]
        self._records: dict[str, Record] = {}
        taken: dict[str, str] = {}
        for record in records:
            self._records.setdefault(record.id(taken), record)
            record.text("says")

    def check(self, now_ms: int) -> None:
        """Note what is wrong with each customer, also with those whom no case is about."""
        for name, record in self._records.items():
            self._read(name, record, "like", now_ms, ())
            record.rest_is_refused()

    def of(self, record: Record, now_ms: int) -> Customer:
        """Return whom a case is about: a customer, with the facts and the consent that the case tells."""
        return self._read("", record, "customer", now_ms, ())

    def _read(self, name: str, record: Record, key: str, now_ms: int, before: tuple[str, ...]) -> Customer:
        base = self._base(record, key, now_ms, (*before, name))
        facts = dict(base.facts)
        for index, value in read_facts(record, "facts", self._strategy.schema, now_ms).items():
            if value is None:
                facts.pop(index, None)
            else:
                facts[index] = value
        level = record.reference("consent", self._levels, "consent level") if record.has("consent") else base.level
        permits = base.permits
        if record.has("permits"):
            permits = record.values("permits", Reference(self._channels, "channel"), required=False)
        return Customer(name or base.id, level, permits, facts)

    def _base(self, record: Record, key: str, now_ms: int, before: tuple[str, ...]) -> Customer:
        nothing: dict[int, Scalar] = {}
        nobody = Customer(NOBODY, self._levels[0], (), nothing)
        if not record.has(key):
            return nobody
        name = record.reference(key, list(self._records), "customer of these cases")
        if name and name in before:
            record.refuse(f"`{name}` is like itself in the end; let one of them stand alone", key)
            return nobody
        found = self._records.get(name)
        return nobody if found is None else self._read(name, found, "like", now_ms, before)
