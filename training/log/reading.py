"""What is common to tables of every format: which columns are wanted, and when a row can be used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from models import bounds
from models.context import Attribute, ContextSchema, Scalar, ValueType
from models.decision_table import FEATURE, REQUIRED, feature_column
from training.errors import InputRefused
from training.values import Misfit, fits, happened_ms, typed

from .rows import Came, Decided

MOST_PROBLEMS = 20
_ID_BYTES = 256
_Row = TypeVar("_Row")

Batch = tuple[Decided, ...]
Outcome = tuple[str, Came]
"""What came of the decision of that id."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which fields are read from a table, by column and index of the schema, with their types."""

    fields: tuple[tuple[str, int, ValueType], ...]

    @classmethod
    def of(cls, schema: ContextSchema, features: Sequence[str], columns: Iterable[str]) -> Wanted:
        """Return the fields among `features` that a table with these columns tells."""
        there = set(columns)
        told = [(feature_column(name), schema.index[name]) for name in features if feature_column(name) in there]
        return cls(tuple((column, index, schema.fields[index].type) for column, index in told))


def refuse_missing(name: str, columns: Iterable[str]) -> None:
    """Raise `InputRefused` where a table lacks a column that every row needs."""
    missing = [column for column in REQUIRED if column not in set(columns)]
    if missing:
        has = bounds.listed([column for column in columns if not column.startswith(FEATURE)])
        raise InputRefused([f"{name}: the table has no column {missing[0]!r}; it has {has}"])


@dataclass(slots=True)
class Usable:
    """Makes rows of a file, and collects what is wrong with those that cannot be used."""

    name: str
    problems: list[str] = field(default_factory=list)

    def made(self, number: int, make: Callable[..., _Row], *of: object) -> _Row | None:
        """Return a row made `of` something, or None where it cannot be used; raise `InputRefused` when many cannot."""
        try:
            return make(*of)
        except Misfit as misfit:
            self.problems.append(f"{self.name}:{number}: {misfit}")
            if len(self.problems) >= MOST_PROBLEMS:
                raise InputRefused([*self.problems, "and maybe more; mend these first"]) from None
            return None

    def end(self) -> None:
        """Raise `InputRefused` where any row could not be used."""
        if self.problems:
            raise InputRefused(self.problems)


def decided(cells: Mapping[str, Any], told: dict[int, Scalar | None]) -> Decided:
    """Return a decision from the plain values of its columns; raise `Misfit` for one that cannot be used."""
    fits("decision_id", bounds.wrong_name(_text(cells, "decision_id"), _ID_BYTES))
    fits("customer_id", bounds.wrong_name(_text(cells, "customer_id"), _ID_BYTES))
    fits("action", bounds.wrong_name(_text(cells, "action"), _ID_BYTES))
    probability = cells["probability"]
    if not isinstance(probability, float | int) or not 0.0 < probability <= 1.0:
        raise Misfit("the probability is not above 0 and at most 1; it is that with which the log chose the action")
    allowed = cells.get("allowed")
    return Decided(
        cells["decision_id"],
        cells.get("placement") or "",
        cells["customer_id"],
        happened_ms("at", cells["at"]),
        cells["action"],
        float(probability),
        told,
        None if allowed is None else _texts(allowed),
        tuple(came(one) for one in _dicts(cells.get("outcomes"))),
    )


def came(cells: Mapping[str, Any]) -> Came:
    """Return an outcome from the plain values of its parts; raise `Misfit` for one that cannot be used."""
    fits("an outcome's action", bounds.wrong_name(_text(cells, "action"), _ID_BYTES))
    fits("an outcome's kind", bounds.wrong_name(_text(cells, "kind"), _ID_BYTES))
    at, amount = cells.get("at"), cells.get("amount")
    if amount is not None:
        typed(amount, Attribute("amount", ValueType.DOUBLE))
    at_ms = None if at is None else happened_ms("an outcome's at", at)
    # The contract has no other way to say that an outcome has no amount.
    return Came(cells["action"], cells["kind"], at_ms, float(amount) if amount else None)


def _text(cells: Mapping[str, Any], name: str) -> str:
    text = cells.get(name)
    if not isinstance(text, str):
        raise Misfit(f"{name} is empty, or no text")
    return text


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Misfit("`allowed` is no list of texts")
    return tuple(value)


def _dicts(value: object) -> Sequence[Mapping[str, Any]]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Misfit("`outcomes` is no list of outcomes, each with action, kind, at and amount")
    return value
