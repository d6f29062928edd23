"""Answers: the words of each action at each placement, and the reasons that come with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import compress
from operator import itemgetter

from models.context import Purpose, Scalar
from service.core.arbitrate import NOBODY, Ranking, Scores
from service.core.decision import Answer, Bound, Committed, Reason, ReasonCode, Request
from service.core.judge import Veto
from service.core.memory import Switched
from service.core.plan import Candidate, Entry, PlacementPlan
from service.core.reasons import each_once
from service.core.saying import AS_LEARNED, COSTS_ONLY, OVER_NOTHING, Said, best_sentence, drawn_sentence, saying
from service.core.stockroom import UNGRANTED, UNTRIED
from service.core.strategy import Action, Strategy
from service.core.switched import OFF, SWITCHED, is_off
from service.core.wording import Phrase, Phrasebook, purposes_of

BoundReason = Callable[[str, int | None], Reason]
"""Gives the reason of a counter that bound, by its key and when it frees (ms)."""

SHOWN = Reason(ReasonCode.ALREADY_SHOWN, "What may be said here is said at another placement of this answer.")
GREETED = Reason(ReasonCode.SAFE_GREETING, "Nothing else is worth saying, and a customer who is here is greeted.")


NO_REASONS: Mapping[int, Reason] = {}


MOST_SEEN = 1_024
"""How many patterns of known features are kept with their names, before all are made again."""


class Texts:
    """What each action says at each channel and placement of one strategy, and which actions say anything there.

    `modelled` names the actions that a model scores: only their reasons name the fields that models see. `vary` says
    whether any words depend on what is known of a customer. `told` gives the answers of a usual decision at once, and
    None for all others.
    """

    def __init__(self, strategy: Strategy, modelled: frozenset[str] = frozenset()) -> None:
        self._modelled = modelled
        places = [strategy.schema.index[name] for name in strategy.features]
        self._seen: dict[bytes, tuple[str, ...]] = {}  # by which are known: the same few patterns come again
        self._feature_values = itemgetter(*places, *places[:1]) if places else lambda values: ()
        self.index = {action.id: action.index for action in strategy.actions}
        self._strategy = strategy
        self._texts: dict[tuple[str, str], dict[int, str | Phrase]] = {
            (channel.id, placement): {} for channel in strategy.channels for placement in channel.placements
        }
        words = Phrasebook(strategy)
        for action in strategy.actions:
            for treatment in action.treatments:
                self._texts[treatment.channel, treatment.placement][action.index] = words.phrase(treatment)
        said = [phrase for texts in self._texts.values() for phrase in texts.values()]
        self.vary = any(isinstance(phrase, Phrase) for phrase in said)
        self._safe = self.index[strategy.safe_greeting]
        self._unasked = {channel.id for channel in strategy.channels if channel.permission}
        self._treated = {place: sum(1 << index for index in texts) for place, texts in self._texts.items()}
        self.told = saying(strategy, GREETED, self._words())

    def treated(self, channel: str, placement: str) -> int:
        """Return the mask of the actions that have a treatment there."""
        return self._treated[channel, placement]

    def anywhere(self, request: Request) -> int:
        """Return the mask of the actions that have a treatment at some placement that is asked for."""
        found = 0
        for placement in request.placements:
            found |= self._treated[request.channel, placement]
        return found

    def says(self, channel: str, placement: str, action: str) -> bool:
        """Tell whether an action has a treatment there; never for places and actions that the strategy lacks."""
        return self.index.get(action) in self._texts.get((channel, placement), {})

    def greeting(self, channel: str, survivors: int) -> Ranking:
        """Rank the safe greeting alone where it survived and the customer is here; where contact is unasked, nobody."""
        if channel in self._unasked or not survivors >> self._safe & 1:
            return NOBODY
        return Ranking((self._safe,), (1.0,), 1, False)

    def planned(
        self, placement: str, ranking: Ranking, scores: Scores, preferred: int, why: Mapping[int, Reason] = NO_REASONS
    ) -> PlacementPlan:
        """Return the plan of a placement at which something may be said."""
        actions, learned = self._strategy.actions, scores.learned
        candidates = [
            Candidate(
                actions[index].id,
                scores.propensity(index),
                scores.baseline(index),
                scores.net_value(index),
                probability,
                bool(preferred >> index & 1),
                why.get(index),
                bool(learned >> index & 1),
            )
            for index, probability in zip(ranking.order, ranking.probabilities, strict=True)
        ]
        return PlacementPlan(placement, tuple(candidates), ranking.pool, ranking.explored, None)

    def personal(self, channel: str, placement: str, action: str) -> Mapping[str, Purpose]:
        """Return the fields that may stand in the words of an action there, and the purpose of each."""
        phrase = self._texts.get((channel, placement), {}).get(self.index.get(action, -1), "")
        return purposes_of(phrase, self._strategy.schema)

    def said(self, placed: PlacementPlan, rank: int, entry: Entry, values: Sequence[Scalar | None]) -> Answer:
        """Return the answer that says the candidate of that rank, in the words of this strategy.

        `values` are those of now that the consent allows; without any the words are those for nobody in particular.
        """
        candidate = placed.candidates[rank]
        reasons = self._why(candidate, rank == 0 and placed.explored, placed.pool, entry)
        why, asks = candidate.why, entry.asks
        if why is not None:
            reasons = (why,) if why.code is ReasonCode.PROMISED else (why, *reasons)
        elif candidate.preferred and asks is not None:
            reasons = (Reason(ReasonCode.INSTEAD, asks.sentence, asks.rule, asks.fields), *reasons)
        net_value, propensity = candidate.net_value, candidate.propensity
        return self._worded(candidate.action, entry.channel, placed.placement, propensity, net_value, reasons, values)

    def safe(self, request: Request, greeting: str, why: Reason) -> tuple[Answer, ...]:
        """Return the safe answers: the greeting at the first placement with a treatment for it, nothing elsewhere.

        Where contact is unasked nothing is said at all, for the customer's permission is not known.
        """
        found: list[Answer] = []
        bit = 1 << self.index[greeting]
        for placement in request.placements:
            here = request.channel not in self._unasked and self._treated[request.channel, placement] & bit
            fits = here and not any(answer.action for answer in found)
            says = self._worded(greeting, request.channel, placement, 0.0, 0.0, (why,)) if fits else None
            found.append(says or nothing(placement, (why,)))
        return tuple(found)

    def _worded(
        self,
        name: str,
        channel: str,
        placement: str,
        propensity: float,
        net_value: float,
        reasons: tuple[Reason, ...],
        values: Sequence[Scalar | None] = (),
    ) -> Answer:
        index = self.index.get(name)
        if index is None:  # decided under an earlier strategy that knew it
            return Answer(placement, name, "", "", (), propensity, net_value, reasons)
        action: Action = self._strategy.actions[index]
        text = self._texts.get((channel, placement), {}).get(index, "")
        if not isinstance(text, str):
            text = text.said(values) if values else text.plain
        return Answer(placement, name, action.kind.value, text, action.intents, propensity, net_value, reasons)

    def _why(self, candidate: Candidate, explored: bool, pool: int, entry: Entry) -> tuple[Reason, ...]:
        if candidate.action == self._strategy.safe_greeting and candidate.net_value <= 0.0:
            return (GREETED,)
        over = COSTS_ONLY
        if candidate.learned:
            over = AS_LEARNED
        elif candidate.baseline is not None:
            over = OVER_NOTHING
        worth, currency = f"{candidate.net_value:.2f}", self._strategy.currency
        features = self._seen_features(entry) if candidate.action in self._modelled else ()
        if explored:
            sentence = drawn_sentence(str(pool), worth, currency, over)
            return (Reason(ReasonCode.EXPLORATION, sentence, candidate.action, features),)
        sentence = best_sentence(worth, currency, over)
        return (Reason(ReasonCode.HIGHEST_NET_VALUE, sentence, candidate.action, features),)

    def _words(self) -> dict[str, dict[str, dict[str, Said]]]:
        """Return what is said by channel, placement and action."""
        words: dict[str, dict[str, dict[str, Said]]] = {}
        for (channel, placement), texts in self._texts.items():
            here = words.setdefault(channel, {}).setdefault(placement, {})
            for index, text in texts.items():
                action = self._strategy.actions[index]
                here[action.id] = (action.kind.value, text, action.intents, action.id in self._modelled)
        return words

    def _seen_features(self, entry: Entry) -> tuple[str, ...]:
        """Return the features of the model that were known then; of an earlier strategy it is not told."""
        if entry.strategy != self._strategy.version:
            return ()
        known = bytes([value is not None for value in self._feature_values(entry.values)])
        seen = self._seen.get(known)
        if seen is None:
            if len(self._seen) >= MOST_SEEN:
                self._seen.clear()
            seen = self._seen[known] = tuple(compress(self._strategy.features, known))
        return seen


def nothing(placement: str, reasons: tuple[Reason, ...], held_back: str = "", until_ms: int | None = None) -> Answer:
    """Return the suppression of a placement."""
    return Answer(placement, "", "", "", (), 0.0, 0.0, reasons, held_back, until_ms)


def suppressed(
    placement: str, best: int | None, survivors: int, vetoes: Sequence[Veto], strategy: Strategy
) -> PlacementPlan:
    """Return the plan of a placement at which nothing may be said, or nothing is worth saying.

    The reasons that hold the best action back come first.
    """
    if best is None:
        reasons = (Reason(ReasonCode.NO_TREATMENT, "The strategy has nothing to say at this placement."),)
        return PlacementPlan(placement, (), 0, False, nothing(placement, reasons))
    held_by = [veto for veto in vetoes if veto.mask >> best & 1]
    found = each_once((veto.reason for veto in held_by), (veto.reason for veto in vetoes))
    if survivors:
        found.insert(0, Reason(ReasonCode.NOTHING_WORTH_SAYING, "Nothing that may be said is worth more than silence."))
    only_caps = held_by and all(veto.until_ms is not None for veto in held_by)
    until_ms = max(veto.until_ms or 0 for veto in held_by) if only_caps else None
    answer = nothing(placement, tuple(found), strategy.actions[best].id, until_ms)
    return PlacementPlan(placement, (), 0, False, answer)


def unobjected(placed: PlacementPlan, objections: Mapping[str, str]) -> PlacementPlan:
    """Return a plan as the independent check leaves it: its suppression where that objects to any of its actions."""
    broken = [objections[c.action] for c in placed.candidates if c.action in objections]
    return withheld(placed, broken[0]) if broken else placed


def withheld(placed: PlacementPlan, rule_id: str) -> PlacementPlan:
    """Return the suppression of a placement over which the independent check disagrees."""
    reason = Reason(ReasonCode.CHECK_FAILED, "A second check disagreed with the answer, so it was withheld.", rule_id)
    answer = nothing(placed.placement, (reason,), placed.candidates[0].action)
    return PlacementPlan(placed.placement, (), placed.pool, placed.explored, answer)


def chosen(
    entry: Entry, committed: Committed, texts: Texts, bound_reason: BoundReason, values: Sequence[Scalar | None]
) -> tuple[Answer, ...]:
    """Return the answers that the commit chose from a plan, in words for a customer of these values."""
    told = texts.told(entry, committed, values)
    return chosen_plainly(entry, committed, texts, bound_reason, values) if told is None else told


def chosen_plainly(
    entry: Entry, committed: Committed, texts: Texts, bound_reason: BoundReason, values: Sequence[Scalar | None]
) -> tuple[Answer, ...]:
    """Return what `chosen` does, whatever it is: the twin of what says usual decisions in one step."""
    found = []
    for place, placed in enumerate(entry.placements):
        bound = [b for b in committed.bound if b.placement == place] if committed.bound else []
        if placed.suppression is not None:
            found.append(placed.suppression)
        elif committed.chosen[place] >= 0:
            found.append(_unless_off(texts.said(placed, committed.chosen[place], entry, values), committed.off))
        else:
            found.append(_all_taken(placed, bound, bound_reason))
    return tuple(found)


def _unless_off(answer: Answer, off: Switched) -> Answer:
    return nothing(answer.placement, (OFF,), answer.action) if is_off(off, answer.action) else answer


def _all_taken(placed: PlacementPlan, bound: Sequence[Bound], bound_reason: BoundReason) -> Answer:
    """Suppress what a race took; the first candidate that a cap bound is held back until its last counter frees."""
    bound = [b for b in bound if b.counter != UNTRIED]
    if not bound:
        return nothing(placed.placement, (SHOWN,), placed.candidates[0].action)
    first = min(b.rank for b in bound)
    held_by = [b for b in bound if b.rank == first]
    out = any(b.counter in (UNGRANTED, SWITCHED) for b in held_by)  # only people end it, and nobody knows when
    until_ms = None if out else max(b.frees_ms for b in held_by)
    others = [b for b in bound if b.rank != first]
    said, also = ([bound_reason(b.counter, b.frees_ms) for b in found] for found in (held_by, others))
    capped = tuple(each_once(said, also))
    return nothing(placed.placement, capped, placed.candidates[first].action, until_ms)
