"""Claims about what a store would keep of a customer: the engine sees in it the very values that it was made for."""

from __future__ import annotations

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from models.context import FoldKind, Scalar, Source
from service.core.engine import Engine
from service.proving.keeping import Keeping
from service.proving.questions import Customer
from tests.core.test_seeing import strategy as every_fold
from tests.folding import DETERMINISTIC

NOW_MS = 1_796_083_200_000
FEW, AMOUNTS = st.integers(0, 40), st.integers(-(10**9), 10**9).map(lambda thousandths: thousandths / 1000)
TEXTS = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(tuple)
DRAWN: dict[FoldKind, st.SearchStrategy[Scalar]] = {
    FoldKind.LAST: st.sampled_from(("Asia/Kathmandu", "a", "")),
    FoldKind.FIRST: st.sampled_from(("a", "b")),
    FoldKind.COUNT: FEW,
    FoldKind.SUM: AMOUNTS,
    FoldKind.MIN: AMOUNTS,
    FoldKind.MAX: AMOUNTS,
    FoldKind.OPEN: FEW,
    FoldKind.DISTINCT: FEW,
    FoldKind.RECENT: TEXTS,
    FoldKind.WINDOW_COUNT: FEW,
    FoldKind.WINDOW_SUM: AMOUNTS,
    FoldKind.RATE: FEW.map(lambda number: number * (1 / 3)),
    FoldKind.DECAY: AMOUNTS,
    FoldKind.SINCE: st.integers(0, 60 * 30).map(lambda minutes: minutes / 1440),
    FoldKind.MODEL: st.sampled_from((0.0, 0.25, 1.0)),
}
"""Of each fold what it can say; times are within the maximum age of five hours, or without one a day and more."""


def values_of(kinds: dict[FoldKind, Scalar]) -> tuple[Scalar | None, ...]:
    """Return a customer's values: of each fold its value, where it is not too old for the field."""
    found: list[Scalar | None] = []
    for field in every_fold().schema.fields:
        value = kinds.get(field.fold.kind) if field.fold and field.id.partition(".")[2] != "zone" else None
        since = field.fold and field.fold.kind is FoldKind.SINCE and isinstance(value, float)
        too_old = since and field.max_age_ms is not None and value * 86_400_000 > field.max_age_ms  # type: ignore[operator]  # a float
        found.append(None if too_old or (value is not None and type_differs(field.type, value)) else value)
    return tuple(found)


def type_differs(kind: str, value: Scalar) -> bool:
    """Tell whether a value is not of a field's type: the strategy has fields of its own beside those of every fold."""
    wanted = {"int": int, "double": float, "string": str, "strings": tuple, "bool": bool, "timestamp": int}[kind]
    return type(value) is not wanted


@given(st.fixed_dictionaries(DRAWN), st.integers(NOW_MS, NOW_MS + 10**10))
@settings(DETERMINISTIC, max_examples=60, phases=[Phase.generate])
def test_what_is_kept_is_what_is_seen(kinds: dict[FoldKind, Scalar], now_ms: int) -> None:
    """Of every kind of fold the engine sees the value in what is kept; what fades to a millionth."""
    customer = Customer(values_of(kinds), "full", True, now_ms, "web")
    known, request, stocks = Keeping(every_fold()).kept(customer, ("hero",))
    seen = Engine(every_fold(), None).see(known, request, stocks)
    assert seen.now_ms == now_ms
    assert seen.permitted
    assert seen.level.id == "full"
    for field, wanted, found in zip(every_fold().schema.fields, customer.values, seen.values, strict=True):
        if field.source is Source.CLOCK:
            continue
        decays = field.fold is not None and field.fold.kind is FoldKind.DECAY
        assert found == (pytest.approx(wanted, abs=2e-6) if decays else wanted), field.id


def test_nothing_is_kept_that_the_consent_does_not_allow() -> None:
    """Of a level without a purpose no group of that purpose is kept."""
    kinds: dict[FoldKind, Scalar] = {FoldKind.COUNT: 1, FoldKind.SUM: 1.0, FoldKind.MIN: 1.0}
    customer = Customer(values_of(kinds), "service", True, NOW_MS, "web")
    known, _, _ = Keeping(every_fold()).kept(customer, ("hero",))
    assert set(known.groups) <= {"s"}


@pytest.mark.parametrize("kind", [FoldKind.RECENT, FoldKind.OPEN, FoldKind.WINDOW_COUNT])
def test_what_no_events_can_have_said_is_not_kept_so(kind: FoldKind) -> None:
    """An empty list of what was last, and more than is ever kept, are not seen; the rest is."""
    wrong: Scalar = () if kind is FoldKind.RECENT else 10**9
    customer = Customer(values_of({kind: wrong, FoldKind.COUNT: 3}), "full", True, NOW_MS, "web")
    known, request, stocks = Keeping(every_fold()).kept(customer, ("hero",))
    values = Engine(every_fold(), None).see(known, request, stocks).values
    for field, value in zip(every_fold().schema.fields, values, strict=True):
        assert value != wrong
        if field.fold is not None and field.fold.kind is FoldKind.COUNT and field.id.endswith("_ever"):
            assert value == 3
