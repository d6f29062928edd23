"""What a decision does on the lower rungs (service/core/rungs.py): what was missing, and what is safe to say."""

from __future__ import annotations

from collections.abc import Iterable

from models import states
from models.context import Field, Source
from service.core import answers
from service.core.decision import Decision, Known, Reason, ReasonCode, Request
from service.core.judge import Judge
from service.core.memory import Switched
from service.core.snapshot import Sight, Snapshot
from service.core.strategy import Strategy
from service.core.switched import OFF, is_off

NO_MODEL = Reason(ReasonCode.NO_MODEL, "No model is loaded; the strategy's priors were used.")
MODEL_FAILED = Reason(ReasonCode.MODEL_FAILED, "The model could not score; the strategy's priors were used.")
OUT_OF_DATE = "Scores that were computed before are older than they may be, and count as unknown."
_NOT_MADE_AGAIN = frozenset({ReasonCode.MODEL_FAILED, ReasonCode.SCORES_STALE})


class ModelFailed(ArithmeticError):
    """A model computed what is no number."""


class Ladder:
    """Knows for one strategy which scores have run out, and what may be said when nothing is known."""

    def __init__(self, strategy: Strategy, sight: Sight, judge: Judge, texts: answers.Texts) -> None:
        self._strategy, self._sight, self._judge, self._texts = strategy, sight, judge, texts
        self._greeting = texts.index[strategy.safe_greeting]
        aging = (one for one in enumerate(strategy.schema.fields) if _runs_out(one[1]))
        self._aging: tuple[tuple[int, Field, int], ...] = tuple(
            (index, field, field.max_age_ms) for index, field in aging if field.max_age_ms is not None
        )

    def missing(self, snapshot: Snapshot) -> tuple[Reason, ...]:
        """Return the reason that scores which the consent allows are older than they may be; empty where none is."""
        if not self._aging:
            return ()
        gone = [one for one in self._aging if snapshot.values[one[0]] is None]
        fields = tuple(field.id for _, field, most_ms in gone if self._ran_out(snapshot, field, most_ms))
        return (Reason(ReasonCode.SCORES_STALE, OUT_OF_DATE, "", fields),) if fields else ()

    def safe(self, request: Request, why: Reason, at_ms: int, off: Switched, model: str) -> Decision:
        """Return the safe answer: a neutral greeting, where one fits and nothing known forbids it; else nothing."""
        held = OFF if is_off(off, self._strategy.safe_greeting) else self._forbids(request, at_ms)
        if held is not None:
            safe = tuple(answers.nothing(placement, (why, held)) for placement in request.placements)
        else:
            safe = self._texts.safe(request, self._strategy.safe_greeting, why)
        return Decision("", safe, self._strategy.version, model, at_ms, (why,))

    def _forbids(self, request: Request, at_ms: int) -> Reason | None:
        """Return why a guardrail is known to forbid the safe greeting, by what came with the request; None if none is.

        What nobody knows holds it back here no more: it is what is said while nothing can be read.
        """
        snapshot = self._sight.see(Known(at_ms, None, (), {}, {}), request)
        for veto in self._judge.judge(snapshot, request.channel).vetoes:
            if veto.mask >> self._greeting & 1 and veto.reason.code is ReasonCode.GUARDRAIL:
                return veto.reason
        return None

    def _ran_out(self, snapshot: Snapshot, field: Field, most_ms: int) -> bool:
        """Tell whether a field is known from a moment that is too long ago, and may be known by the consent."""
        group = snapshot.groups.get(field.purpose.group)
        if group is None or field.purpose not in snapshot.level.purposes:
            return False
        try:
            dates = {key: at_ms for key, at_ms, _ in states.cells(group)}
        except ValueError:
            return False  # it cannot be read: then it is not known how old it is
        return field.key in dates and snapshot.now_ms - dates[field.key] >= most_ms


def _runs_out(field: Field) -> bool:
    return field.source is Source.MODEL and field.max_age_ms is not None


def not_made_again(degraded: Iterable[Reason]) -> tuple[Reason, ...]:
    """Return of what an entry says was missing that which its engine and its values do not tell."""
    return tuple(reason for reason in degraded if reason.code in _NOT_MADE_AGAIN)


def with_missing(own: tuple[Reason, ...], missing: tuple[Reason, ...]) -> tuple[Reason, ...]:
    """Return what an engine always misses with what was missing besides; a model that failed is no model besides."""
    if any(reason.code is ReasonCode.MODEL_FAILED for reason in missing):
        own = tuple(reason for reason in own if reason.code is not ReasonCode.NO_MODEL)
    return (*own, *missing)
