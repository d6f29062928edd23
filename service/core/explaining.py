"""Explain a decision of one strategy to the bottom: each stage, each action's fate, what was observed and used.

Nothing here is told to anybody yet: `depths.py` takes away what a caller may not see, and what is consented to no more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec.structs import replace

from service.core.answers import SHOWN, Texts
from service.core.arbitrate import Scores
from service.core.decision import Committed, Reason, ReasonCode
from service.core.depths import Depths
from service.core.explain import explanation
from service.core.explained import (
    Binding,
    CapSeen,
    Explanation,
    Fate,
    FieldSeen,
    Fit,
    Passed,
    RuleSeen,
    ScoreSeen,
    Stage,
    Story,
    WeightSeen,
)
from service.core.exploring import NOTHING
from service.core.judge import Veto
from service.core.logged import policy_of
from service.core.observed import Observer
from service.core.plan import Candidate, Odds, PlacementPlan
from service.core.policy import Judged, Policy
from service.core.reasons import each_once
from service.core.ruling import judging
from service.core.selection import bits, mask
from service.core.snapshot import Sight, Snapshot
from service.core.stockroom import UNGRANTED, UNTRIED
from service.core.strategy import Action, Strategy
from service.core.switched import SWITCHED

if TYPE_CHECKING:  # an engine holds what explains
    from service.core.again import Again
    from service.core.decision import Request

MOST_DETAILED = 500
"""Of how many actions at most the rules, caps and parts of the score are told unasked: of those that are worth most."""
OBJECTED = "A second check disagreed, so it was not said."


class Explainer:
    """Explains the decisions of one engine, of which it has the strategy, the words, the policy and the sight."""

    def __init__(self, strategy: Strategy, texts: Texts, policy: Policy, sight: Sight) -> None:
        self._strategy, self._texts, self._policy, self._sight = strategy, texts, policy, sight
        self._observer = Observer(strategy)
        self._rules = {rule.id: rule for rule in judging(strategy)}
        self._used: dict[tuple[str, int], frozenset[str]] = {}

    @cached_property
    def depths(self) -> Depths:
        """What may be told to whom by this strategy."""
        return Depths(self._strategy)

    def fates(self, snapshot: Snapshot, judged: Judged, scores: Scores, request: Request) -> Explanation:
        """Return the fate of every action and every field that the consent allows, and no more."""
        vetoes = [*judged.verdicts.vetoes, *(veto for capped in judged.capped for veto in capped)]
        treated, fields = self._texts.anywhere(request), self._sight.fields_seen(snapshot)
        return explanation(self._strategy, vetoes, treated, scores, fields, snapshot.level.id)

    def explained(
        self,
        made: Again,
        committed: Committed,
        *,
        later: bool = False,
        only: Collection[str] = (),
        said_only: bool = False,
    ) -> Explanation:
        """Return all that can be told of a decision and of what the commit took of it.

        `later` says that it was made again from its log entry, which knows only the caps that were used up. Where there
        are more than `MOST_DETAILED` actions, those are told to the bottom that are worth most; with `only` these.
        With `said_only` the fates are left out: customers hear of none.
        """
        told = self.fates(made.snapshot, made.judged, made.scores, made.request)
        stories = tuple(self._story(made, place, committed) for place in range(len(made.request.placements)))
        whole = replace(told, fates=(), fields=self._fields(told.fields, made), placements=stories)
        if said_only:
            return whole
        said = [story.action for story in stories]
        ways = [_stages(made, place, action, self._texts) for place, action in enumerate(said)]
        treated, weights, detailed = self._texts.anywhere(made.request), self._weights(made), self._detailed(made, only)
        fates = []
        for index, fate in enumerate(told.fates):
            if treated >> index & 1:
                elsewhere = (SHOWN,) if _elsewhere(index, fate.action, ways, stories) else ()
                vetoes = tuple(each_once((*fate.vetoes, *self._late(fate.action, made, committed), *elsewhere)))
                passed = tuple(_passed(index, fate.action, way, stories[at], said[:at]) for at, way in enumerate(ways))
                fate = replace(fate, vetoes=vetoes, placements=passed)
            fates.append(self._bottom(fate, index, made, weights, later=later) if detailed >> index & 1 else fate)
        return replace(whole, fates=tuple(fate for fate in fates if not only or fate.action in only))

    def bindings(self, made: Again, committed: Committed) -> tuple[Binding, ...]:
        """Return what bound as a decision was recorded, with all actions that a cap which was used up counts there."""
        caps, index = self._policy.caps, self._texts.index
        found = []
        for bound in committed.bound:
            placed = made.entry.placements[bound.placement]
            if (candidate := _candidate(placed, bound.rank)) is None:
                continue
            counted = caps.counted(made.request.channel, placed.placement, made.snapshot.now_ms).get(bound.counter)
            said = _candidate(placed, committed.chosen[bound.placement])
            others = (counted.mask if counted else 0) & ~(
                1 << index[said.action] if said else 0
            )  # what was said fitted
            about = others | 1 << index[candidate.action]
            untried, ends = bound.counter == UNTRIED, bound.counter not in (UNTRIED, UNGRANTED, SWITCHED)
            reason = None if untried else self._policy.reason(bound.counter, bound.frees_ms)
            found.append(Binding(bound.placement, about, reason, bound.frees_ms if ends else None))
        return tuple(found)

    def _detailed(self, made: Again, only: Collection[str]) -> int:
        """Return the actions that are told to the bottom, as a mask."""
        treated = self._texts.anywhere(made.request)
        if only:
            return treated & sum(1 << self._texts.index[name] for name in only if name in self._texts.index)
        if treated.bit_count() <= MOST_DETAILED:
            return treated
        best = sorted(bits(treated), key=made.scores.net_value, reverse=True)[:MOST_DETAILED]
        return sum(1 << index for index in best)

    def _bottom(
        self, fate: Fate, index: int, made: Again, weights: Sequence[tuple[int, WeightSeen]], *, later: bool
    ) -> Fate:
        action = self._strategy.actions[index]
        checks, caps = tuple(self._checks(action, made)), tuple(self._caps(index, made, later=later))
        return replace(fate, checks=checks, caps=caps, score=_score(action, made.scores, weights))

    def _late(self, action: str, made: Again, committed: Committed) -> Iterator[Reason]:
        """Yield what the second check and the commit had against an action."""
        for one in made.entry.objections:
            if one.action == action:
                yield Reason(ReasonCode.CHECK_FAILED, OBJECTED, one.rule)
        for bound in committed.bound:
            candidate = _candidate(made.entry.placements[bound.placement], bound.rank)
            if candidate is not None and candidate.action == action and bound.counter != UNTRIED:
                yield self._policy.reason(bound.counter, bound.frees_ms)

    def _checks(self, action: Action, made: Again) -> Iterator[RuleSeen]:
        """Yield the rules with a condition that hold an action back, each once."""
        held = _holding(made.judged.verdicts.vetoes, action.index)
        for name in dict.fromkeys(reason.rule for reason in held):
            if (rule := self._rules.get(name)) is not None:
                seen = self._observer.seen(rule.when.source, made.snapshot.values, made.snapshot.now_ms, action)
                yield RuleSeen(rule.id, rule.when.source, self._observer.fields(rule), *seen)

    def _caps(self, index: int, made: Again, *, later: bool) -> Iterator[CapSeen]:
        values, now_ms = made.snapshot.values, made.snapshot.now_ms
        caps, counters, channel = self._policy.caps, made.known.counters, made.request.channel
        day = caps.day(values, now_ms)
        for placement in made.request.placements:
            if not self._texts.treated(channel, placement) >> index & 1:
                continue
            freeing = {one.counter.key: at for one, at in caps.used_up(channel, placement, counters, now_ms, day)}
            for key, one in caps.counted(channel, placement, now_ms).items():
                if one.mask >> index & 1 and (key in freeing or not later):
                    since_ms = day[0] if one.daily and day else now_ms - one.counter.within_ms + 1
                    uses = sum(at_ms >= since_ms for at_ms in counters.get(key, ()))
                    bounds = one.counter.at_most, one.counter.within_ms, one.daily
                    yield CapSeen(one.reason.rule, placement, min(uses, one.counter.at_most), *bounds, freeing.get(key))

    def _weights(self, made: Again) -> list[tuple[int, WeightSeen]]:
        """Return the weights that were in force, each with the actions that it is about."""
        found = []
        for one in self._strategy.weights:
            about = mask(one.boost, self._strategy.actions, made.request.channel)
            if about and self._observer.holds(one.when.source, made.snapshot.values, made.snapshot.now_ms):
                found.append((about, WeightSeen(one.id, one.factor, self._observer.fields(one))))
        return found

    # ------------------------------------------------------------------------------------------------- placements

    def _story(self, made: Again, place: int, committed: Committed) -> Story:
        placed, rank = made.entry.placements[place], committed.chosen[place]
        said = _candidate(placed, rank) if placed.suppression is None else None
        action = said.action if said else ""
        odds: Sequence[Odds | Candidate] = placed.odds or placed.candidates
        return Story(
            placed.placement,
            action,
            tuple((stage, left.bit_count()) for stage, left in _stages(made, place, action, self._texts)),
            policy_of(placed) if odds else "",
            placed.explored,
            made.entry.draws[place],
            tuple(("" if one.action == NOTHING else one.action, one.probability) for one in odds),
            _asked(said, made) if said else None,
            tuple(self._fits(action, made)) if said else (),
        )

    def _fits(self, action: str, made: Again) -> Iterator[Fit]:
        about, seen = self._strategy.actions[self._texts.index[action]], made.snapshot
        return self._observer.fits(about, made.request.channel, seen.values, seen.now_ms)

    # ----------------------------------------------------------------------------------------------------- fields

    def _fields(self, fields: Sequence[FieldSeen], made: Again) -> tuple[FieldSeen, ...]:
        used = self._used_by(made.request.channel, self._texts.anywhere(made.request))
        models = any(made.scores.scorer.modelled) or made.scores.learned != 0
        features = frozenset(self._strategy.features if models else ())
        return tuple(replace(seen, used=seen.field in used or seen.field in features) for seen in fields)

    def _used_by(self, channel: str, treated: int) -> frozenset[str]:
        """Return the fields that anything but the model looks at for these actions on a channel."""
        if (channel, treated) not in self._used:
            strategy = self._strategy
            found = self._observer.read(channel, treated)
            found |= {name for promise in strategy.promises for name in promise.material}
            for action in (strategy.actions[index] for index in bits(treated)):
                found |= {action.consumes.supply} if action.consumes else set()
                for one in (one for one in action.treatments if one.channel == channel):
                    found |= set(self._texts.personal(channel, one.placement, action.id))
            self._used[channel, treated] = frozenset(found)
        return self._used[channel, treated]


def _stages(made: Again, place: int, said: str, texts: Texts) -> tuple[tuple[Stage, int], ...]:
    """Return the actions that each stage of a placement left, as masks; each is a part of the one before."""
    placed, index = made.entry.placements[place], texts.index
    treated = texts.treated(made.request.channel, placed.placement)
    objected = [one.action for one in made.entry.objections if one.placement == placed.placement]
    ranked = sum(1 << index[name] for name in {*objected, *(one.action for one in placed.candidates)})
    scored = made.judged.survivors[place] & (made.scores.worth | made.judged.kept.mask) | ranked
    return (
        (Stage.TREATED, treated),
        (Stage.JUDGED, treated & ~made.judged.verdicts.vetoed),
        (Stage.CAPPED, made.judged.survivors[place]),
        (Stage.SCORED, scored),
        (Stage.RANKED, ranked),
        (Stage.CHECKED, 0 if objected else ranked),
        (Stage.SAID, 1 << index[said] if said else 0),
    )


def _passed(index: int, action: str, way: Sequence[tuple[Stage, int]], story: Story, before: Sequence[str]) -> Passed:
    last = max((stage for stage, left in way if left >> index & 1), default=None)
    beaten = last is not None and Stage.SCORED <= last < Stage.SAID and action not in (story.action, *before)
    return Passed(story.placement, last, story.action if beaten else "")


def _elsewhere(index: int, action: str, ways: Sequence[Sequence[tuple[Stage, int]]], stories: Sequence[Story]) -> bool:
    """Tell whether an action was worth saying at a placement, but was said at one before it."""
    said = next((place for place, story in enumerate(stories) if story.action == action), len(stories))
    return any(left >> index & 1 for way in ways[said + 1 :] for stage, left in way if stage is Stage.SCORED)


def _candidate(placed: PlacementPlan, rank: int) -> Candidate | None:
    return placed.candidates[rank] if 0 <= rank < len(placed.candidates) else None


def _asked(said: Candidate, made: Again) -> Reason | None:
    """Return the reason of the rule or cap that asked for what was said instead of something else, if one did."""
    if said.why is not None:
        return said.why if said.why.code is ReasonCode.INSTEAD else None
    return made.entry.asks if said.preferred else None


def _holding(vetoes: Sequence[Veto], index: int) -> list[Reason]:
    return [veto.reason for veto in vetoes if veto.mask >> index & 1]


def _score(action: Action, scores: Scores, weights: Sequence[tuple[int, WeightSeen]]) -> ScoreSeen:
    index, adjusted = action.index, scores.adjusted
    return ScoreSeen(
        scores.propensity(index),
        scores.scorer.modelled[index],
        scores.baseline(index),
        action.value,
        action.reward,
        action.cost,
        action.lever,
        tuple(weight for about, weight in weights if about >> index & 1),
        None if adjusted is None else float(adjusted.adapted.factor[index]),
        bool(scores.learned >> index & 1),
        scores.net_value(index),
    )
