"""Made-up customers and operations for the tests of events in the store."""

from __future__ import annotations

from itertools import count

from models import folds
from models.context import FoldKind
from service.core.records import ConsentRecord
from tests.store.running import Running

_numbers = count()


def new_customer(store: Running) -> str:
    """Return a customer whom nobody knows but for a consent to everything."""
    customer = f"folder-{next(_numbers)}"
    store.wait(store.store.consents.set_consent(customer, ConsentRecord("full", (), 1, "test")))
    return customer


def operation(kind: FoldKind, value: bool | int | float | str, key: int = 1, group: str = "s") -> folds.Operation:
    """Return an operation with ordinary bounds."""
    return folds.Operation(key, group, kind, value, 3_600_000, 86_400_000, 64, False)
