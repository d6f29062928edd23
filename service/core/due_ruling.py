"""Rule on an armed moment when its time comes: what becomes of it, by what is known of the customer then.

Pure, as the judge is: the snapshot tells the moment, too. What may be said is left to the decision itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from models.clock import Clock
from models.context import ContextSchema, Scalar
from service.core.cel import Conditions, Program, check_condition
from service.core.epochs import in_force
from service.core.snapshot import Snapshot
from service.core.strategy import Strategy
from service.core.triggers import DAY_MS, Moment, Trigger, Wait

NO_CLOCK_AGAIN_MS = 3_600_000
"""How long after it is looked again whether it is known by then where the customer is."""


class Ruled(StrEnum):
    """What becomes of a moment: it is decided now; or looked at later; or it is dropped, and why."""

    SAY = "say"
    """It is due: decide."""
    EARLY = "early"
    """Where the customer is, its time has not come."""
    NOT_YET = "not_yet"
    """Its condition is not known to hold, and the strategy says to look again."""
    CONDITION = "condition"
    """Dropped: its condition does not hold any more."""
    UNKNOWN = "unknown"
    """Dropped: whether its condition holds is not known."""
    EXPIRED = "expired"
    """Dropped: it came too late to be of use."""
    NO_CONSENT = "no_consent"
    """Dropped: the customer has not agreed to the purpose."""
    RETIRED = "retired"
    """Dropped: the strategy has no such trigger now."""


class Ruling(Struct, frozen=True):
    """What becomes of a moment, and a sentence that says why.

    `again_ms` is when to look again, for what is early or not yet. `due_ms` is when it was due where the customer is,
    and `until_ms` until when it is good to say: a suppression that ends before can be waited for. 0 for not known.
    """

    ruled: Ruled
    sentence: str
    again_ms: int = 0
    due_ms: int = 0
    until_ms: int = 0

    @property
    def dropped(self) -> bool:
        """Whether nothing will come of it."""
        return self.ruled not in (Ruled.SAY, Ruled.EARLY, Ruled.NOT_YET)


RETIRED = Ruling(Ruled.RETIRED, "The strategy in force has no such trigger.")


class Dues:
    """Rules on armed moments under one strategy. Constructing it compiles the conditions; it then holds no state."""

    def __init__(self, strategy: Strategy) -> None:
        self.triggers = {trigger.id: trigger for trigger in strategy.triggers}
        self._clock = Clock.of(strategy.schema)
        self._conditions = {trigger.id: _compiled(trigger, strategy.schema) for trigger in strategy.triggers}

    def ruled(self, moment: Moment, snapshot: Snapshot) -> Ruling:
        """Return what becomes of a moment by what is known now."""
        trigger, now_ms = self.triggers.get(moment.trigger), snapshot.now_ms
        if trigger is None or not in_force(trigger.valid, now_ms):
            return RETIRED
        due_ms = due(trigger.wait, moment.base_ms, self._clock, snapshot.values)
        if due_ms is None:
            return _nowhere(trigger, moment, now_ms)
        until_ms = due_ms + trigger.good_for_ms
        if now_ms < due_ms:
            sentence = "Its time has not come where the customer is."
            return Ruling(Ruled.EARLY, sentence, due_ms, due_ms, until_ms)
        if now_ms >= until_ms:
            return Ruling(Ruled.EXPIRED, "It came too late to be of use.", 0, due_ms, until_ms)
        if trigger.purpose not in snapshot.level.purposes:
            sentence = f"It needs consent to {trigger.purpose}, and this customer has not given it."
            return Ruling(Ruled.NO_CONSENT, sentence, 0, due_ms, until_ms)
        (truth,) = self._conditions[trigger.id](snapshot.values, now_ms)
        if truth is True:
            return Ruling(Ruled.SAY, trigger.says, 0, due_ms, until_ms)
        return _held(trigger, truth, now_ms, due_ms)


def due(wait: Wait, base_ms: int, clock: Clock | None, values: Sequence[Scalar | None]) -> int | None:
    """Return when (ms) it is due for a customer of whom these values are known; None where that is not known."""
    if wait.minute is None:
        return base_ms + wait.span_ms
    if clock is None:
        return None
    found = clock.minute_on(values, base_ms, wait.span_ms // DAY_MS, wait.minute)
    if found is not None and not wait.span_ms and found < base_ms:
        return clock.minute_on(values, base_ms, 1, wait.minute)
    return found


def _compiled(trigger: Trigger, schema: ContextSchema) -> Conditions:
    program, source = Program(), trigger.when.source
    return program.compile([program.add(check_condition(source, schema).node) if source else "True"], schema)


def _nowhere(trigger: Trigger, moment: Moment, now_ms: int) -> Ruling:
    """Rule on a moment of a time of day where nobody knows which clock counts: it may be known until it runs out."""
    until_ms = moment.base_ms + trigger.wait.earliest_ms + 2 * DAY_MS + trigger.good_for_ms
    if now_ms >= until_ms:
        return Ruling(Ruled.EXPIRED, "It was not known where the customer is, and now it is too late.")
    return Ruling(Ruled.EARLY, "It is not known where the customer is.", now_ms + NO_CLOCK_AGAIN_MS)


def _held(trigger: Trigger, truth: object, now_ms: int, due_ms: int) -> Ruling:
    until_ms, again_ms = due_ms + trigger.good_for_ms, now_ms + trigger.look_again_ms
    if trigger.look_again_ms and again_ms < until_ms:
        return Ruling(Ruled.NOT_YET, "Its condition does not hold yet.", again_ms, due_ms, until_ms)
    if truth is None:
        return Ruling(Ruled.UNKNOWN, "It is not known whether its condition holds.", 0, due_ms, until_ms)
    return Ruling(Ruled.CONDITION, "Its condition does not hold.", 0, due_ms, until_ms)
