"""The gate: what a model must show before it becomes the champion, criterion by criterion, each with its words.

A criterion with an interval fails where the interval says that the challenger is worse, and where it looks worse by
more than the tolerance, be that chance or not: then more has to be logged. It says "better" only if the interval does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..offpolicy.estimates import Estimate
from .fairness import Group, code_of, widest
from .measures import Difference


@dataclass(frozen=True, slots=True)
class Tolerances:
    """By how much a challenger may look worse without failing: log loss and value relative to the champion's, the
    calibration error as it is.
    """

    log_loss: float = 0.01
    calibration: float = 0.005
    value: float = 0.05


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that the gate looks at: whether it passed, in words, and the figures where there are any."""

    name: str
    passed: bool
    words: str
    challenger: float | None = None
    champion: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None


def not_worse(name: str, found: Difference, tolerance: float, unit: str = "") -> Criterion:
    """Judge figures of which less is better."""
    passed, words = _judged(-found.difference, -found.high, -found.low, tolerance)
    told = f"{found.challenger:.4f} against {found.champion:.4f}{unit}: {words}"
    return Criterion(name, passed, told, found.challenger, found.champion, found.difference, found.low, found.high)


def value_not_worse(
    difference: Estimate | None, own: Estimate | None, other: Estimate | None, refusal: str, tolerance: float, unit: str
) -> Criterion:
    """Judge the off-policy values; where the log does not carry both, the gate stays shut and says why."""
    if difference is None or own is None or other is None:
        return Criterion("value", False, refusal or "the log does not tell what both are worth")
    if difference.few and (difference.value, difference.error) != (0.0, 0.0):  # what says the same is not worse
        told = f"whether it is worth less the log does not say: {difference.few}; log more"
        return Criterion("value", False, told, own.value, other.value, difference.value)
    passed, words = _judged(difference.value, difference.low, difference.high, tolerance * abs(other.value))
    told = (
        f"{own.value:.4f} against {other.value:.4f} {unit} a decision (doubly robust), difference "
        f"{difference.value:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]: {words}"
    )
    return Criterion("value", passed, told, own.value, other.value, difference.value, difference.low, difference.high)


def _judged(gain: float, low: float, high: float, tolerance: float) -> tuple[bool, str]:
    """Return whether a gain passes, and what may be said of it."""
    if low > 0.0:
        return True, "better, by its 95 % interval"
    if high < 0.0:
        return False, "worse, by its 95 % interval"
    if gain < -tolerance:
        return False, f"it looks worse by more than the tolerance of {tolerance:.4g}, which may be chance; log more"
    return True, "not worse; no claim of better, as its interval holds 0"


def guarded(cases: int, wrong: Sequence[str], looked: int, objections: Sequence[str]) -> Criterion:
    """Judge whether guardrails hold: all cases as before, and no objection of the independent check on the log."""
    if wrong:
        return Criterion(
            "guardrails", False, f"{len(wrong)} of {cases} cases come out otherwise: {'; '.join(wrong[:5])}"
        )
    if objections:
        named = ", ".join(sorted(set(objections))[:5])
        return Criterion("guardrails", False, f"the independent check objected on {len(objections)} decisions: {named}")
    if not cases and not looked:
        return Criterion("guardrails", False, "neither a case nor a decision was looked at; write cases")
    return Criterion("guardrails", True, f"{cases} cases as they should be, no objection on {looked:,} decisions")


def fair(groups: Sequence[Group], seen: str, largest_gap: float | None) -> Criterion:
    """Judge whether somebody looked at this very fairness table, or its gaps are within a bound."""
    if not groups:
        return Criterion("fairness", False, "no table: name the features that divide people with --groups")
    code, worst = code_of(groups), widest(groups)
    gap = worst.gap if worst else 0.0
    where = f", at {worst.field} = {worst.group}" if worst else ""
    if seen == code:
        return Criterion("fairness", True, f"the table {code} was looked at; the widest gap is {gap:.4f}{where}")
    if largest_gap is not None:
        words = f"the widest gap between forecast and rate is {gap:.4f}{where}; {largest_gap:g} is allowed"
        return Criterion("fairness", worst is not None and gap <= largest_gap, words)
    told = f"look at the table, then repeat with --fairness-seen {code}"
    return Criterion("fairness", False, f"{told} (it is another one than {seen})" if seen else told)


def enough(rows: int, outcomes: int, since: str) -> Criterion:
    """Judge whether the log tells enough that neither model has learned from."""
    passed = rows >= FEWEST_ROWS and min(outcomes, rows - outcomes) >= FEWEST_OF_EACH
    words = f"{rows:,} decisions with a known outcome after {since}, {outcomes:,} outcomes among them"
    need = f"; {FEWEST_ROWS} are needed, {FEWEST_OF_EACH} of them with and {FEWEST_OF_EACH} without an outcome"
    return Criterion("data", passed, words if passed else words + need)


FEWEST_ROWS, FEWEST_OF_EACH = 300, 30
