"""What a commit would leave of a plan: what is said at each placement in the end, and how probably each action is.

The probability is that of the log (docs/log.md): given what the placements before it say and use up, that of all first
choices that would have led to an action, for those that do not fit are followed by the next best.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from models.context import Scalar
from service.core.arbitrate import NO_EXPLORATION, Scores
from service.core.caps import CapTable, Day
from service.core.decision import Counter, Request
from service.core.engine import Engine
from service.core.plan import Entry, PlacementPlan
from service.core.planning import TRIED
from service.core.policy import Judged
from service.core.promises import Promises
from service.core.snapshot import Snapshot

Fits = Callable[[int], bool]


class Planned(Struct, frozen=True):
    """A plan, and what it was made from; `counters` are the uses (ms, ascending) that were known."""

    request: Request
    snapshot: Snapshot
    judged: Judged
    scores: Scores
    entry: Entry
    counters: Mapping[str, tuple[int, ...]]


class Ended(Struct, frozen=True):
    """What is said at each placement (empty for nothing), the counters that it uses, and the chances of all actions
    there by their indexes; what they lack to 1 is that of nothing.
    """

    said: tuple[str, ...]
    uses: tuple[tuple[Counter, ...], ...]
    chances: tuple[Mapping[int, float], ...]


class Ending:
    """Ends the plans of one strategy as a commit would."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._caps = CapTable(engine.strategy)
        self._promises = Promises.of(engine.strategy)
        self._index = {action.id: action.index for action in engine.strategy.actions}
        self._names = tuple(action.id for action in engine.strategy.actions)

    def counters(
        self, channel: str, placement: str, action: int, at_ms: int, values: Sequence[Scalar | None]
    ) -> tuple[Counter, ...]:
        """Return the counters that saying an action uses."""
        return self._counters(channel, placement, action, at_ms, self._caps.day(values, at_ms))

    def of(self, plan: Planned, checked: Entry) -> Ended:
        """Return how a plan ends, of which the independent check has left `checked`."""
        said: list[str] = []
        uses: list[tuple[Counter, ...]] = []
        chances: list[Mapping[int, float]] = []
        day, taken = self._caps.day(plan.snapshot.values, plan.snapshot.now_ms), 0
        for at, placed in enumerate(checked.placements):
            wanted: dict[int, tuple[Counter, ...]] = {}

            def fits(
                action: int, wanted: dict[int, tuple[Counter, ...]] = wanted, placement: str = placed.placement
            ) -> bool:
                used = self._counters(plan.request.channel, placement, action, plan.snapshot.now_ms, day)
                wanted[action] = used
                free = self._names[action] not in said
                return free and _fits(used, uses, plan.counters, plan.snapshot.now_ms)

            objected = placed.suppression is not None and plan.entry.placements[at].suppression is None
            chances.append({} if objected else self._chances(plan, at, taken, fits))
            chosen = self._first(placed, fits)
            taken |= self._taken(plan, at)
            said.append("" if chosen is None else self._names[chosen])
            uses.append(() if chosen is None else wanted[chosen])
        return Ended(tuple(said), tuple(uses), tuple(chances))

    def _chances(self, plan: Planned, at: int, taken: int, fits: Fits) -> Mapping[int, float]:
        judged = _without(plan.judged, at, taken)
        chances = self._engine.policy(plan.request, judged, plan.scores, at, "everyone").chances
        if at == 0 or all(fits(index) for index, chance in chances.items() if chance > 0.0):
            return chances
        found: dict[int, float] = {}
        for first, chance in chances.items():
            said = self._instead(plan, judged, at, first, fits) if chance > 0.0 else None
            if said is not None:
                found[said] = found.get(said, 0.0) + chance
        return found

    def _instead(self, plan: Planned, judged: Judged, at: int, first: int, fits: Fits) -> int | None:
        """Return what is said where an action is tried first; None for nothing."""
        placed = plan.entry.placements[at]
        if placed.candidates and placed.candidates[0].action == self._names[first]:
            return self._first(placed, fits)
        tried: int | None = first
        without = self._otherwise(plan, at)
        for _ in range(TRIED + len(plan.request.placements) - 1):
            if tried is None or fits(tried):
                return tried
            without |= 1 << tried
            tried = self._next(plan, _without(judged, at, without), at)
        return None

    def _next(self, plan: Planned, judged: Judged, at: int) -> int | None:
        """Return the best that is left; a greeting is no second choice."""
        survivors = judged.survivors[at]
        if not survivors & (plan.scores.worth | judged.kept.mask):
            return None
        alone = replace(
            judged,
            survivors=(survivors,),
            capped=(judged.capped[at],),
            asked=(judged.asked[at],) if judged.asked else (),
        )
        request = replace(plan.request, placements=(plan.request.placements[at],))
        planned = self._engine.arbitrate("", request, plan.snapshot, alone, plan.scores, (NO_EXPLORATION,))
        found = planned.placements[0].candidates
        return self._index[found[0].action] if found else None

    def _first(self, placed: PlacementPlan, fits: Fits) -> int | None:
        """Return the first candidate that fits."""
        tried = placed.candidates if placed.suppression is None else ()
        return next((index for one in tried if fits(index := self._index[one.action])), None)

    def _taken(self, plan: Planned, at: int) -> int:
        """Return what a placement takes from those after it: what it plans first, and what promises otherwise."""
        found = plan.entry.placements[at].candidates[:1]
        return self._beside(plan, [self._index[one.action] for one in found], itself=True)

    def _otherwise(self, plan: Planned, at: int) -> int:
        """Return what is no second choice at a placement, for the others may promise otherwise."""
        others = [one for place, one in enumerate(plan.entry.placements) if place != at]
        return self._beside(plan, [self._index[one.action] for other in others for one in other.candidates])

    def _beside(self, plan: Planned, actions: Sequence[int], itself: bool = False) -> int:
        found = 0
        for index in actions:
            if self._promises is not None:
                found |= self._promises.others(plan.request.channel, index, plan.snapshot.now_ms)
            found |= itself << index
        return found

    def _counters(self, channel: str, placement: str, action: int, at_ms: int, day: Day | None) -> tuple[Counter, ...]:
        return self._caps.all_counters(channel, placement, action, at_ms, day)


def _without(judged: Judged, at: int, mask: int) -> Judged:
    """Return a judgement in which some actions do not survive at a placement."""
    if not judged.survivors[at] & mask:
        return judged
    left = judged.survivors[at] & ~mask
    return replace(judged, survivors=(*judged.survivors[:at], left, *judged.survivors[at + 1 :]))


def _fits(
    wanted: Sequence[Counter],
    uses: Sequence[tuple[Counter, ...]],
    counters: Mapping[str, tuple[int, ...]],
    now_ms: int,
) -> bool:
    """Tell whether every counter allows a further use, after those of the placements before this one."""
    before = [counter.key for one in uses for counter in one]
    if not before:
        return True  # what survived the judgement fits
    for counter in wanted:
        since = counter.since_ms or now_ms - counter.within_ms + 1
        used = sum(at_ms >= since for at_ms in counters.get(counter.key, ())) + before.count(counter.key)
        if used >= counter.at_most:
            return False
    return True
