"""Depths: how much of an answer and of its explanation is told to whom.

A field is told by its path or its value only to the audience that the strategy names for it, and only as far as it is
consented to. A rule is told, by its id and in its words, only where all that it looks at is: what is left of it else is
its kind. So nothing is given away by what stands beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from dataclasses import replace as replace_sieve

from msgspec.structs import replace

from models.context import Audience, ContextSchema, Field, Purpose
from service.core.check import CONSENT, STOCK, SWITCH
from service.core.customer_words import CUSTOMERS, because
from service.core.decision import Answer, Decision, Reason, ReasonCode
from service.core.explained import Depth, Explanation, Fate, FieldSeen, RuleSeen, ScoreSeen, Story, WeightSeen
from service.core.observed import Observer
from service.core.reasons import each_once
from service.core.rules import CONTACT_PERMISSION
from service.core.ruling import judging
from service.core.strategy import Strategy
from service.core.templates import told_by
from service.core.validity import Validity

UNTOLD = "It is not told here what this rests on."
NOT_AGREED = "It is not told what this rests on, for the customer no longer agrees that it is used."
_DEPTHS = {Audience.CUSTOMER: Depth.CUSTOMER, Audience.AGENT: Depth.AGENT, Audience.AUDITOR: Depth.AUDITOR}
_BY_SCORE = frozenset({ReasonCode.HIGHEST_NET_VALUE, ReasonCode.EXPLORATION})
"""Their fields are features: which of them are told is said one by one, for none of them decides alone."""
OBJECTIONS = frozenset({CONSENT, STOCK, SWITCH, CONTACT_PERMISSION})
"""What the second check names that is no rule."""
NONE_LOST: frozenset[Purpose] = frozenset()


@dataclass(frozen=True, slots=True)
class Sieve:
    """What is told at one depth: these fields and no others (None: all), and none that is `lost` to the consent of now.

    `scores` says whether what models and weights made may be told. `rules` are the fields of each rule by its id, for
    reasons that name a rule and no fields.
    """

    depth: Depth
    told: frozenset[str] | None
    lost: frozenset[str]
    scores: bool
    rules: Mapping[str, frozenset[str]]

    def tells(self, fields: Iterable[str]) -> bool:
        """Tell whether all of these fields are told."""
        return all(name not in self.lost and (self.told is None or name in self.told) for name in fields)

    def of(self, fields: Iterable[str]) -> tuple[str, ...]:
        """Return those that are told."""
        return tuple(name for name in fields if self.tells((name,)))

    def reason(self, reason: Reason) -> Reason:
        """Return a reason as it is told: without the rule and its words where what the rule looks at is not told."""
        if self.depth is Depth.CUSTOMER:
            fields = self._fields(reason)
            return Reason(reason.code, CUSTOMERS[reason.code], "", fields, reason.until_ms)
        if reason.code in _BY_SCORE:
            sentence = reason.sentence if self.scores else NOT_AGREED
            return Reason(reason.code, sentence, reason.rule, self.of(reason.fields), reason.until_ms)
        read = self._read_by(reason)
        if read is not None and self.tells(read):
            return reason
        lost = any(name in self.lost for name in read or ())
        return Reason(reason.code, NOT_AGREED if lost else UNTOLD, "", (), reason.until_ms)

    def reasons(self, reasons: Iterable[Reason]) -> tuple[Reason, ...]:
        """Return reasons as they are told, each once."""
        return tuple(each_once(map(self.reason, reasons)))

    def answer(self, answer: Answer) -> Answer:
        """Return what is said at a placement, with its reasons as they are told; customers hear of no scores."""
        reasons = self.reasons(answer.reasons)
        if self.depth is Depth.CUSTOMER:
            return replace(answer, reasons=reasons, propensity=0.0, net_value=0.0, held_back="")
        if not self.scores:
            return replace(answer, reasons=reasons, propensity=0.0, net_value=0.0)
        return replace(answer, reasons=reasons)

    def _read_by(self, reason: Reason) -> Collection[str] | None:
        """Return what a reason rests on; None where that is not known, as of a rule of another strategy."""
        if reason.code is not ReasonCode.CHECK_FAILED or reason.rule in OBJECTIONS:
            return reason.fields
        return self.rules.get(reason.rule, () if self.told is None else None)

    def _fields(self, reason: Reason) -> tuple[str, ...]:
        if reason.code in _BY_SCORE or self.tells(reason.fields):
            return self.of(reason.fields)
        return ()


class Depths:
    """Knows for one strategy what is told at each depth."""

    def __init__(self, strategy: Strategy) -> None:
        schema = strategy.schema
        observer = Observer(strategy)
        self._fields = {field.id: field for field in schema.fields}
        self._told = {
            depth: frozenset(f.id for f in schema.fields if _DEPTHS[audience(f, schema)] <= depth) for depth in Depth
        }
        weighing = {name for weight in strategy.weights for name in observer.fields(weight)}
        self._rules = {rule.id: frozenset(observer.fields(rule)) for rule in judging(strategy)}
        self._scoring = frozenset((*strategy.features, *weighing))
        self._sieves = {depth: self._sieve(depth, NONE_LOST) for depth in Depth}

    @property
    def known(self) -> frozenset[str]:
        """The fields that there are."""
        return frozenset(self._fields)

    def at(self, depth: Depth, lost: Collection[Purpose] = NONE_LOST) -> Sieve:
        """Return what is told at a depth, where the consent allows these purposes no more."""
        return self._sieve(depth, lost) if lost else self._sieves[depth]

    def told(self, depth: Depth) -> frozenset[str]:
        """Return the fields that are told at a depth."""
        return self._told[depth]

    def decision(self, decision: Decision, depth: Depth, wanted: Depth | None = None) -> Decision:
        """Return a decision as a caller of this depth is told it; the explanation no deeper than is wanted."""
        found = decision
        if depth is not Depth.AUDITOR:
            sieve = self._sieves[depth]
            answers, degraded = tuple(map(sieve.answer, decision.answers)), sieve.reasons(decision.degraded)
            found = replace(decision, answers=answers, degraded=degraded)
        if decision.explanation is None:
            return found
        sieve = self._sieves[min(depth, wanted or depth)]
        return replace(found, explanation=self.explanation(decision.explanation, decision.answers, sieve))

    def validity(self, validity: Validity, depth: Depth) -> Validity:
        """Return what was judged again as a caller of this depth is told it."""
        sieve = self._sieves[depth]
        placements = tuple(replace(one, reasons=sieve.reasons(one.reasons)) for one in validity.placements)
        return replace(validity, placements=placements)

    def explanation(
        self, told: Explanation, answers: Iterable[Answer], sieve: Sieve, customers: Sieve | None = None
    ) -> Explanation:
        """Return an explanation as it is told; `answers` are those that it explains, with all of their reasons.

        The sentences are for customers, of whom `customers` says what they are told: what this strategy tells where it
        is left out.
        """
        why = {answer.placement: answer.reasons for answer in answers}
        words = customers or replace_sieve(self._sieves[Depth.CUSTOMER], lost=sieve.lost)
        stories = tuple(self._story(story, why.get(story.placement, ()), sieve, words) for story in told.placements)
        if sieve.depth is Depth.CUSTOMER:
            said = dict.fromkeys(story.action for story in told.placements if story.action)
            fates = tuple(Fate(action, (), None, None, None) for action in said)
            fields = tuple(seen for seen in told.fields if seen.used and seen.value is not None)
            return Explanation(fates, _fields(fields, sieve), "", stories, sieve.depth)
        fates = tuple(_fate(fate, sieve) for fate in told.fates)
        return Explanation(fates, _fields(told.fields, sieve), told.level, stories, sieve.depth)

    def _story(self, story: Story, reasons: Iterable[Reason], sieve: Sieve, customers: Sieve) -> Story:
        fits = [self._fields[name] for fit in story.fits if customers.tells(fit.fields) for name in fit.known]
        sentence = because(story.action, tuple(reason.code for reason in reasons), fits)
        if sieve.depth is Depth.CUSTOMER:
            return Story(story.placement, story.action, (), sentence=sentence)
        asked = None if story.asked_by is None else sieve.reason(story.asked_by)
        found = replace(
            story, sentence=sentence, asked_by=asked, fits=tuple(fit for fit in story.fits if sieve.tells(fit.fields))
        )
        if sieve.depth is Depth.AUDITOR and sieve.scores:
            return found
        return replace(found, draw=None, odds=())

    def _sieve(self, depth: Depth, lost: Collection[Purpose]) -> Sieve:
        gone = frozenset(name for name, field in self._fields.items() if field.purpose in lost)
        told = None if depth is Depth.AUDITOR else self._told[depth]
        return Sieve(depth, told, gone, not gone & self._scoring, self._rules)


def audience(field: Field, schema: ContextSchema) -> Audience:
    """Return to whom a field is told: to nobody who is not told what it would give away.

    What is folded from the same facts as a sensitive field is told to nobody else than that field.
    """
    behind = told_by(field, schema)
    if behind is None:
        return field.audience
    given_away = schema.fields[schema.index[behind[0]]]
    return max(field.audience, given_away.audience, key=_DEPTHS.__getitem__)


def _fields(fields: Iterable[FieldSeen], sieve: Sieve) -> tuple[FieldSeen, ...]:
    return tuple(seen for seen in fields if sieve.tells((seen.field,)))


def _fate(fate: Fate, sieve: Sieve) -> Fate:
    checks = tuple(_check(check, sieve) for check in fate.checks if sieve.tells(check.fields))
    vetoes = sieve.reasons(fate.vetoes)
    if not sieve.scores:
        return Fate(fate.action, vetoes, None, None, None, fate.placements, checks, fate.caps)
    score = None if fate.score is None else _score(fate.score, sieve)
    return replace(fate, vetoes=vetoes, checks=checks, score=score)


def _check(check: RuleSeen, sieve: Sieve) -> RuleSeen:
    return check if sieve.depth is Depth.AUDITOR else replace(check, condition="")


def _score(score: ScoreSeen, sieve: Sieve) -> ScoreSeen:
    weights = (weight if sieve.tells(weight.fields) else WeightSeen("", weight.factor) for weight in score.weights)
    return replace(score, weights=tuple(weights))
