"""What looks as if it told the outcome instead of foretelling it: a feature that is only known afterwards.

A leak is suspected, never proven: whoever knows where a feature comes from decides. Four signs are looked for:
- a feature that alone ranks as well as all others together that are no copies of it, and ranks well; or too well;
- values of a feature with which the outcome never or always happens, in more rows than chance explains;
- a feature that is known where the outcome happened, and mostly unknown where it did not, or the other way round;
- a feature that moves with the time from the decision to the outcome, which nobody can know before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from models.features import FeatureSpace

from ..decisions import Decisions, Floats, Whole

Flags = npt.NDArray[np.bool_]

RANKS_WELL = 0.8
"""The AUC from which a feature alone is suspicious, if all others together rank no better."""

TOO_GOOD = 0.95
"""The AUC from which a feature alone is suspicious, whatever the others do."""

_COPIES = 0.9  # features whose forecasts go together like this are taken for the same thing told twice
_TELLS = 0.8
_MOVES = 0.5
_FEWEST, _FEWEST_OUTCOMES, _MOST = 200, 20, 20_000
_SURE = 30.0  # so many outcomes were to be expected among rows that have none: chance does it once in 10^13
_BINS = 20
_SPLITS = 3


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """The rows that are looked at: what was known (rows, columns), what happened, when, and of whom."""

    x: Floats
    y: Floats
    delay_ms: Floats
    customer: Whole


def leaks(decisions: Decisions, space: FeatureSpace, delay_ms: Floats) -> Iterator[str]:
    """Yield a sentence for every feature that may be a leak; `delay_ms` (decisions,) is from decision to outcome."""
    rows = _rows(decisions, delay_ms)
    if rows is None:
        return
    alone = {feature: _alone(rows, places, space) for feature, places in columns_of(space).items()}
    for feature, places in columns_of(space).items():
        signs = [
            *_too_good(rows, feature, alone, columns_of(space)),
            *_decides(rows, places, space),
            *_known_after(rows, places, space),
            *_moves(rows, places, space),
        ]
        if signs:
            yield f"{feature} may be a leak: {'; '.join(signs)}; leave it out unless it is known before the decision"


def columns_of(space: FeatureSpace) -> dict[str, tuple[int, ...]]:
    """Return the columns of each feature: those up to and with the one that says that it is unknown."""
    ends = [place for place, column in enumerate(space.columns) if column.endswith("?")]
    begins = [0, *(end + 1 for end in ends[:-1])]
    return {
        feature: tuple(range(begin, end + 1)) for feature, begin, end in zip(space.features, begins, ends, strict=True)
    }


def _rows(decisions: Decisions, delay_ms: Floats) -> _Rows | None:
    """Return the rows where something was said, at most `_MOST`; None where there are too few to suspect anything."""
    own = decisions.happened[np.arange(len(decisions)), decisions.action]
    told = np.flatnonzero((decisions.action > 0) & ~np.isnan(own))
    outcomes = float(own[told].sum())
    if len(told) < _FEWEST or min(outcomes, len(told) - outcomes) < _FEWEST_OUTCOMES:
        return None
    some = told if len(told) <= _MOST else np.sort(np.random.default_rng(0).choice(told, _MOST, replace=False))
    return _Rows(decisions.x[some], own[some], delay_ms[some], decisions.customer[some])


def _ranks(rows: _Rows, columns: list[int]) -> float:
    """Return the AUC of some columns for customers whose rows were not learned from."""
    part = rows.customer % _SPLITS
    if not columns or len(np.unique(part)) < _SPLITS:
        return 0.5
    told = np.full(len(rows.y), np.nan)
    for number in range(_SPLITS):
        here = part == number
        if len(np.unique(rows.y[~here])) < 2:
            return 0.5
        trees = HistGradientBoostingClassifier(
            max_iter=30, max_leaf_nodes=8, min_samples_leaf=40, early_stopping=False, random_state=0
        ).fit(rows.x[np.ix_(~here, columns)], rows.y[~here])
        told[here] = trees.predict_proba(rows.x[np.ix_(here, columns)])[:, 1]
    return float(roc_auc_score(rows.y, told))


def _alone(rows: _Rows, places: tuple[int, ...], space: FeatureSpace) -> Floats:
    """Return what one feature forecasts (rows,): the rate of the outcome in its bin among other customers."""
    bins, part = _bins(rows.x, places, space), rows.customer % _SPLITS
    told = np.full(len(rows.y), np.nan)
    for number in range(_SPLITS):
        here = part == number
        happened = np.bincount(bins[~here], rows.y[~here], bins.max() + 1)
        seen = np.bincount(bins[~here], minlength=bins.max() + 1)
        told[here] = ((happened + rows.y.mean()) / (seen + 1.0))[bins[here]]
    return told


def _bins(x: Floats, places: tuple[int, ...], space: FeatureSpace) -> Whole:
    """Return in which bin (rows,) each row is: one a category, or twentieths of a number, and one for unknown."""
    if "=" in space.columns[places[0]] or len(places) == 1:
        return np.asarray(x[:, list(places)].argmax(axis=1), dtype=np.int64)
    values = x[:, places[0]]
    edges = np.unique(np.quantile(values, np.linspace(0.0, 1.0, _BINS + 1)[1:-1]))
    return np.where(x[:, places[-1]] == 1.0, len(edges) + 1, np.searchsorted(edges, values, side="left"))


def _too_good(
    rows: _Rows, feature: str, alone: dict[str, Floats], columns: dict[str, tuple[int, ...]]
) -> Iterator[str]:
    auc = float(roc_auc_score(rows.y, alone[feature]))
    if auc >= TOO_GOOD:
        yield f"alone it ranks with an AUC of {auc:.2f}, which is too good to be true"
        return
    if auc < RANKS_WELL or len(columns) < 2:
        return
    copies = {name for name in columns if name != feature and _goes_with(alone[feature], alone[name])}
    others = _ranks(rows, [place for name in columns if name not in {feature, *copies} for place in columns[name]])
    if auc >= others:
        but = f" but what goes with it ({', '.join(sorted(copies))})" if copies else ""
        yield f"alone it ranks with an AUC of {auc:.2f}, all others{but} together with {others:.2f}"


def _goes_with(one: Floats, other: Floats) -> bool:
    varied = bool(one.std() and other.std())
    return varied and float(np.corrcoef(one, other)[0, 1]) >= _COPIES


def _decides(rows: _Rows, places: tuple[int, ...], space: FeatureSpace) -> Iterator[str]:
    """Look for a range of a number within which the outcome never or always happens."""
    number, unknown = places[0], places[-1]
    if "=" in space.columns[number] or number == unknown:
        return
    known = rows.x[:, unknown] == 0.0
    values, y = rows.x[known, number], rows.y[known]
    if len(np.unique(values)) < _BINS:
        return
    edges = np.unique(np.quantile(values, np.linspace(0.0, 1.0, _BINS + 1)[1:-1]))
    for words, inside, edge in (("up to", values <= edges[0], edges[0]), ("above", values > edges[-1], edges[-1])):
        for happens, missing in (("never", y[inside].sum()), ("always", (1.0 - y[inside]).sum())):
            expected = inside.sum() * (y.mean() if happens == "never" else 1.0 - y.mean())
            if missing == 0 and expected >= _SURE:
                yield (
                    f"{words} {edge:g} the outcome {happens} happens ({int(inside.sum()):,} rows, where "
                    f"{expected:.0f} others were to be expected)"
                )


def _known_after(rows: _Rows, places: tuple[int, ...], space: FeatureSpace) -> Iterator[str]:
    """Look whether being known goes along with the outcome."""
    known = rows.x[:, places[-1]] == 0.0
    if min(known.sum(), (~known).sum()) < _FEWEST_OUTCOMES:
        return
    if_so, if_not = float(known[rows.y > 0.5].mean()), float(known[rows.y < 0.5].mean())
    if abs(if_so - if_not) >= _TELLS:
        yield f"it is known in {if_so:.0%} of the rows with the outcome and in {if_not:.0%} of those without"


def _moves(rows: _Rows, places: tuple[int, ...], space: FeatureSpace) -> Iterator[str]:
    """Look whether a number rises or falls with the time until the outcome."""
    if "=" in space.columns[places[0]] or len(places) < 2:
        return
    timed = ~np.isnan(rows.delay_ms) & (rows.x[:, places[-1]] == 0.0) & (rows.y > 0.5)
    values, delay = rows.x[timed, places[0]], rows.delay_ms[timed]
    if timed.sum() < _FEWEST_OUTCOMES * 5 or len(np.unique(values)) < 3 or len(np.unique(delay)) < 3:
        return
    together = float(np.corrcoef(_ranked(values), _ranked(delay))[0, 1])
    if abs(together) >= _MOVES:
        yield f"it moves with the time until the outcome (rank correlation {together:+.2f})"


def _ranked(values: Floats) -> Floats:
    """Return ranks, equal values sharing their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2.0)[place], dtype=np.float64)
