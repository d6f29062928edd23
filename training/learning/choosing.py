"""Which learner an action gets: every candidate forecasts each part of the rows from those before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from ..decisions import Decisions, Floats, Whole
from ..fitting import STRENGTHS
from .learners import Fit, Learner, Logistic, Showing, learners_for
from .platt import log_losses, platt
from .pools import Pool, Side

_PARTS, _FEW_PARTS, _MANY = 8, 4, 20_000
"""Into how many parts of equal size in time the decisions are cut (where there are many, and else); each but the first
is forecast. Few parts would ask for a far future, which favours what knows only the level.
"""

_FOLDS = 4
"""In how many parts customers are divided where rows are forecast from those of other customers."""

_FEWEST_COMPARED = 20


@dataclass(frozen=True, slots=True)
class Choice:
    """What an action learns by, from which pool, and what spoke for it.

    `losses` are the log losses of all candidates on the same rows by `pool: learner`, empty where nothing could be
    compared. `cold` says in words why the action cannot learn from its own rows, empty where it can. `line` is the best
    line among them, with its pool.
    """

    pool: str
    learner: Learner
    losses: Mapping[str, float]
    cold: str
    line: tuple[str, Learner] | None = None

    def by_line(self) -> Choice:
        """Return the choice that has to do without trees."""
        pool, learner = self.line or (self.pool, self.learner)
        return replace(self, pool=pool, learner=learner)


@dataclass(frozen=True, slots=True, eq=False)
class _Candidate:
    """A learner on a pool, and the logits (rows,) of its forecasts of the pool's rows, NaN where there is none."""

    pool: Pool
    learner: Learner
    forecast: Floats

    @property
    def name(self) -> str:
        return f"{self.pool.name}: {self.learner.name}"

    def of(self, target: Pool, logits: Floats) -> Floats:
        """Return, of logits of the pool's rows, those of the rows of a target, which is the pool or an action of it."""
        return logits if target.name == self.pool.name else logits[self.pool.of(target.codes[0])]


@dataclass(frozen=True, slots=True, eq=False)
class Chooser:
    """Chooses for the actions of one side of some decisions, and remembers what was forecast on the way."""

    decisions: Decisions
    showing: Showing
    trees: bool
    window_ms: int = 0
    _unseen: dict[tuple[str, Learner], Floats] = field(default_factory=dict)

    def choices(self, side: Side, advance: Callable[[int], None]) -> dict[int, Choice]:
        """Return what every action learns by; an action is left out that has too little and no group to borrow from."""
        shared = [pool for pool in side.shared() if not pool.lack()]
        forecasts = {pool.name: list(self._forecasts(pool)) for pool in shared}
        chosen: dict[int, Choice] = {}
        for code in range(1, len(self.decisions.actions)):
            own = side.own(code, self.decisions.actions[code])
            near = [pool for pool in shared if code in pool.codes]
            lack = own.lack()
            if not lack:
                candidates = [*self._forecasts(own), *(c for pool in near for c in forecasts[pool.name])]
                chosen[code] = self._best(candidates, own)
            elif near and near[0].name == f"group {side.groups[code]}":
                chosen[code] = replace(self._best(forecasts[near[0].name], near[0]), cold=lack)
            advance(1)
        return chosen

    def unseen(self, pool: Pool, learner: Learner) -> Floats:
        """Return the logits (rows,) of a pool's rows, each forecast from the rows of other customers."""
        key = pool.name, learner
        if key not in self._unseen:
            parts = self._customers()[pool.places]
            self._unseen[key] = across(self.decisions.x[pool.places], pool, learner, parts, self.showing)
        return self._unseen[key]

    def _customers(self) -> Whole:
        """Return in which part (rows,) each row is: those of one customer in the same, for they are alike."""
        _, customer = np.unique(self.decisions.customer, return_inverse=True)
        shuffled = np.random.default_rng(self.showing.seed).permutation(int(customer.max(initial=0)) + 1)
        return np.asarray(shuffled[customer] % _FOLDS, dtype=np.int64)

    def _cuts(self) -> list[int]:
        """Return where in the decisions the parts end."""
        rows = len(self.decisions)
        parts = _PARTS if rows >= _MANY else _FEW_PARTS
        return [rows * part // parts for part in range(1, parts + 1)]

    def pasts(self, cuts: Sequence[int]) -> list[int]:
        """Return how many rows were known at each cut; all before it where the log is hardly longer than a window."""
        known = [self.decisions.known_by(cut, self.window_ms) for cut in cuts]
        return known if any(2 * past >= cut for past, cut in zip(known[:-1], cuts, strict=False)) else list(cuts)

    def _forecasts(self, pool: Pool) -> Iterator[_Candidate]:
        cuts = self._cuts()
        pasts = self.pasts(cuts)
        x = self.decisions.x[pool.places]
        for learner in learners_for(pool, self.showing.seed, trees=self.trees):
            yield _Candidate(pool, learner, _levelled(forward(x, pool, learner, cuts, pasts, self.showing), pool, cuts))

    def _best(self, candidates: Sequence[_Candidate], target: Pool) -> Choice:
        """Return the best line; or the best trees, if time does not speak against them and customers speak for them."""
        logits = np.array([candidate.of(target, candidate.forecast) for candidate in candidates])
        compared = ~np.isnan(logits).any(axis=0)
        if compared.sum() < _FEWEST_COMPARED:
            return uncompared(target.name)
        losses = log_losses(logits[:, compared], target.y[compared])
        means = dict(zip(candidates, losses.mean(axis=1).tolist(), strict=True))
        line = min((c for c in candidates if c.learner.simple), key=means.__getitem__)
        tree = min((c for c in candidates if not c.learner.simple), key=means.__getitem__, default=line)
        parts = np.searchsorted(self._cuts(), target.places[compared], side="right")
        worse = _by_part(losses[candidates.index(tree)] - losses[candidates.index(line)], parts)
        grown = tree is not line and worse.mean() <= 2.0 * _error(worse) and self._gains(tree, line, target)
        best = tree if grown else line
        named = {candidate.name: mean for candidate, mean in means.items()}
        return Choice(best.pool.name, best.learner, named, "", (line.pool.name, line.learner))

    def _gains(self, tree: _Candidate, line: _Candidate, target: Pool) -> bool:
        """Say whether trees forecast unseen customers better than a line by more than a standard error."""
        logits = [c.of(target, self.unseen(c.pool, c.learner)) for c in (line, tree)]
        known = ~np.isnan(logits).any(axis=0)
        if not known.any():
            return False
        y = target.y[known]
        simple, grown = (log_losses(platt(told[known], y).logits(told[known]), y) for told in logits)
        return bool((simple - grown).mean() > _error(simple - grown))


def _by_part(differences: Floats, parts: Whole) -> Floats:
    """Return the mean of each part: rows of one time share its luck, so that parts are what counts as independent."""
    return np.array([differences[parts == part].mean() for part in np.unique(parts)])


def _error(differences: Floats) -> float:
    return float(differences.std(ddof=1) / np.sqrt(len(differences))) if len(differences) > 1 else 0.0


def uncompared(pool: str) -> Choice:
    """Return the most cautious choice, for where nothing can be compared."""
    return Choice(pool, Logistic(STRENGTHS[0]), {}, "")


def forward(
    x: Floats, pool: Pool, learner: Learner, cuts: Sequence[int], pasts: Sequence[int], showing: Showing
) -> Floats:
    """Return the logits of a pool's rows (rows,), each part between cuts forecast from the rows known then; else NaN.

    `pasts` says of each cut how many of the first decisions were known by then.
    """
    logits = np.full(len(pool.y), np.nan)
    for (begin, end), known in zip(pairwise(cuts), pasts, strict=False):
        past, part = pool.places < known, (pool.places >= begin) & (pool.places < end)
        if part.any() and len(np.unique(pool.y[past])) == 2:
            logits[part] = told(learner.fit(x[past], pool.part(past), showing), x[part], pool.action[part])
    return logits


def _levelled(logits: Floats, pool: Pool, cuts: Sequence[int]) -> Floats:
    """Return forecasts with the slope and level that would have been right in each part.

    These two are what calibration, and recalibration between trainings, repair. Judged by them a learner would win by
    having forgotten most when the base rate moves, which no learner sees coming.
    """
    judged = logits.copy()
    for begin, end in pairwise(cuts):
        part = (pool.places >= begin) & (pool.places < end) & ~np.isnan(logits)
        for code in np.unique(pool.action[part]).tolist():
            rows = part & pool.of(code)
            judged[rows] = platt(logits[rows], pool.y[rows]).logits(logits[rows])
    return judged


def across(x: Floats, pool: Pool, learner: Learner, parts: Whole, showing: Showing) -> Floats:
    """Return the logits of a pool's rows (rows,), each part forecast from all others; `parts` (rows,) numbers them."""
    logits = np.full(len(pool.y), np.nan)
    for number in np.unique(parts):
        part = parts == number
        if len(np.unique(pool.y[~part])) == 2:
            logits[part] = told(learner.fit(x[~part], pool.part(~part), showing), x[part], pool.action[part])
    return logits


def told(fit: Fit, x: Floats, action: Whole) -> Floats:
    """Return the logits (rows,) of each row's own action."""
    logits = np.empty(len(x))
    for code in np.unique(action).tolist():
        rows = action == code
        logits[rows] = fit.logits(x[rows], code)
    return logits
