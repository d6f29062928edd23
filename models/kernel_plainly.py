"""The kernel in Python and numpy: what models/_kernel.c does, to the last bit, on machines where it is not compiled.

Both add, multiply and divide in the same order, one rounding after the other, and use no function whose result depends
on the library at hand. tests/models/test_kernel.py holds them to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from models import states
from models.looking import Looked

Doubles: TypeAlias = npt.NDArray[np.float64]
Whole: TypeAlias = npt.NDArray[np.int64]
Encode: TypeAlias = Callable[[Sequence[object], int], Doubles]

_TAYLOR = (
    1.6059043836821613e-10, 2.08767569878681e-09, 2.505210838544172e-08, 2.7557319223985893e-07,
    2.7557319223985893e-06, 2.48015873015873e-05, 0.0001984126984126984, 0.001388888888888889, 0.008333333333333333,
    0.041666666666666664, 0.16666666666666666, 0.5, 1.0, 1.0,
)  # fmt: skip
"""1 / n! from n = 13 down to 0."""
_LN2 = (0.693145751953125, 1.4286068203094172321e-6)
"""The logarithm of 2 in two parts, of which the first times a whole number up to 58 is exact."""
_LOG2_E = 1.4426950408889634
_WHOLE = 6755399441055744.0
"""1.5 * 2**52: a number that is added to it and taken away again is rounded to a whole one."""


def tanh(y: Doubles) -> Doubles:
    """Return tanh(y) as (e - 1) / (e + 1) with e = exp(2 y): within 3e-16 of the truth, by arithmetic alone.

    exp(t) is 2**k * exp(r) with k the whole number next to t / ln 2, and exp(r) its Taylor series of degree 13.
    """
    with np.errstate(invalid="ignore"):
        t = y + y
        t = np.where(t > 40.0, 40.0, t)
        t = np.where(t < -40.0, -40.0, t)
        k = (t * _LOG2_E + _WHOLE) - _WHOLE
        r = (t - k * _LN2[0]) - k * _LN2[1]
        p = np.full_like(r, _TAYLOR[0])
        for factor in _TAYLOR[1:]:
            p = p * r + factor
        e = p * np.ldexp(1.0, np.where(np.isnan(k), 0.0, k).astype(np.int64))
        found: Doubles = (e - 1.0) / (e + 1.0)
        return found


class Logistic:
    """Logistic models over the same columns, scored at once.

    `weights` has the shape (columns, models), `bias` (models,). Of `trees`, the arrays of `Boosted`, model `rows[j]`
    adds `scale[j]` times the sum of forest `forest[j]`.
    """

    def __init__(self, weights: Doubles, bias: Doubles, trees: tuple[npt.NDArray[Any], ...] | None) -> None:
        self.weights = weights
        self.bias = bias
        self._trees = trees

    def lean(self, x: Doubles, lean: Doubles) -> None:
        """Write tanh of each model's weighted sum into `lean`, of shape (models,), given a row of shape (columns,)."""
        with np.errstate(over="ignore", invalid="ignore"):
            known = x.nonzero()[0]
            parts = np.concatenate((self.bias[None], self.weights[known] * x[known, None]))
            z: Doubles = np.add.accumulate(parts, axis=0)[-1]  # one after the other, unlike a sum
            if self._trees is not None:
                _hang(z, x, *self._trees)
        lean[:] = tanh(z)


def _hang(
    z: Doubles,
    x: Doubles,
    feature: Whole,
    threshold: Doubles,
    child: Whole,
    value: Doubles,
    roots: Whole,
    first: Whole,
    rows: Whole,
    forest: Whole,
    scale: Doubles,
) -> None:
    """Add what the forests say to the weighted sums of the models, in place."""
    at = roots
    while (child[at] != at).any():
        beyond = x[feature[at]] > threshold[at]
        at = np.where(child[at] == at, at, child[at] + beyond)
    ends, leaves = (*first[1:].tolist(), len(roots)), value[at]
    sums = [
        np.add.accumulate(np.concatenate(([0.0], leaves[begin:end])))[-1]
        for begin, end in zip(first.tolist(), ends, strict=True)
    ]
    for row, scaled, of in zip(rows.tolist(), scale.tolist(), forest.tolist(), strict=True):
        z[row] += scaled * sums[of]


class Scoring:
    """Scores all actions of a strategy: propensities and net values of one context at a time.

    net = gains * lean - anyways * lean of the baselines + constant, and, where there are factors, revenue = net + cost
    is multiplied by each of them before the cost is taken off again. `gains`, `anyways` (unset where there are no
    baselines), `constant` and `cost` have the shape (actions,); the models of `logistic`, where there are any, are
    those of the actions, then their baselines.
    """

    def __init__(
        self,
        encode: Encode | None,
        logistic: Logistic | None,
        gains: Doubles,
        anyways: Doubles | None,
        constant: Doubles,
        cost: Doubles,
    ) -> None:
        self._encode = encode
        self._logistic = logistic
        self._gains, self._anyways, self._constant, self._cost = gains, anyways, constant, cost

    def score(
        self,
        values: tuple[object, ...],
        now_ms: int,
        factors: list[Doubles],
        x: Doubles | None,
        lean: Doubles,
        net: Doubles,
    ) -> bytes:
        """Fill `x` (where wanted), `lean` and `net`; return the bits of the actions that are worth more than nothing,
        the lowest first.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            net[:] = self._constant
            if self._encode is not None and self._logistic is not None:
                row = self._encode(values, now_ms)
                if x is not None:
                    x[:] = row
                self._logistic.lean(row, lean)
                net[:] = lean[: len(net)] * self._gains
                if self._anyways is not None:
                    net -= lean[len(net) :] * self._anyways
                net += self._constant
            if factors:
                net += self._cost
                for factor in factors:
                    net *= factor
                net -= self._cost
        return np.packbits(net > 0.0, bitorder="little").tobytes()


def best(net: Doubles, mask: bytes, most: int) -> tuple[list[int], bool]:
    """Return the indexes of the `most` highest values in a mask, highest first, with all that equal the last of them.

    Also tell whether any two are equal. What is no number is lowest.
    """
    flags = np.unpackbits(np.frombuffer(mask, dtype=np.uint8), bitorder="little")[: len(net)]
    among = flags.nonzero()[0]
    values = np.where(np.isnan(net[among]), -np.inf, net[among])
    order = np.argsort(-values, kind="stable")
    ranked = values[order]
    kept = min(most, len(order))
    while 0 < kept < len(order) and ranked[kept] == ranked[kept - 1]:
        kept += 1
    return among[order[:kept]].tolist(), bool((ranked[1:kept] == ranked[: max(kept - 1, 0)]).any())


class Looks:
    """Reads the groups of field states of one purpose; models/states.py describes them."""

    def __init__(self, looked: Sequence[Looked]) -> None:
        self._looks = {one.key: (one.index, one.plain, one.longest_ms, one.look) for one in looked}

    def fill(self, values: list[Any], group: bytes, now_ms: int) -> bool:
        """Fill in what a group says; one that cannot be read is as good as empty, so that its fields are unknown."""
        try:
            keys, places, times, _, cells = states.columns(group)
        except ValueError:
            return False
        for found, place, kept in zip(map(self._looks.get, keys), places, cells, strict=True):
            if found is not None:
                index, plain, longest_ms, look = found
                if type(kept) is plain:  # half of the fields, for which a call costs more than all the rest
                    values[index] = kept if now_ms - times[place] <= longest_ms else None
                else:
                    values[index] = look(times[place], kept, now_ms)
        return True
