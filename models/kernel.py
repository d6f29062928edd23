"""The kernel: reading what is kept of a customer, scoring all actions and finding the best, compiled where it can be.

models/_kernel.c is compiled when Tact is installed (models/kernel_build.py). Where there was no compiler, or with
`TACT_KERNEL=python`, models/kernel_plainly.py does the same to the last bit, and a decision
takes some 80 µs longer.
docs/decisions/0029-compiled-kernel.md has the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from models import kernel_plainly
from models.compiled import compiled
from models.context import FoldKind, ValueType
from models.features import FeatureSpace
from models.kernel_plainly import Doubles
from models.looking import Looked

_compiled = compiled("models._kernel")

COMPILED: bool = _compiled is not None
"""Whether the compiled kernel is in use."""

best: Callable[[Doubles, bytes, int], tuple[list[int], bool]] = _compiled.best if COMPILED else kernel_plainly.best
"""See `kernel_plainly.best`."""

Fill = Callable[[list[Any], bytes, int], object]
_NONE: Doubles = np.zeros(0)
_NO_PLACES: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)


class Lean(Protocol):
    """Logistic models over the same columns; see `kernel_plainly.Logistic`."""

    def lean(self, x: Doubles, lean: Doubles) -> None:
        """Write tanh of each model's weighted sum into `lean`."""
        ...


class Score(Protocol):
    """Scores all actions; see `kernel_plainly.Scoring`."""

    def score(
        self,
        values: tuple[object, ...],
        now_ms: int,
        factors: list[Doubles],
        x: Doubles | None,
        lean: Doubles,
        net: Doubles,
    ) -> bytes:
        """Fill `x`, `lean` and `net`; return the bits of the actions that are worth more than nothing."""
        ...


class Ranks(Protocol):
    """Ranks what is worth saying, and tells what it was ranked by."""

    def candidates(
        self, lean: Doubles, net: Doubles, pool: bytes, rest: bytes, most: int, preferred: bool
    ) -> tuple[Any, ...] | None:
        """Return the best of the pool, and behind them those of the rest, at most so many; None where two are worth the
        same, or more than 16 are wanted. The masks hold what is worth more than nothing, in bytes, the lowest first.
        """
        ...


def ranker(
    candidate: type[Any],
    names: tuple[str, ...],
    modelled: Sequence[bool],
    baselines: Sequence[bool],
    priors: Sequence[float],
    explore: float,
) -> Ranks | None:
    """Return what makes candidates swiftly; None where nothing is compiled, and the arbiter does it alone.

    A candidate is made of its action, propensity, baseline (or None), net value, the probability of standing first when
    a share `explore` is drawn evenly from the pool, whether it is preferred, None, and False.
    """
    if not COMPILED:
        return None
    flags = [np.array(which, dtype=np.bool_) for which in (modelled, baselines)]
    made: Ranks = _compiled.Ranker(candidate, names, *flags, np.array(priors, dtype=np.float64), explore)
    return made


def logistic(weights: Doubles, bias: Doubles, trees: tuple[npt.NDArray[Any], ...] | None) -> Lean:
    """Return models with weights of shape (columns, models), contiguous, and a bias of shape (models,)."""
    if not COMPILED:
        return kernel_plainly.Logistic(weights, bias, trees)
    shape = (*weights.shape, 0)
    made: Lean = _compiled.Scoring(
        *shape, _NO_PLACES, _NO_PLACES, _NO_PLACES, (), weights, bias, _NONE, None, _NONE, _NONE, trees
    )
    return made


def scoring(
    space: FeatureSpace | None,
    weights: Doubles,
    bias: Doubles,
    trees: tuple[npt.NDArray[Any], ...] | None,
    gains: Doubles,
    anyways: Doubles | None,
    constant: Doubles,
    cost: Doubles,
) -> Score:
    """Return what scores the actions of a strategy; without a space no model is asked, and `constant` holds.

    Models that were made for other columns than those of the space are refused when they are asked.
    """
    if space is None:
        weights, bias, trees = np.zeros((0, 0)), _NONE, None
    elif len(weights) != len(space.columns):
        return _Unfit()
    if not COMPILED:
        models = kernel_plainly.Logistic(weights, bias, trees) if space is not None else None
        encode = space.encode if space is not None else None
        return kernel_plainly.Scoring(encode, models, gains, anyways, constant, cost)
    numbers, moments, texts = space.layout if space is not None else ((), (), ())
    made: Score = _compiled.Scoring(
        *weights.shape,
        len(gains),
        _whole(numbers),
        _whole(moments),
        _whole(tuple((index, unknown) for index, unknown, _ in texts)),
        tuple(dict(places) for _, _, places in texts),
        weights,
        bias,
        gains,
        anyways if space is not None else None,
        constant,
        cost,
        trees,
    )
    return made


class _Unfit:
    """Models that cannot be asked."""

    def score(
        self,
        values: tuple[object, ...],
        now_ms: int,
        factors: list[Doubles],
        x: Doubles | None,
        lean: Doubles,
        net: Doubles,
    ) -> bytes:
        """Raise ValueError."""
        raise ValueError("the models were made for other columns than those of the strategy")


def filler(looked: Sequence[Looked]) -> Fill:
    """Return what fills the values of a schema from a group of field states; see `kernel_plainly.Looks.fill`."""
    plainly = kernel_plainly.Looks(looked).fill
    if not COMPILED:
        return plainly
    swiftly: Fill = _compiled.Looks(tuple(map(_row, looked))).fill

    def fill(values: list[Any], group: bytes, now_ms: int) -> None:
        """Fill in what can be read swiftly, and leave what is rare to the twin."""
        if not swiftly(values, group, now_ms):
            plainly(values, group, now_ms)

    return fill


def _whole(pairs: Sequence[tuple[int, int]]) -> npt.NDArray[np.int64]:
    return np.array(pairs, dtype=np.int64).reshape(-1)


_CALLED, _PLAIN_BOOL, _PLAIN_INT, _PLAIN_STR, _NUMBER = range(5)
_PLAIN = {bool: _PLAIN_BOOL, int: _PLAIN_INT, str: _PLAIN_STR}
_COMPUTED = {
    FoldKind.SUM: 5, FoldKind.SINCE: 6, FoldKind.OPEN: 7, FoldKind.DISTINCT: 8, FoldKind.WINDOW_COUNT: 9,
    FoldKind.WINDOW_SUM: 10, FoldKind.RATE: 11, FoldKind.DECAY: 12,
}  # fmt: skip
"""What the compiled kernel calls the ways to read a field; it asks `look` for all others."""


def _row(one: Looked) -> tuple[object, ...]:
    fold = one.fold
    times = fold.per_ms / fold.window_ms if fold.kind is FoldKind.RATE else 0.0
    bounds = (one.longest_ms, fold.window_ms, fold.keep, fold.half_life_ms, times)
    return (one.key, one.index, _kind(one), *bounds, one.look)


def _kind(one: Looked) -> int:
    if one.plain is not None:
        return _PLAIN.get(one.plain, _CALLED)
    if one.fold.kind is FoldKind.MODEL:
        return _CALLED
    return _COMPUTED.get(one.fold.kind, _NUMBER if one.kind is ValueType.DOUBLE else _CALLED)
