"""Plan: what is tried at each placement, best first, or why nothing is."""

from __future__ import annotations

from collections.abc import Sequence

from service.core import answers
from service.core.arbitrate import Arbiter, Scores
from service.core.decision import Request
from service.core.plan import PlacementPlan
from service.core.policy import NOTHING_TAKEN, Judged, Policy, Taken
from service.core.strategy import Strategy

TRIED = 2
"""How many ranked candidates a placement the commit may try before it gives up."""


class Planner:
    """Fills the placements of a request, in their order."""

    def __init__(self, strategy: Strategy, arbiter: Arbiter, texts: answers.Texts, policy: Policy) -> None:
        self._strategy = strategy
        self._arbiter = arbiter
        self._texts = texts
        self._policy = policy

    def placed(
        self, request: Request, now_ms: int, judged: Judged, scores: Scores, draws: Sequence[float]
    ) -> tuple[PlacementPlan, ...]:
        """Return the plan of each placement: what one says, or promises otherwise, is taken from those after it."""
        placements, taken = [], NOTHING_TAKEN
        for place in range(len(request.placements)):
            placed = self._planned(place, request, judged, scores, draws[place], taken)
            placements.append(placed)
            taken = self._policy.taken(taken, request.channel, placed, now_ms)
        return self._policy.consistent(request.channel, placements, now_ms)

    def _planned(
        self, place: int, request: Request, judged: Judged, scores: Scores, draw: float, taken: Taken
    ) -> PlacementPlan:
        channel, placement = request.channel, request.placements[place]
        most = TRIED + len(request.placements) - 1
        preferred, survivors = judged.preferred(place), judged.survivors[place] & ~taken.mask & ~taken.otherwise
        ranking = self._arbiter.rank(survivors, preferred, scores, request.customer, draw, most, judged.kept.mask)
        if not ranking.order:
            ranking = self._texts.greeting(channel, survivors)
        if ranking.order:
            return self._texts.planned(placement, ranking, scores, preferred, judged.why(place))
        treated = self._texts.treated(channel, placement)
        vetoes = [veto for veto in (*judged.verdicts.vetoes, *judged.capped[place]) if veto.mask & treated]
        vetoes = [*taken.vetoes(judged.survivors[place]), *vetoes]
        best = self._arbiter.best(treated, scores, request.customer)
        return answers.suppressed(placement, best, survivors, vetoes, self._strategy)
