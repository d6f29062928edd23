"""Repairs of all models of a version; a model with too few recent outcomes borrows from those of its side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..folding import Estimator, Estimators
from ..forests import Calibrated
from ..learning.learners import calibrated_line
from ..metrics import Scores
from .repair import Reach, Repair, lack, repaired
from .seen import Floats, Seen
from .watching import Found, Past, Side, Sides, look, odds_of


@dataclass(frozen=True, slots=True, eq=False)
class Mended:
    """One model put right: how, the window that taught it, and whether that was of all actions together."""

    repair: Repair
    first_ms: int
    last_ms: int
    borrowed: bool
    ahead: Scores


Repairs = tuple[dict[str, Mended], dict[str, Mended]]
"""By action: of models of what comes of it when said, and when nothing is said."""


@dataclass(frozen=True, slots=True, eq=False)
class Remedy:
    """What was found, what is put right for it, and all estimators of a version as they should be."""

    found: Found
    repairs: Repairs
    said: Estimators
    silent: Estimators


def remedy(
    past: Past, recent: Sides, estimators: tuple[Estimators, Estimators], reach: Reach, *, always: bool = False
) -> Remedy:
    """Look for drift, and put the trained estimators right if an alarm asks for it, or if that is wanted `always`."""
    seen = look(past, recent)
    if seen.trustworthy and not always:
        return Remedy(seen, ({}, {}), *estimators)
    repairs = (
        mended(recent.said, past.rates(past.said), estimators[0], reach),
        mended(recent.silent, past.rates(past.silent), estimators[1], reach),
    )
    said, silent = (
        {action: with_repair(e, fixes[action].repair) if action in fixes else e for action, e in side.items()}
        for side, fixes in zip(estimators, repairs, strict=True)
    )
    return Remedy(seen, repairs, said, silent)


def mended(recent: Side, rates: Mapping[str, float], estimators: Estimators, reach: Reach) -> dict[str, Mended]:
    """Return the repairs by action: of each on its own outcomes, else slope and offset on those of all together.

    `rates` are the shares of outcomes that were known before.
    """
    known = {
        action: np.full(len(seen), rates.get(action, float(seen.happened.mean()))) for action, seen in recent.items()
    }
    cold = {action for action, seen in recent.items() if lack(seen.happened[-reach.rows :])}
    own = {
        action: _mended(seen, known[action], scale_of(estimators[action]), reach)
        for action, seen in recent.items()
        if action not in cold
    }
    together = _together(recent, known, reach) if cold else None
    found = {action: together if action in cold else own[action] for action in recent}
    return {action: one for action, one in found.items() if one}


def _together(recent: Side, known: Mapping[str, Floats], reach: Reach) -> Mended | None:
    """Put all actions right together, by slope and offset; each row keeps the rate known of its own action."""
    everyone = Seen.joined(list(recent.values()))
    order = np.argsort(everyone.at_ms, kind="stable")
    rates = np.concatenate([known[action] for action in recent])
    found = _mended(everyone.part(order), rates[order], None, reach)
    return found and replace(found, borrowed=True)


def _mended(seen: Seen, rates: Floats, scale: Floats | None, reach: Reach) -> Mended | None:
    recent = seen.part(slice(-reach.rows, None))
    repair = repaired(odds_of(recent.forecast), recent.x, recent.happened, scale, reach)
    if repair is None:
        return None
    held = slice(-len(repair.ahead), None)
    scores = Scores((1.0 + np.tanh(repair.ahead / 2.0)) / 2.0, recent.happened[held], rates[held])
    return Mended(repair, int(recent.at_ms[0]), int(recent.at_ms[-1]), False, scores)


def scale_of(estimator: Estimator) -> Floats | None:
    """Return the spread of the columns that a line was fitted on; None for a forest, which has no weights."""
    return None if isinstance(estimator, Calibrated) else np.asarray(estimator[0].scale_, dtype=np.float64)


def with_repair(estimator: Estimator, repair: Repair) -> Estimator:
    """Return an estimator whose log odds are those of the repair."""
    if isinstance(estimator, Calibrated):
        intercept = float(estimator.logistic.intercept_[0])
        slope, offset = repair.slope * estimator.slope, repair.slope * intercept + repair.offset
        return Calibrated.by(estimator.forest, slope, offset)
    pipeline = calibrated_line(estimator, repair.slope, repair.offset)
    scaler, logistic = pipeline[0], pipeline[-1]
    logistic.coef_ = logistic.coef_ + repair.weights * scaler.scale_
    logistic.intercept_ = logistic.intercept_ + repair.weights @ scaler.mean_
    return pipeline
