"""Evaluate policies on a log: two passes over its batches, one that learns what actions earn and one that adds up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..decisions import Decisions
from .estimates import BY_INFLUENCE, Estimate, Intervals, Method, difference, logged, over_log, value
from .refusals import MOST_LACKING, Supported, supported
from .tally import Tally
from .worths import Worths

Floats = npt.NDArray[np.float64]
Policies = Mapping[str, Floats]


@dataclass(frozen=True, slots=True)
class Arm:
    """One policy on a log: how far the log carries it, and its values by method, none of them where it is refused."""

    name: str
    support: Supported
    values: Mapping[Method, Estimate]
    coverage: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What a log of so many `rows` and `customers` tells of the arms; `unknown` rows had no known worth."""

    rows: int
    customers: int
    unknown: int
    logged: Estimate
    actions: tuple[str, ...]
    arms: tuple[Arm, ...]
    tally: Tally
    intervals: Intervals = BY_INFLUENCE

    def arm(self, name: str) -> Arm:
        """Return an arm by its name."""
        return next(arm for arm in self.arms if arm.name == name)

    def difference(self, arm: str, than: str, method: Method = Method.DR) -> Estimate | None:
        """Return by how much an arm is worth more than another one; None where the log does not carry both."""
        if self.arm(arm).support.refusal or self.arm(than).support.refusal:
            return None
        return difference(self.tally, arm, than, method, self.intervals)

    def over_log(self, arm: str, method: Method = Method.DR) -> Estimate | None:
        """Return by how much an arm is worth more than what was logged; None where the log does not carry it."""
        if self.arm(arm).support.refusal:
            return None
        return over_log(self.tally, arm, method, self.intervals)


def evaluate(
    decisions: Decisions,
    policies: Policies,
    q: Floats | None = None,
    intervals: Intervals = BY_INFLUENCE,
    most_lacking: float = MOST_LACKING,
) -> Evaluated:
    """Evaluate policies (n, actions) on logged decisions; without `q`, what actions earn is learned, cross-fitted.

    Raises ValueError where a policy is none.
    """
    tally = Tally(tuple(policies), decisions.actions)
    tally.add(decisions, policies, learned(lambda: [decisions], decisions.actions)(decisions) if q is None else q)
    return summed(tally, intervals, most_lacking)


Q = Callable[[Decisions], Floats]


def learned(batches: Callable[[], Iterable[Decisions]], actions: Sequence[str]) -> Q:
    """Learn in one pass what actions earn; what is returned gives it for rows, without having seen their person."""
    worths: Worths | None = None
    for batch in batches():
        worths = worths or Worths(len(batch.columns), len(actions))
        worths.add(batch)
    if worths is None:
        return lambda rows: np.zeros((len(rows), len(actions)))
    return worths.expected


def evaluated(
    batches: Iterable[tuple[Decisions, Policies]],
    arms: Sequence[str],
    actions: Sequence[str],
    q: Q,
    intervals: Intervals = BY_INFLUENCE,
    most_lacking: float = MOST_LACKING,
) -> Evaluated:
    """Evaluate policies on a log in batches; customers must have the same codes in all of them."""
    tally = Tally(arms, actions)
    for rows, policies in batches:
        tally.add(rows, policies, q(rows))
    return summed(tally, intervals, most_lacking)


def summed(tally: Tally, intervals: Intervals, most_lacking: float) -> Evaluated:
    """Return what sums tell of their arms."""
    return Evaluated(
        tally.rows,
        len(tally.counts),
        tally.unknown,
        logged(tally, intervals),
        tally.actions,
        tuple(_arms(tally, intervals, most_lacking)),
        tally,
        intervals,
    )


def _arms(tally: Tally, intervals: Intervals, most_lacking: float) -> Iterator[Arm]:
    for name in tally.arms:
        support = supported(tally, name, most_lacking)
        values = {} if support.refusal else {method: value(tally, name, method, intervals) for method in Method}
        coverage = tuple((tally.support[name].wanted / max(tally.rows, 1)).tolist())
        yield Arm(name, support, values, coverage)
