"""Shadow: what another model, the challenger, would have said. It is logged with a decision and has no part in it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_

from models.propensity import Folded
from service.core.answers import Texts
from service.core.arbitrate import Arbiter, Scores
from service.core.decision import Request
from service.core.judge import Judge
from service.core.plan import Entry, PlacementPlan, Shadow, Shadowed
from service.core.planning import Planner
from service.core.policy import Judged, Policy
from service.core.snapshot import Snapshot
from service.core.strategy import Strategy


class Challenger:
    """A model that is scored beside the one that decides, on the same snapshot, under the same verdicts and dice."""

    def __init__(self, strategy: Strategy, model: Folded, judge: Judge, policy: Policy) -> None:
        texts = Texts(strategy, model.knows)
        self.version = model.version
        self._judge = judge
        self._index = texts.index
        self._explore = strategy.explore
        self._arbiter = Arbiter(strategy, model)
        self._planner = Planner(strategy, self._arbiter, texts, policy)

    def shadow(
        self,
        request: Request,
        snapshot: Snapshot,
        judged: Judged,
        draws: Sequence[float],
        placements: Sequence[PlacementPlan],
    ) -> Shadow:
        """Return what it would have said instead of `placements`; a failure is told by its kind and never raised."""
        try:
            factors = self._judge.factors(request.channel, judged.verdicts.truths)
            scores = self._arbiter.score(snapshot.values, snapshot.now_ms, factors)
            planned = self._planner.placed(request, snapshot.now_ms, judged, scores, draws)
            told, first = [], _first(planned)
            for place, own in enumerate(planned):
                told.append(self._told(judged, place, own, placements[place], scores, first[:place]))
            return Shadow(self.version, tuple(told), "", first)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a challenger, the decision goes on without it
            return Shadow(self.version, (), type(error).__name__)

    def _told(
        self,
        judged: Judged,
        place: int,
        own: PlacementPlan,
        real: PlacementPlan,
        scores: Scores,
        before: Sequence[str],
    ) -> tuple[Shadowed, ...]:
        told = [Shadowed(c.action, c.propensity, c.baseline, c.net_value, c.probability) for c in own.candidates]
        named = {candidate.action for candidate in own.candidates}
        others = [candidate.action for candidate in real.candidates if candidate.action not in named]
        if others:
            chances = self._chances(judged, place, own, scores, before, others)
            told += [self._other(action, scores, chance) for action, chance in zip(others, chances, strict=True)]
        return tuple(told)

    def _chances(
        self,
        judged: Judged,
        place: int,
        own: PlacementPlan,
        scores: Scores,
        before: Sequence[str],
        others: Sequence[str],
    ) -> list[float]:
        """Return with what probability it would have said actions first that do not stand among its candidates."""
        if own.policy:
            odds = {one.action: one.probability for one in own.odds}
            return [odds.get(action, 0.0) for action in others]
        if own.pool < 2 or not self._explore:
            return [0.0] * len(others)
        taken = reduce(or_, (1 << self._index[action] for action in before if action), 0)
        worth = judged.survivors[place] & scores.worth & ~taken
        pool, share = worth & judged.preferred(place) or worth, self._explore / own.pool
        return [share if pool >> self._index[action] & 1 else 0.0 for action in others]

    def _other(self, action: str, scores: Scores, chance: float) -> Shadowed:
        index = self._index[action]
        return Shadowed(action, scores.propensity(index), scores.baseline(index), scores.net_value(index), chance)


def agreement(entry: Entry) -> str:
    """Tell whether the challenger would have said the `same` first, an `other`, or `failed`."""
    shadow = entry.shadow
    if shadow is None or shadow.failed:
        return "failed"
    return "same" if shadow.first == _first(entry.placements) else "other"


def _first(placements: Sequence[PlacementPlan]) -> tuple[str, ...]:
    return tuple(placed.candidates[0].action if placed.candidates else "" for placed in placements)
