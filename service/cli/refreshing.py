"""Ask models again about customers: read what is known of each as far as the consent allows, score, write back."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from models.context import ContextSchema, Scalar, ValueType
from models.predictors import Predictor
from service.cli.loading import at_once
from service.rpc.client import Prediction, TactClient

READ_AT_ONCE = 32
BATCH = 100
WRITTEN_AT_ONCE = 1_000
_SHOWN_PROBLEMS = 10


@dataclass(slots=True)
class Refreshed:
    """What became of the customers who were looked at, and of what was predicted about them.

    `customers` counts those scored, and those of whom nothing may be predicted (`without_consent`) or nothing can be
    said (`without_answer`). `refused` are the first bad predictions in words, without values.
    """

    customers: Counter[str] = field(
        default_factory=lambda: Counter({"scored": 0, "without_consent": 0, "without_answer": 0})
    )
    predictions: Counter[str] = field(
        default_factory=lambda: Counter({"stored": 0, "superseded": 0, "not_consented": 0, "refused": 0})
    )
    refused: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @property
    def seen(self) -> int:
        """How many customers were looked at."""
        return self.customers.total()

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self.began

    def count(self, result: Mapping[str, Any]) -> None:
        """Count what became of one prediction."""
        self.predictions[result["status"]] += 1
        if result["status"] == "refused" and len(self.refused) < _SHOWN_PROBLEMS:
            self.refused.append("; ".join(f"{bad['field']} {bad['description']}" for bad in result["violations"]))


class Refresher:
    """Asks predictors about customers over a client of the service, and keeps count."""

    def __init__(self, client: TactClient, schema: ContextSchema, predictors: Sequence[Predictor]) -> None:
        self._client = client
        self._schema = schema
        self._predictors = tuple(predictors)
        self.refreshed = Refreshed()

    async def changed(self, *, once: bool, lease_s: int = 0) -> AsyncIterator[Refreshed]:
        """Refresh those of whom something changed, until nobody is left or for ever; yield the count as it grows."""
        async for changes in self._client.predictions.changes(BATCH, lease_s, until_none=once):
            await self.refresh([change["customer_id"] for change in changes])
            await self._client.predictions.finish(changes)  # only now: what is not finished is given out again
            yield self.refreshed

    async def refresh(self, customers: Iterable[str]) -> None:
        """Refresh these customers."""
        found: list[Prediction] = []

        async def ask(customer: str) -> None:
            said = self._said(customer, await self._client.get_context(customer))
            found.extend(said)

        await at_once(ask, customers, READ_AT_ONCE)
        for start in range(0, len(found), WRITTEN_AT_ONCE):
            answer = await self._client.predictions.record(found[start : start + WRITTEN_AT_ONCE])
            for result in answer["results"]:
                self.refreshed.count(result)

    def _said(self, customer: str, known: Mapping[str, Any]) -> list[Prediction]:
        """Return what the predictors say of one customer; of what the consent hides nothing is computed."""
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
