"""Plan: what is tried at each placement, best first, or why nothing is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from msgspec.structs import replace

from service.core import answers
from service.core.arbitrate import NO_EXPLORATION, Arbiter, Scores
from service.core.decision import Request
from service.core.distribution import Distribution
from service.core.exploring import Explorer
from service.core.plan import PlacementPlan
from service.core.policy import NOTHING_TAKEN, Judged, Policy, Taken
from service.core.promises import NOTHING_KEPT
from service.core.strategy import Strategy

TRIED = 2
"""How many ranked candidates a placement the commit may try before it gives up."""

Whose: TypeAlias = Literal["person", "main", "everyone"]
"""Whose distribution is meant: of this person, whose control group counts; of people in no group; over all groups."""


class Planner:
    """Fills the placements of a request, in their order."""

    def __init__(self, strategy: Strategy, arbiter: Arbiter, texts: answers.Texts, policy: Policy) -> None:
        self._strategy = strategy
        self._arbiter = arbiter
        self._texts = texts
        self._policy = policy
        self._explorer = Explorer(strategy, arbiter)

    def placed(
        self, request: Request, now_ms: int, judged: Judged, scores: Scores, draws: Sequence[float]
    ) -> tuple[PlacementPlan, ...]:
        """Return the plan of each placement: what one says, or promises otherwise, is taken from those after it."""
        if len(request.placements) == 1:
            return (self._planned(0, request, judged, scores, draws[0], NOTHING_TAKEN),)
        placements, taken = [], NOTHING_TAKEN
        for place in range(len(request.placements)):
            placed = self._planned(place, request, judged, scores, draws[place], taken)
            placements.append(placed)
            taken = self._policy.taken(taken, request.channel, placed, now_ms)
        return self._policy.consistent(request.channel, placements, now_ms)

    def distribution(
        self, request: Request, judged: Judged, scores: Scores, place: int = 0, whose: Whose = "person"
    ) -> Distribution:
        """Return what is drawn from at a placement where none before it took anything, greetings included."""
        preferred, survivors = judged.preferred(place), judged.survivors[place]
        ways = {"person": self._explorer.distribution, "main": self._explorer.main, "everyone": self._explorer.everyone}
        found = ways[whose](survivors, preferred, scores, request.customer, judged.kept.mask)
        greeting = self._texts.greeting(request.channel, survivors).order
        return found.greeted(greeting[0] if greeting else None)

    def _planned(
        self, place: int, request: Request, judged: Judged, scores: Scores, draw: float, taken: Taken
    ) -> PlacementPlan:
        if self._explorer.draws and draw < NO_EXPLORATION:
            return self._drawn(place, request, judged, scores, draw, taken)
        channel, placement = request.channel, request.placements[place]
        most = TRIED + len(request.placements) - 1
        preferred, survivors = judged.preferred(place), judged.survivors[place] & ~taken.mask & ~taken.otherwise
        if not judged.asked and judged.kept is NOTHING_KEPT:
            usual = self._arbiter.candidates(survivors, preferred, scores, draw, most)
            if usual is not None:
                return PlacementPlan(placement, *usual, False, None)
        ranking = self._arbiter.rank(survivors, preferred, scores, request.customer, draw, most, judged.kept.mask)
        if not ranking.order:
            ranking = self._texts.greeting(channel, survivors)
        if ranking.order:
            return self._texts.planned(placement, ranking, scores, preferred, judged.why(place))
        return self._suppressed(place, request, judged, scores, taken, survivors)

    def _drawn(
        self, place: int, request: Request, judged: Judged, scores: Scores, draw: float, taken: Taken
    ) -> PlacementPlan:
        """Plan a placement at which the strategy draws, nothing among what may be drawn."""
        channel, placement, who = request.channel, request.placements[place], request.customer
        most = TRIED + len(request.placements) - 1
        preferred, survivors = judged.preferred(place), judged.survivors[place] & ~taken.mask & ~taken.otherwise
        drawn = self._explorer.rank(survivors, preferred, scores, who, draw, most, judged.kept.mask)
        drawn = drawn.greeted(self._texts.greeting(channel, survivors))
        if drawn.ranking.order:
            planned = self._texts.planned(placement, drawn.ranking, scores, preferred, judged.why(place))
        else:
            planned = self._suppressed(place, request, judged, scores, taken, survivors)
            if (why := drawn.why_nothing(survivors & scores.worth)) is not None:
                planned = replace(planned, suppression=answers.nothing(placement, (why,), held_back=_held(planned)))
        return replace(planned, policy=drawn.own.policy, odds=self._explorer.odds(drawn))

    def _suppressed(
        self, place: int, request: Request, judged: Judged, scores: Scores, taken: Taken, survivors: int
    ) -> PlacementPlan:
        """Plan a placement at which nothing is said, and tell why."""
        placement = request.placements[place]
        treated = self._texts.treated(request.channel, placement)
        vetoes = [veto for veto in (*judged.verdicts.vetoes, *judged.capped[place]) if veto.mask & treated]
        vetoes = [*taken.vetoes(judged.survivors[place]), *vetoes]
        best = self._arbiter.best(treated, scores, request.customer)
        return answers.suppressed(placement, best, survivors, vetoes, self._strategy)


def _held(planned: PlacementPlan) -> str:
    return planned.suppression.held_back if planned.suppression else ""
