"""Learn from logged decisions: choose a learner an action, calibrate it, judge it on the latest rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from ..decisions import Decisions, Floats
from ..fitting import HELD_OUT, Blind
from ..metrics import Scores
from .anyway import Anyway, Level
from .choosing import Anyways, Choice, Chooser
from .learners import Fit, Learner, Logistic, Showing
from .platt import Platt, platt, probability
from .pools import Side, said, silent

FORESTS = 8
"""How many forests one version may serve: what they cost is paid in every decision."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to learn: the groups of actions by name, what a missing consent darkens, and the seed of all chance.

    `forests` bounds how many forests serve; 0 tries no trees. Unless `judged`, nothing is held out to judge the models
    by. `window_ms` is how long after a decision its outcome counts, and so is not known. `declared` are the
    propensities that the strategy declares, by the action's name; 0 declares nothing.
    """

    groups: Mapping[str, str]
    blinds: Sequence[Blind] = ()
    seed: int = 0
    forests: int = FORESTS
    judged: bool = True
    window_ms: int = 0
    declared: Mapping[str, float] = field(default_factory=dict)

    @property
    def showing(self) -> Showing:
        """What is shown to learners twice."""
        return Showing(self.blinds, self.seed)


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    fit: Fit
    platt: Platt
    y: Floats
    unseen: Scores

    def logits(self, x: Floats, code: int) -> Floats:
        return self.platt.logits(self.fit.logits(x, code))


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """One action's model: what was fitted on which pool, and the calibration of its logit.

    `held_out` are its scores on the latest rows before it saw them, unset where the earlier ones taught nothing.
    `unseen` are scores of all its rows, each forecast by a model of the same kind that had not seen that customer.
    """

    choice: Choice
    fit: Fit
    platt: Platt
    rows: int
    outcomes: int
    held_out: Scores | None
    unseen: Scores


@dataclass(frozen=True, slots=True, eq=False)
class Learning:
    """What was learned, by the action's name: models of what comes of it when said, and of the same when silent."""

    said: Mapping[str, Model]
    silent: Mapping[str, Model]
    left_out: Mapping[str, str] = field(default_factory=dict)


def learn(decisions: Decisions, plan: Plan, advance: Callable[[int], None] = lambda _: None) -> Learning:
    """Learn a model of every action of which there is enough, or whose group has enough."""
    spoken, quiet = said(decisions, plan.groups), silent(decisions, plan.groups)
    latest = _Latest.of(decisions, plan)
    below = _learned(decisions, quiet, plan, latest, [{} for _ in latest.untils], advance)
    told = zip(below, latest.untils, strict=True)
    anyways = [_anyways(decisions, spoken, quiet, plan, found, until) for found, until in told]
    above = _learned(decisions, spoken, plan, latest, anyways, advance)
    models, baselines = _models(decisions, spoken, above, latest), _models(decisions, quiet, below, latest)
    names = decisions.actions
    left_out = {
        names[code]: spoken.own(code, names[code]).lack() for code in range(1, len(names)) if code not in models
    }
    return Learning(
        {names[code]: model for code, model in models.items()},
        {names[code]: model for code, model in baselines.items() if code in models},
        left_out,
    )


@dataclass(frozen=True, slots=True)
class _Latest:
    """By what is learned: by all rows; and where it is to be judged on those from `cut` on, by what was known there."""

    cut: int
    untils: tuple[int, ...]

    @classmethod
    def of(cls, decisions: Decisions, plan: Plan) -> _Latest:
        rows = len(decisions)
        cut = rows - round(rows * HELD_OUT)
        past = decisions.known_by(cut, plan.window_ms)
        return cls(cut, (rows, past) if plan.judged and past else (rows,))


_Learned: TypeAlias = dict[int, tuple[Choice, _Fitted]]


def _learned(
    decisions: Decisions,
    side: Side,
    plan: Plan,
    latest: _Latest,
    anyways: Sequence[Anyways],
    advance: Callable[[int], None],
) -> list[_Learned]:
    """Learn from all rows; and in the same way from the first ones alone, to be judged on the latest."""
    chooser = Chooser(decisions, plan.showing, plan.forests > 0, plan.window_ms)
    found: list[_Learned] = []
    for until, choices in zip(latest.untils, chooser.choices(side, latest.untils, anyways, advance), strict=True):
        past = side.before(until)
        choices = _affordable(choices, past, plan)
        fitted = _fitted(decisions, past, choices, chooser)
        found.append({code: (choices[code], one) for code, one in fitted.items()})
    return found


def _anyways(
    decisions: Decisions, spoken: Side, quiet: Side, plan: Plan, below: _Learned, until: int
) -> dict[int, Anyway]:
    """Return what happens anyway of each action whose propensity is declared and of which a line was learned."""
    pools = {pool.name: pool for pool in quiet.shared()}
    found: dict[int, Anyway] = {}
    for code, (choice, _) in below.items():
        action, line = decisions.actions[code], choice.by_line()
        if plan.declared.get(action) and isinstance(line.learner, Logistic):
            pool = (pools.get(line.pool) or quiet.own(code, action)).before(until)
            own = spoken.own(code, action).before(until)
            found[code] = Anyway(decisions, code, own, pool, line.learner, plan.declared[action])
    return found


def _models(decisions: Decisions, side: Side, learned: Sequence[_Learned], latest: _Latest) -> dict[int, Model]:
    judged = learned[1] if len(learned) > 1 else {}
    return {
        code: Model(
            choice,
            one.fit,
            one.platt,
            len(one.y),
            int(one.y.sum()),
            _scores(decisions, side, code, latest.cut, judged),
            one.unseen,
        )
        for code, (choice, one) in learned[0].items()
    }


def _affordable(choices: dict[int, Choice], side: Side, plan: Plan) -> dict[int, Choice]:
    """Keep the forests that serve most rows; what had the others takes the best line."""
    rows: dict[tuple[str, str], int] = defaultdict(int)
    for code, choice in choices.items():
        if not choice.learner.simple:
            rows[choice.pool, choice.learner.name] += int(side.rows.of(code).sum())
    kept = sorted(rows, key=lambda key: (-rows[key], key))[: plan.forests]
    return {
        code: choice if choice.learner.simple or (choice.pool, choice.learner.name) in kept else choice.by_line()
        for code, choice in choices.items()
    }


def _fitted(decisions: Decisions, side: Side, choices: Mapping[int, Choice], chooser: Chooser) -> dict[int, _Fitted]:
    """Fit what was chosen, each pair of pool and learner once, and calibrate it for each of its actions."""
    pools = {pool.name: pool for pool in side.shared()}
    wanted: dict[tuple[str, Learner], list[int]] = defaultdict(list)
    for code, choice in choices.items():
        wanted[choice.pool, choice.learner].append(code)
    fitted: dict[int, _Fitted] = {}
    for (name, learner), codes in wanted.items():
        pool = pools.get(name) or side.own(codes[0], name)
        unseen = chooser.unseen(pool, learner)
        fit = learner.fit(decisions.x[pool.places], pool, chooser.showing)
        for code in codes:
            rows = pool.of(code) & ~np.isnan(unseen)
            line = Platt() if isinstance(learner, Level) else platt(unseen[rows], pool.y[rows])
            fitted[code] = _Fitted(fit, line, pool.y[pool.of(code)], _unseen(line.logits(unseen[rows]), pool.y[rows]))
    return fitted


def _unseen(logits: Floats, y: Floats) -> Scores:
    return Scores(probability(logits), y, np.full(len(y), y.mean() if len(y) else np.nan))


def _scores(
    decisions: Decisions, side: Side, code: int, cut: int, judged: Mapping[int, tuple[Choice, _Fitted]]
) -> Scores | None:
    """Return how an action's first model forecast the latest rows, unset where there is no such model or row."""
    late = side.rows.of(code) & (side.rows.places >= cut)
    if code not in judged or not late.any():
        return None
    first = judged[code][1]
    x, y = decisions.x[side.rows.places[late]], side.rows.y[late]
    rate = first.y.mean() if len(first.y) else y.mean()
    return Scores(probability(first.logits(x, code)), y, np.full(len(y), rate))
