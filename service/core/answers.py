"""Answers: the words of each action at each placement, and the reasons that come with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from service.core.arbitrate import Ranking, Scores
from service.core.decision import Answer, Bound, Committed, Reason, ReasonCode, Request
from service.core.judge import Verdicts, Veto
from service.core.plan import Candidate, Entry, PlacementPlan
from service.core.strategy import Action, Strategy

CapReason = Callable[[str, str, str], Reason]
"""Gives the reason of a cap counter by channel, placement and key."""


class Texts:
    """What each action says at each channel and placement of one strategy, and which actions say anything there."""

    def __init__(self, strategy: Strategy) -> None:
        self.index = {action.id: action.index for action in strategy.actions}
        self._strategy = strategy
        self._texts: dict[tuple[str, str], dict[int, str]] = {
            (channel.id, placement): {} for channel in strategy.channels for placement in channel.placements
        }
        for action in strategy.actions:
            for treatment in action.treatments:
                self._texts[treatment.channel, treatment.placement][action.index] = treatment.text
        self._treated = {place: sum(1 << index for index in texts) for place, texts in self._texts.items()}

    def action(self, action_id: str) -> Action:
        """Return an action by its id."""
        return self._strategy.actions[self.index[action_id]]

    def treated(self, channel: str, placement: str) -> int:
        """Return the mask of the actions that have a treatment there."""
        return self._treated[channel, placement]

    def text(self, channel: str, placement: str, action_id: str) -> str | None:
        """Return what an action says there, or None when it has no treatment there."""
        return self._texts[channel, placement].get(self.index[action_id])

    def ranked(
        self, channel: str, placement: str, ranking: Ranking, scores: Scores, verdicts: Verdicts
    ) -> PlacementPlan:
        """Return the plan of a placement at which something may be said."""
        texts = self._texts[channel, placement]
        candidates = []
        for rank, index in enumerate(ranking.order):
            reasons = self._why(index, rank == 0 and ranking.explored, ranking.pool, scores, verdicts)
            action, baseline = self._strategy.actions[index], scores.baseline[index]
            answer = said(action, placement, texts[index], scores.propensity[index], scores.net[index], reasons)
            known = baseline if baseline == baseline else None
            candidates.append(Candidate(answer, ranking.probabilities[rank], known))
        return PlacementPlan(placement, tuple(candidates), ranking.pool, None)

    def _why(self, index: int, explored: bool, pool: int, scores: Scores, verdicts: Verdicts) -> tuple[Reason, ...]:
        action = self._strategy.actions[index]
        baseline = scores.baseline[index]
        over = "over saying nothing" if baseline == baseline else "after its costs (what happens anyway is not known)"
        worth = f"It brings {scores.net[index]:.2f} {self._strategy.currency} {over}"
        if explored:
            reason = Reason(
                ReasonCode.EXPLORATION,
                f"Drawn to learn from, out of {pool}. {worth}.",
                action.id,
                self._strategy.features,
            )
        else:
            sentence = f"{worth}, the most of what may be said here."
            reason = Reason(ReasonCode.HIGHEST_NET_VALUE, sentence, action.id, self._strategy.features)
        if verdicts.asks is not None and verdicts.preferred >> index & 1:
            asks = verdicts.asks
            return Reason(ReasonCode.INSTEAD, asks.sentence, asks.rule, asks.fields), reason
        return (reason,)


def said(
    action: Action, placement: str, text: str, propensity: float, net_value: float, reasons: tuple[Reason, ...]
) -> Answer:
    """Return the answer that says an action."""
    return Answer(placement, action.id, action.kind.value, text, action.intents, propensity, net_value, reasons)


def nothing(placement: str, reasons: tuple[Reason, ...], held_back: str = "", until_ms: int | None = None) -> Answer:
    """Return the suppression of a placement."""
    return Answer(placement, "", "", "", (), 0.0, 0.0, reasons, held_back, until_ms)


def suppressed(
    placement: str, best: int | None, survivors: int, vetoes: Sequence[Veto], strategy: Strategy
) -> PlacementPlan:
    """Return the plan of a placement at which nothing may be said, or nothing is worth saying."""
    if best is None:
        reasons = (Reason(ReasonCode.NO_TREATMENT, "The strategy has nothing to say at this placement."),)
        return PlacementPlan(placement, (), 0, nothing(placement, reasons))
    found = list(dict.fromkeys(veto.reason for veto in vetoes))
    found.sort(key=lambda reason: not any(v.reason == reason and v.mask >> best & 1 for v in vetoes))
    if survivors:
        found.insert(0, Reason(ReasonCode.NOTHING_WORTH_SAYING, "Nothing that may be said is worth more than silence."))
    held_by = [veto for veto in vetoes if veto.mask >> best & 1]
    only_caps = held_by and all(veto.until_ms is not None for veto in held_by)
    until_ms = max(veto.until_ms or 0 for veto in held_by) if only_caps else None
    answer = nothing(placement, tuple(found), strategy.actions[best].id, until_ms)
    return PlacementPlan(placement, (), 0, answer)


def withheld(placed: PlacementPlan, rule_id: str) -> PlacementPlan:
    """Return the suppression of a placement over which the independent check disagrees."""
    reason = Reason(ReasonCode.CHECK_FAILED, "A second check disagreed with the answer, so it was withheld.", rule_id)
    held = placed.candidates[0].answer.action
    return PlacementPlan(placed.placement, (), placed.pool, nothing(placed.placement, (reason,), held))


def chosen(entry: Entry, committed: Committed, cap_reason: CapReason) -> tuple[Answer, ...]:
    """Return the answers that the commit chose from a plan."""
    return tuple(_chosen(place, placed, entry, committed, cap_reason) for place, placed in enumerate(entry.placements))


def _chosen(place: int, placed: PlacementPlan, entry: Entry, committed: Committed, cap_reason: CapReason) -> Answer:
    rank = committed.chosen[place]
    if placed.suppression is not None:
        return placed.suppression
    bound = [b for b in committed.bound if b.placement == place]
    capped = tuple(dict.fromkeys(cap_reason(entry.channel, placed.placement, b.counter) for b in bound))
    if rank >= 0:
        answer = placed.candidates[rank].answer
        return msgspec.structs.replace(answer, reasons=(*answer.reasons, *capped)) if capped else answer
    return _all_taken(placed, bound, capped)


def _all_taken(placed: PlacementPlan, bound: Sequence[Bound], capped: tuple[Reason, ...]) -> Answer:
    shown = Reason(ReasonCode.ALREADY_SHOWN, "What may be said here is said at another placement of this answer.")
    until_ms = min((b.frees_ms for b in bound), default=None)
    return nothing(placed.placement, capped or (shown,), placed.candidates[0].answer.action, until_ms)


def safe(texts: Texts, request: Request, greeting: str, why: Reason) -> tuple[Answer, ...]:
    """Return the safe answers: the greeting at the first placement that has a treatment for it, nothing elsewhere."""
    found: list[Answer] = []
    greeted = False
    for placement in request.placements:
        text = texts.text(request.channel, placement, greeting)
        if text is None or greeted:
            found.append(nothing(placement, (why,)))
            continue
        greeted = True
        found.append(said(texts.action(greeting), placement, text, 0.0, 0.0, (why,)))
    return tuple(found)
