"""Say in words where a log cannot tell what a policy is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .tally import WEIGHT, Support, Tally

MOST_LACKING = 0.01
"""The share of a policy's probability that may lie on what the log could not say."""
FEWEST = 30.0
"""How many customers a log must at least be worth for a policy."""
_SURELY = 4.0
_MOSTLY = 0.5
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Supported:
    """How much of a policy the log carries.

    `effective` is how many decisions made by the policy itself would tell as much: (sum w)^2 / sum w^2; `customers` the
    same for persons. `largest` is the largest weight. `lacking` is the share of the policy's probability on what the
    log could not say, and `actions` tells which, the largest share first. `refusal` says why there is no value; empty
    where there is one.
    """

    effective: float
    customers: float
    largest: float
    lacking: float
    actions: tuple[tuple[str, float], ...]
    refusal: str


def supported(tally: Tally, arm: str, most_lacking: float = MOST_LACKING) -> Supported:
    """Return how much of a policy the log carries, and a refusal where that is too little."""
    support, rows = tally.support[arm], max(tally.rows, 1)
    shares = _lacking(support) / rows
    by_size = sorted(range(len(shares)), key=lambda code: -shares[code])
    actions = tuple((tally.actions[code], float(shares[code])) for code in by_size if shares[code] > 0.0)
    weights = tally.sums(arm)[:, WEIGHT]
    found = Supported(
        effective=_effective(float(weights.sum()), support.squares),
        customers=_effective(float(weights.sum()), float((weights**2).sum())),
        largest=support.largest,
        lacking=float(shares.sum()),
        actions=actions,
        refusal="",
    )
    return Supported(
        found.effective, found.customers, found.largest, found.lacking, actions, _refusal(tally, found, most_lacking)
    )


def _lacking(support: Support) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return how much of each action the log could not say: what is known, and what its weights surely give away."""
    expected = support.wanted - support.lacking
    missing = expected - support.met
    # Half of it at least, too: the spread is a guess, and luck may withhold a few large weights that are rare.
    surely = (missing > _SURELY * np.sqrt(np.maximum(support.spread, 0.0))) & (missing > _MOSTLY * expected)
    return np.asarray(support.lacking + np.where(surely, missing, 0.0))


def _effective(total: float, squares: float) -> float:
    return total * total / squares if squares > 0.0 else 0.0


def _refusal(tally: Tally, found: Supported, most_lacking: float) -> str:
    if not tally.rows:
        return "Refused: there is no decision whose worth is known."
    if found.lacking > most_lacking:
        return f"Refused: {_which(found)} Log these with a probability above 0, or compare something else."
    if found.customers < FEWEST:
        return (
            f"Refused: the log says of this policy only as much as {found.customers:.0f} customers would, and "
            f"{FEWEST:.0f} are the fewest that an interval is made of. Log more, or explore more."
        )
    return ""


def _which(found: Supported) -> str:
    named = ", ".join(f"{action} ({share:.1%})" for action, share in found.actions[:_NAMED])
    more = f" and {len(found.actions) - _NAMED} others" if len(found.actions) > _NAMED else ""
    return (
        f"{found.lacking:.1%} of what the policy says was never said by the log where it would say it: {named}{more}."
    )
