"""Ask models again about customers: read what is known of each as far as the consent allows, score, write back."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from models.context import ContextSchema, Field, Scalar, Source, ValueType
from models.predictors import Predictor
from service.cli.loading import at_once
from service.rpc.client import CallFailed, Prediction, TactClient

READ_AT_ONCE = 32
BATCH = 100
WRITTEN_AT_ONCE = 1_000
_SHOWN_PROBLEMS = 10


@dataclass(slots=True)
class Refreshed:
    """What became of the customers who were looked at, and of what was predicted about them.

    `customers` counts those scored, those of whom nothing may be predicted (`without_consent`) or nothing can be said
    (`without_answer`), and those whose context the service could not read (`unreadable`). `refused` are the first bad
    predictions and `unread` the first reasons why contexts could not be read, in words, without ids and values.
    """

    customers: Counter[str] = field(
        default_factory=lambda: Counter({"scored": 0, "without_consent": 0, "without_answer": 0, "unreadable": 0})
    )
    predictions: Counter[str] = field(
        default_factory=lambda: Counter({"stored": 0, "superseded": 0, "not_consented": 0, "refused": 0})
    )
    refused: list[str] = field(default_factory=list)
    unread: list[CallFailed] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @property
    def seen(self) -> int:
        """How many customers were looked at."""
        return self.customers.total()

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self.began

    @property
    def complete(self) -> bool:
        """Whether every customer could be read, and every prediction was good."""
        return not self.customers["unreadable"] and not self.predictions["refused"]

    def count_unread(self, failed: Sequence[CallFailed]) -> None:
        """Count customers whose context could not be read."""
        self.customers["unreadable"] += len(failed)
        self.unread += failed[: _SHOWN_PROBLEMS - len(self.unread)]

    def count(self, result: Mapping[str, Any]) -> None:
        """Count what became of one prediction."""
        self.predictions[result["status"]] += 1
        if result["status"] == "refused" and len(self.refused) < _SHOWN_PROBLEMS:
            self.refused.append("; ".join(f"{bad['field']} {bad['description']}" for bad in result["violations"]))


class AnotherStrategy(Exception):
    """The service does not have a field as the models know it, so that they would misread what it shows."""


class Refresher:
    """Asks predictors about customers over a client of the service, and keeps count."""

    def __init__(self, client: TactClient, schema: ContextSchema, predictors: Sequence[Predictor]) -> None:
        self._client = client
        self._schema = schema
        self._predictors = tuple(predictors)
        names = {name for one in predictors for name in (one.prediction.field, *one.prediction.seen)}
        self._fields = {name: _declared(schema.fields[schema.index[name]]) for name in sorted(names)}
        self.refreshed = Refreshed()

    async def changed(self, *, once: bool, lease_s: int = 0) -> AsyncIterator[Refreshed]:
        """Refresh those of whom something changed, for ever or until nobody is left who is not lent.

        Yields the count as it grows. See `refresh` for what it raises.
        """
        async for changes in self._client.predictions.changes(BATCH, lease_s, until_none=once):
            read = await self.refresh([change["customer_id"] for change in changes])
            done = [change for change in changes if change["customer_id"] in read]
            if done:
                await self._client.predictions.finish(done)  # only now: what is not finished is given out again
            yield self.refreshed

    async def refresh(self, customers: Sequence[str]) -> Collection[str]:
        """Refresh these customers and return those whose context could be read.

        Raises `CallFailed` where not even one of several could be read, for then it is not the customers' fault, and
        `AnotherStrategy` where the service shows other fields than the models were made for; then nothing is written.
        """
        found: dict[str, list[Prediction]] = {}
        failed: list[CallFailed] = []

        async def ask(customer: str) -> None:
            try:
                known = await self._client.get_context(customer)
            except CallFailed as error:
                failed.append(error)
            else:
                found[customer] = self._said(customer, known)

        await at_once(ask, customers, READ_AT_ONCE)
        if failed and not found and (len(failed) > 1 or not self.refreshed.seen):
            raise failed[0]
        self.refreshed.count_unread(failed)
        await self._write([one for said in found.values() for one in said])
        return found

    async def _write(self, found: Sequence[Prediction]) -> None:
        for start in range(0, len(found), WRITTEN_AT_ONCE):
            answer = await self._client.predictions.record(found[start : start + WRITTEN_AT_ONCE])
            for result in answer["results"]:
                self.refreshed.count(result)

    def _said(self, customer: str, known: Mapping[str, Any]) -> list[Prediction]:
        """Return what the predictors say of one customer; of what the consent hides nothing is computed."""
        self._check_fields(known)
        hidden = {one["field_id"] for one in known["fields"] if one["state"] == "hidden"}
        allowed = [one for one in self._predictors if one.prediction.field not in hidden]
        values = values_of(known, self._schema) if allowed else ()
        moment = known["as_of"]
        said = [
            Prediction(customer, one.version, moment, {one.prediction.field: value})
            for one in allowed
            if (value := one.value(values, _ms(moment))) is not None
        ]
        self.refreshed.customers["scored" if said else "without_answer" if allowed else "without_consent"] += 1
        return said

    def _check_fields(self, known: Mapping[str, Any]) -> None:
        """See that the service has every field that is asked about as the models know it."""
        shown = {one["field_id"]: (one["purpose"], one["source"], set(one["source_events"])) for one in known["fields"]}
        for name, declared in self._fields.items():
            if shown.get(name) != declared:
                raise AnotherStrategy(name)


def _declared(field: Field) -> tuple[str, str, set[str]]:
    fold = field.fold if field.source is Source.EVENTS else None
    events = {event for event in (fold.event, fold.closed_by) if event} if fold else set()
    return field.purpose.value, field.source.value, events


def values_of(known: Mapping[str, Any], schema: ContextSchema) -> tuple[Scalar | None, ...]:
    """Return what a context shows as one value a field of the schema; None is unknown."""
    shown = {one["field_id"]: one["value"] for one in known["fields"] if one["state"] == "known"}
    return tuple(_scalar(shown.get(field.id), field.type) for field in schema.fields)


def _scalar(value: Any, value_type: ValueType) -> Scalar | None:  # noqa: ANN401 - a JSON value
    if value is None:
        return None
    if value_type is ValueType.TIMESTAMP:
        return _ms(value)
    scalar: Scalar = tuple(value) if value_type is ValueType.STRINGS else value
    return scalar


def _ms(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def batches_of(customers: Iterator[str]) -> Iterator[list[str]]:
    """Yield customers in batches."""
    batch: list[str] = []
    for customer in customers:
        batch.append(customer)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
