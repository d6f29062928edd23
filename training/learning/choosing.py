"""Which learner an action gets: every candidate forecasts each part of the rows from those before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from typing import TypeAlias

import numpy as np

from ..decisions import Decisions, Floats, Whole
from ..fitting import STRENGTHS
from .anyway import STRENGTHS as ABOVE
from .anyway import Above, Anyway, Level
from .learners import Fit, Learner, Logistic, Showing, learners_for
from .platt import log_losses, platt
from .pools import Pool, Side

_PARTS = 5
"""Into how many parts of equal size in time the decisions are cut; each but the first is forecast. One ends where the
latest fifth begins, which is held out.
"""

_FOLDS = 4
"""In how many parts customers are divided where rows are forecast from those of other customers."""

_FEWEST_COMPARED = 20


Anyways: TypeAlias = Mapping[int, Anyway]
"""What happens anyway, by the code of the action."""

Forecasts: TypeAlias = dict[tuple[str, Learner], Floats]
"""Logits of a pool's rows, each forecast from those before it, by the pool's name and the learner."""


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

    @property
    def lender(self) -> str:
        """From what a cold action borrows, in words."""
        return self.learner.name if isinstance(self.learner, Level) else self.pool


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
    """Chooses for the actions of one side of some decisions, and remembers what was forecast on the way.

    It may choose as if less were known: at each of several places, by the decisions before it.
    """

    decisions: Decisions
    showing: Showing
    trees: bool
    window_ms: int = 0
    _unseen: dict[tuple[str, int, Learner], Floats] = field(default_factory=dict)

    def choices(
        self, side: Side, untils: Sequence[int], anyways: Sequence[Anyways], advance: Callable[[int], None]
    ) -> list[dict[int, Choice]]:
        """Return what every action learns by, at each place; and for some, what happens anyway is known there.

        An action is left out that has too little and nothing to borrow from.
        """
        forward: Forecasts = {}
        shared = [list(self._shared(side, until, forward)) for until in untils]
        chosen: list[dict[int, Choice]] = [{} for _ in untils]
        for code in range(1, len(self.decisions.actions)):
            own, own_forward = side.own(code, self.decisions.actions[code]), dict[tuple[str, Learner], Floats]()
            for known, near, lines, until in zip(chosen, shared, anyways, untils, strict=True):
                anyway, own_part = lines.get(code), own.before(until)
                groups = [candidates for candidates in near if code in candidates[0].pool.codes]
                group = next((of for of in groups if of[0].pool.name == f"group {side.groups[code]}"), ())
                if lack := own_part.lack():
                    if borrowed := self._borrowed(own_part, anyway, group):
                        known[code] = replace(borrowed, cold=lack)
                else:
                    mine = self._candidates(own, until, own_forward, anyway)
                    best = self._best([*mine, *chain(*groups)], own_part)
                    known[code] = best or self._unproved(own_part, anyway, group)
                advance(1)
        return chosen

    def _borrowed(self, own: Pool, anyway: Anyway | None, group: Sequence[_Candidate]) -> Choice | None:
        """Return what a cold action learns by: what happens anyway, or else its group, where there is either."""
        if anyway:
            return Choice(own.name, Level(anyway.name, anyway), {}, "")
        return (self._best(group, group[0].pool) or uncompared(group[0].pool.name)) if group else None

    def _unproved(self, own: Pool, anyway: Anyway | None, group: Sequence[_Candidate]) -> Choice:
        """Return what an action learns by whose rows are all so late that nothing could be compared on them."""
        if anyway:
            return Choice(own.name, Above(ABOVE[0], anyway.name, anyway), {}, "")
        best = self._best(group, group[0].pool) if group else None
        return replace(best, cold="its rows are too late to compare anything on them") if best else uncompared(own.name)

    def _shared(self, side: Side, until: int, forward: Forecasts) -> Iterator[list[_Candidate]]:
        """Yield the candidates of every pool of several actions from which there is something to learn."""
        for pool in side.shared():
            if not pool.before(until).lack():
                yield list(self._candidates(pool, until, forward))

    def unseen(self, pool: Pool, learner: Learner) -> Floats:
        """Return the logits (rows,) of a pool's rows, each forecast from the rows of other customers."""
        key = pool.name, pool.until, learner
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
        return [rows * part // _PARTS for part in range(1, _PARTS + 1)]

    def pasts(self, cuts: Sequence[int]) -> list[int]:
        """Return how many rows were known at each cut; all before it where the log is hardly longer than a window."""
        known = [self.decisions.known_by(cut, self.window_ms) for cut in cuts]
        return known if any(2 * past >= cut for past, cut in zip(known[:-1], cuts, strict=False)) else list(cuts)

    def _candidates(
        self, pool: Pool, until: int, forecasts: Forecasts, anyway: Anyway | None = None
    ) -> Iterator[_Candidate]:
        """Yield the learners of the part of a pool before a place; forecasts are those of the whole pool, made once."""
        cuts, part, seen = self._cuts(), pool.before(until), pool.places < until
        above = [Above(strength, anyway.name, anyway) for strength in ABOVE] if anyway else []
        for learner in (*learners_for(part, self.showing.seed, trees=self.trees), *above):
            key = pool.name, learner
            if key not in forecasts:
                x = self.decisions.x[pool.places]
                forecasts[key] = forward(x, pool, learner, cuts, self.pasts(cuts), self.showing)
            yield _Candidate(part, learner, _levelled(forecasts[key][seen], part, cuts))

    def _best(self, candidates: Sequence[_Candidate], target: Pool) -> Choice | None:
        """Return the best line; or the best trees, if time does not speak against them and customers speak for them.

        None where hardly any row is forecast by all of them.
        """
        logits = np.array([candidate.of(target, candidate.forecast) for candidate in candidates])
        compared = ~np.isnan(logits).any(axis=0)
        if compared.sum() < _FEWEST_COMPARED:
            return None
        losses = log_losses(logits[:, compared], target.y[compared])
        means = dict(zip(candidates, losses.mean(axis=1).tolist(), strict=True))
        line = _line(candidates, losses)
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


def _line(candidates: Sequence[_Candidate], losses: Floats) -> _Candidate:
    """Return the line of least loss, given losses (candidates, rows), or one nearer what happens anyway.

    The nearest is preferred whose loss is more by no more than its own standard error: what the few outcomes of one
    action seem to say besides is often chance, and a choice among many lines would follow it.
    """
    means = losses.mean(axis=1)
    best = min((place for place, one in enumerate(candidates) if one.learner.simple), key=means.__getitem__)
    near = [place for place, one in enumerate(candidates) if isinstance(one.learner, Above)]
    for place in near:
        more = losses[place] - losses[best]
        if more.mean() <= _error(more):
            return candidates[place]
    return candidates[best]


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
        past, part = pool.before(known), (pool.places >= begin) & (pool.places < end)
        if part.any() and len(np.unique(past.y)) == 2:
            logits[part] = told(learner.fit(x[pool.places < known], past, showing), x[part], pool.action[part])
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
