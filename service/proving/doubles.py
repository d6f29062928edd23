"""Doubles in z3: 64 bits while they are only compared, which is fast, and IEEE 754 numbers when calculated with.

Both are exact, with what is no number, infinities and the two zeros.
"""

from __future__ import annotations

import struct

import z3

from service.proving.logic import Bool, both, deny, either

_SIGN = 1 << 63
_UNSIGNED = _SIGN - 1
_INFINITE = 0x7FF0_0000_0000_0000


def double(value: float) -> z3.BitVecNumRef:
    """Return the bits of a double."""
    return z3.BitVecVal(int.from_bytes(struct.pack(">d", value), "big"), 64)


def read_double(bits: z3.BitVecNumRef) -> float:
    """Return the double that these bits are."""
    return float(struct.unpack(">d", bits.as_long().to_bytes(8, "big"))[0])


def finite(bits: z3.BitVecRef) -> z3.BoolRef:
    """Return when a double is a number and not infinite."""
    return z3.ULT(bits & _UNSIGNED, z3.BitVecVal(_INFINITE, 64))


def negated(value: z3.ExprRef) -> z3.ExprRef:
    """Return the double with the other sign."""
    return value ^ z3.BitVecVal(_SIGN, 64) if z3.is_bv(value) else z3.fpNeg(value)


def calculated(sign: str, a: z3.ExprRef, b: z3.ExprRef) -> z3.FPRef:
    """Return a sum, difference, product or quotient, rounded to the nearest double."""
    work = {"add": z3.fpAdd, "subtract": z3.fpSub, "multiply": z3.fpMul, "divide": z3.fpDiv}[sign]
    return work(z3.RNE(), floating(a), floating(b))


def of_whole(value: z3.BitVecRef) -> z3.FPRef:
    """Return a whole number of 64 bits as the nearest double."""
    return z3.fpSignedToFP(z3.RNE(), value, z3.Float64())


def floating(value: z3.ExprRef) -> z3.FPRef:
    """Return a double as an IEEE 754 number."""
    return z3.fpBVToFP(value, z3.Float64()) if z3.is_bv(value) else value


def alike(a: z3.ExprRef, b: z3.ExprRef) -> tuple[z3.ExprRef, z3.ExprRef]:
    """Return two doubles in the same form."""
    return (a, b) if z3.is_bv(a) and z3.is_bv(b) else (floating(a), floating(b))


def equal(a: z3.ExprRef, b: z3.ExprRef) -> Bool:
    """Return when two doubles are equal: both zeros are, and what is no number equals nothing."""
    a, b = alike(a, b)
    if not z3.is_bv(a):
        return z3.fpEQ(a, b)
    return both(_number(a), _number(b), either(_settled(a == b), _settled(((a | b) << 1) == 0)))


def less(a: z3.ExprRef, b: z3.ExprRef, or_equal: bool = False) -> Bool:
    """Return when one double is less than another, or `or_equal`."""
    a, b = alike(a, b)
    if not z3.is_bv(a):
        return z3.fpLEQ(a, b) if or_equal else z3.fpLT(a, b)
    ordered = _rank(a) <= _rank(b) if or_equal else _rank(a) < _rank(b)
    return both(_number(a), _number(b), ordered)


def _number(bits: z3.BitVecRef) -> Bool:
    return deny(_settled(z3.UGT(bits & _UNSIGNED, z3.BitVecVal(_INFINITE, 64))))


def _rank(bits: z3.BitVecRef) -> z3.BitVecRef:
    """Return a whole number that is ordered as doubles are."""
    rank = z3.If(bits < 0, -(bits & _UNSIGNED), bits)
    return z3.simplify(rank) if z3.is_bv_value(bits) else rank


def _settled(part: z3.BoolRef) -> z3.BoolRef:
    """Return a comparison, computed at once where it is one of constants."""
    return z3.simplify(part)
