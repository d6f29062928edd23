"""Gaps: customers to whom nothing at all can be said where they ask; and a safe greeting that is not always safe.

While nothing can be read of anybody the safe greeting is said to all who ask, and no rule is asked then. So a rule that
holds it back is one that is not kept to in the worst moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import z3

from service.core.strategy import Action
from service.proving.finding import Finding, FindingKind, Gravity, listed
from service.proving.prover import Prover
from service.proving.questions import Decided, Outcome, Question


def gaps(prover: Prover) -> Iterator[Finding]:
    """Yield each channel on which customers ask and can be left without any answer, else each such placement of it."""
    for channel in prover.model.strategy.channels:
        if channel.permission:
            continue
        found = list(_gap(prover, channel.id, channel.placements, prover.model.sayable[channel.id]))
        yield from found
        for placement in channel.placements if not found and len(channel.placements) > 1 else ():
            yield from _gap(prover, channel.id, (placement,), prover.model.treated(channel.id, placement))


def unsafe_greeting(prover: Prover) -> Iterator[Finding]:
    """Yield each channel where customers ask on which rules can hold the safe greeting back, which asks no rule."""
    strategy = prover.model.strategy
    greeting = next(action for action in strategy.actions if action.id == strategy.safe_greeting)
    for channel in (channel.id for channel in strategy.channels if not channel.permission):
        holds = prover.model.holds(channel, greeting) if greeting in prover.model.sayable[channel] else ()
        by = tuple(hold.by for hold in holds if prover.possible(hold.held))
        if by:
            says = f"The safe greeting `{greeting.id}` can be held back on `{channel}` by {listed(by)}"
            says += ", and is said all the same while nothing can be read of the customer."
            yield Finding(FindingKind.UNSAFE_GREETING, Gravity.MISTAKE, (greeting.id, channel, *by), says)


def _gap(prover: Prover, channel: str, placements: tuple[str, ...], actions: Iterable[Action]) -> Iterator[Finding]:
    whole = len(placements) > 1 or prover.model.channel(channel).placements == placements
    where = f"`{channel}`" if whole else f"`{channel}` at `{placements[0]}`"
    none = [z3.Not(prover.model.may_be_said(channel, action)) for action in actions]

    def silent(decided: Decided) -> bool:
        return not any(decided.may[placement] for placement in placements)

    asked = Question(f"gap {channel} {' '.join(placements)}", f"Nothing can be said on {where}.", channel,
                     z3.And(none) if none else z3.BoolVal(True), silent)  # fmt: skip
    verdict = prover.ask(asked)
    if verdict.outcome is Outcome.PROVEN:
        return
    gravity = Gravity.MISTAKE if whole and verdict.decided else Gravity.REMARK
    about = channel, *(() if whole else placements)
    says = f"There are customers who ask on {where} and to whom nothing can be said, not even the safe greeting."
    if verdict.decided is None:
        says = f"There may be customers who ask on {where} and to whom nothing can be said: {verdict.why}."
    yield Finding(FindingKind.GAP, gravity, about, says, certain=verdict.decided is not None, decided=verdict.decided)
