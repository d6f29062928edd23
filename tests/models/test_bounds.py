"""Which attributes of events are added up, and so must stay small."""

from __future__ import annotations

import pytest

from models.bounds import event_forms
from models.context import Attribute, ContextSchema, EventType, Field, Fold, FoldKind, Purpose, ValueType

ADDING = {FoldKind.SUM, FoldKind.WINDOW_SUM, FoldKind.DECAY}


@pytest.mark.parametrize("kind", FoldKind)
def test_only_what_is_added_up_must_stay_small(kind: FoldKind) -> None:
    """An attribute is bound to what can be added up exactly where a fold of its own event adds it, and nowhere else."""
    amount, pieces = Attribute("amount", ValueType.DOUBLE), Attribute("pieces", ValueType.INT, optional=True)
    events = EventType("buy", "", (amount, pieces)), EventType("return", "", (amount,))
    field = Field("past.x", ValueType.DOUBLE, Purpose.SERVICE, "", Fold(kind, "buy", "amount"), None, amount, 1)
    forms = event_forms(ContextSchema.of(events, (field,)))
    assert forms["buy"].summed == ({"amount"} if kind in ADDING else set())
    assert forms["return"].summed == set()
    assert forms["buy"].required == ("amount",)
    assert set(forms["buy"].attributes) == {"amount", "pieces"}
