"""Triggers of which nothing ever comes: whenever they are due, all that they are for is held back."""

from __future__ import annotations

from collections.abc import Iterator

import z3

from service.core.selection import mask
from service.core.triggers import Trigger
from service.proving.finding import Finding, FindingKind, Gravity
from service.proving.prover import Prover


def idle_triggers(prover: Prover) -> Iterator[Finding]:
    """Yield each trigger that sends nothing to anybody."""
    for trigger in prover.model.strategy.triggers:
        due = _due(prover, trigger)
        found = prover.possible(due, _said(prover, trigger))
        if found is None:
            yield _found(trigger, "may send nothing: the solver did not know", certain=False)
        elif not found and prover.possible(due) is False:
            yield _found(trigger, "is due for nobody: its condition never holds while it is in force and agreed to")
        elif not found:
            yield _found(trigger, "sends nothing: whenever it is due, all that it is for is held back")


def _due(prover: Prover, trigger: Trigger) -> z3.BoolRef:
    """Return when a trigger is in force, agreed to, and its condition is known to hold."""
    model, source = prover.model, trigger.when.source
    holds = [model.truth(model.checked[source]).holds] if source else []
    return z3.And(model.in_force(trigger.valid), model.symbols.allows(trigger.purpose), *holds)


def _said(prover: Prover, trigger: Trigger) -> z3.BoolRef:
    """Return when one of the actions that a trigger is for may be said at one of its placements."""
    model, channel = prover.model, trigger.channel
    meant = mask(trigger.of, model.strategy.actions, channel)
    worded = {action.index: action for place in trigger.placements for action in model.treated(channel, place)}
    return z3.Or([model.may_be_said(channel, one) for index, one in worded.items() if meant >> index & 1])


def _found(trigger: Trigger, says: str, *, certain: bool = True) -> Finding:
    gravity = Gravity.MISTAKE if certain else Gravity.REMARK
    sentence = f"The trigger `{trigger.id}` {says}."
    when = trigger.when
    return Finding(FindingKind.NEVER_SENT, gravity, (trigger.id,), sentence, when.file, when.line, certain)
