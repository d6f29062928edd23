"""The arms: what a strategy and its simple rivals would say in a situation, each as exact probabilities.

All of them keep the guardrails, the rules that permit and what a rule asks for instead; they differ in how they choose
among what is left. Caps, cool-offs, promises and stock are not part of what a row of the log tells, so none of the arms
sees them; unless the log says what it might have said, and the arms are kept within that.

- `strategy`: as the strategy decides, its exploration included, for people in no control group.
- `no_levers`: the same without levers and context weights.
- `propensity_only`: the likeliest action, whatever it is worth; as most tools rank.

Random, nothing, and always the one best action need only what is permitted: whoever evaluates adds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from operator import or_
from zlib import crc32

import msgspec
from msgspec import Struct

from models.propensity import Folded
from service.core.arbitrate import Scores
from service.core.decision import Known, Request
from service.core.distribution import Distribution
from service.core.engine import Engine
from service.core.policy import Judged
from service.core.selection import bits
from service.core.snapshot import Snapshot
from service.core.strategy import Strategy
from service.evaluating.rows import Row
from service.evaluating.told import Telling

STRATEGY, AGAINST = "strategy", "against"
NO_LEVERS, PROPENSITY_ONLY = "no_levers", "propensity_only"

_UNEXPLORED = 1.0 - 2.0**-32
Chances = Mapping[int, float]
"""Probabilities by the action's index; what is left to 1 says nothing."""


class Situation(Struct, frozen=True):
    """What the arms would do at one row.

    `permitted` are the actions that may be said, `chances` those of each arm. `propensity` and `baseline` are those of
    what the log said. `top` is the action worth most of those that may be said, `net` that worth in the strategy's
    currency and `lift` its propensity above its baseline; unset where there is none.
    """

    permitted: tuple[int, ...]
    chances: Mapping[str, Chances]
    propensity: float | None
    baseline: float | None
    top: int | None
    net: float | None
    lift: float | None


class Arms:
    """Knows what one strategy and its simple rivals would do; a row is told as the log has it, with no store.

    With `within`, nobody says what the log might not have said, where it tells that.
    """

    def __init__(self, strategy: Strategy, model: Folded | None, within: bool = False) -> None:
        self._strategy = strategy
        self._within = within
        self._engine = Engine(strategy, model)
        self._plain = Engine(_without_levers(strategy), model)
        self._telling = Telling(strategy)
        self._placements = {channel.id: channel.placements for channel in strategy.channels}
        self._index = {action.id: action.index for action in strategy.actions}
        self._ids = tuple(action.id for action in strategy.actions)

    def strategy_alone(self, row: Row) -> Chances:
        """Return what the strategy would say at a row, and nothing of its rivals."""
        request, snapshot, judged = self._judged(row)
        scores = self._engine.score(snapshot, judged, request)
        return _chances(self._engine.policy(request, judged, scores, 0, "main"))

    def objections(self, row: Row) -> tuple[str, ...]:
        """Return the rules by which the independent check forbids what the strategy would say; normally none."""
        request, snapshot, judged = self._judged(row)
        scores = self._engine.score(snapshot, judged, request)
        draws = (_UNEXPLORED,) * len(request.placements)
        planned = self._engine.arbitrate("", request, snapshot, judged, scores, draws)
        return self._engine.check(planned, snapshot).objections

    def at(self, row: Row) -> Situation:
        """Return what all arms would do at a row."""
        request, snapshot, judged = self._judged(row)
        scores = self._engine.score(snapshot, judged, request)
        plain = self._plain.score(snapshot, judged, request)
        allowed = judged.survivors[0]
        pool = tuple(bits(allowed & judged.preferred(0) or allowed))
        likeliest = self._likeliest(pool, scores, row.customer)
        chances = {
            STRATEGY: _chances(self._engine.policy(request, judged, scores, 0, "main")),
            NO_LEVERS: _chances(self._plain.policy(request, judged, plain, 0, "main")),
            PROPENSITY_ONLY: {} if likeliest is None else {likeliest: 1.0},
        }
        return self._situation(row, pool, chances, scores)

    def _situation(self, row: Row, pool: tuple[int, ...], chances: Mapping[str, Chances], scores: Scores) -> Situation:
        said = self._index.get(row.action)
        top = max(pool, key=lambda i: (scores.net_value(i), -i)) if pool else None
        base = None if top is None else scores.baseline(top)
        return Situation(
            permitted=pool,
            chances=chances,
            propensity=None if said is None else scores.propensity(said),
            baseline=None if said is None else scores.baseline(said),
            top=top,
            net=None if top is None else scores.net_value(top),
            lift=None if top is None or base is None else scores.propensity(top) - base,
        )

    def _judged(self, row: Row) -> tuple[Request, Snapshot, Judged]:
        placements = (row.asked,) if row.asked else self._placements[row.channel]
        request = Request(row.customer, row.channel, placements, {})
        known = Known(row.at_ms, row.level, (row.channel,), {}, {})
        snapshot = self._telling.told(self._engine.see(known, request), row.values)
        judged = self._engine.judge(snapshot, known, request)
        anywhere = reduce(or_, judged.survivors)
        if self._within and row.allowed is not None:
            anywhere &= sum(1 << self._index[name] for name in row.allowed if name in self._index)
        return request, snapshot, msgspec.structs.replace(judged, survivors=(anywhere,) * len(placements))

    def _likeliest(self, pool: tuple[int, ...], scores: Scores, customer: str) -> int | None:
        """Return the action of highest propensity; ties go by a hash of the customer, as in arbitration."""
        if not pool:
            return None
        ranked = {i: scores.propensity(i) for i in pool}
        best = max(ranked.values())
        tied = [i for i in pool if ranked[i] == best]
        return min(tied, key=lambda i: crc32(f"{customer}\n{self._ids[i]}".encode()))


def _chances(found: Distribution) -> Chances:
    return {index: chance for index, chance in found.chances.items() if chance > 0.0}


def _without_levers(strategy: Strategy) -> Strategy:
    return replace(strategy, actions=tuple(replace(action, lever=1.0) for action in strategy.actions), weights=())
