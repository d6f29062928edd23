"""What models say of customers, and the customers whom they are to be asked about again. Frozen values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from models.folds import Operation


class PredictionFate(IntEnum):
    """What the store did with a prediction."""

    SUPERSEDED = 0
    STORED = 1
    ERASED = 3
    NOT_CONSENTED = 4


@dataclass(frozen=True, slots=True)
class PredictionToStore:
    """What one version of a model says of one customer, ready to be stored as of the moment it was computed for.

    `name` is the first field of which it says something.
    """

    customer: str
    computed_ms: int
    operations: tuple[Operation, ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A customer of whom something changed, lent to a job; `loan` names the loan."""

    customer: str
    loan: str
