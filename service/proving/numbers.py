"""Whole numbers, moments and spans in z3: signed 64 bits, and when a calculation stays within what CEL allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import z3

from models.bounds import YEAR_1_MS, YEAR_10000_MS
from service.proving.logic import Bool, both

LEAST = -(1 << 63)
_LONGEST_MS = 9_223_372_036_854  # CEL reckons spans in 64 bits of nanoseconds

Calculated: TypeAlias = tuple[z3.BitVecRef, Bool]
"""What a calculation gives, and when that is known."""


def whole(value: int) -> z3.BitVecNumRef:
    """Return a whole number, or a number of milliseconds."""
    return z3.BitVecVal(value, 64)


def within(value: z3.BitVecRef, low: int | None, high: int | None) -> Bool:
    """Return when a number is at least `low` and at most `high`; None is no bound."""
    above = True if low is None else value >= whole(low)
    return both(above, True if high is None else value <= whole(high))


def _moment(value: z3.BitVecRef) -> Calculated:
    return value, within(value, YEAR_1_MS, YEAR_10000_MS - 1)


def _span(value: z3.BitVecRef) -> Calculated:
    return value, within(value, -_LONGEST_MS, _LONGEST_MS)


def _add(a: z3.BitVecRef, b: z3.BitVecRef) -> Calculated:
    return a + b, both(z3.BVAddNoOverflow(a, b, True), z3.BVAddNoUnderflow(a, b))


def _subtract(a: z3.BitVecRef, b: z3.BitVecRef) -> Calculated:
    return a - b, both(z3.BVSubNoOverflow(a, b), z3.BVSubNoUnderflow(a, b, True))


def _multiply(a: z3.BitVecRef, b: z3.BitVecRef) -> Calculated:
    return a * b, both(z3.BVMulNoOverflow(a, b, True), z3.BVMulNoUnderflow(a, b))


def _divide(a: z3.BitVecRef, b: z3.BitVecRef) -> Calculated:
    return a / b, both(b != 0, _no_overflow(a, b))


def _remainder(a: z3.BitVecRef, b: z3.BitVecRef) -> Calculated:
    return z3.SRem(a, b), both(b != 0, _no_overflow(a, b))


def _no_overflow(a: z3.BitVecRef, b: z3.BitVecRef) -> Bool:
    return z3.Or(b != -1, a != whole(LEAST))


CALCULATED: dict[str, Callable[[z3.BitVecRef, z3.BitVecRef], Calculated]] = {
    "add_int64": _add,
    "subtract_int64": _subtract,
    "multiply_int64": _multiply,
    "divide_int64": _divide,
    "modulo_int64": _remainder,
    "add_timestamp_duration": lambda a, b: _moment(a + b),
    "add_duration_timestamp": lambda a, b: _moment(a + b),
    "add_duration_duration": lambda a, b: _span(a + b),
    "subtract_timestamp_timestamp": lambda a, b: _span(a - b),
    "subtract_timestamp_duration": lambda a, b: _moment(a - b),
    "subtract_duration_duration": lambda a, b: _span(a - b),
}


def negated(value: z3.BitVecRef) -> Calculated:
    """Return the number with the other sign; the least one has none."""
    return -value, value != whole(LEAST)
