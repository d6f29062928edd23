"""Actions that nobody can get, and why; and actions that nothing ever holds back."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import z3

from service.core.rules import Kind
from service.core.selection import mask
from service.core.strategy import Action, Strategy
from service.proving.finding import Finding, FindingKind, Gravity, listed
from service.proving.prover import Prover


def odd_actions(prover: Prover) -> Iterator[Finding]:
    """Yield what is odd about single actions, and then the rules that exclude each other for some of them."""
    excluding: dict[tuple[str, ...], list[str]] = {}
    for action in prover.model.strategy.actions:
        channels = [channel for channel, said in prover.model.sayable.items() if action in said]
        possible = {channel: prover.possible(prover.model.may_be_said(channel, action)) for channel in channels}
        never = [channel for channel, found in possible.items() if found is False]
        cores = {channel: _core(prover, channel, action) for channel in never}
        yield from _never_said(prover.model.strategy, action, cores, nowhere=len(never) == len(channels))
        yield from _doubtful(action, [channel for channel, found in possible.items() if found is None])
        for core in cores.values():
            excluding.setdefault(core, []).append(action.id)
        if not never and _never_held(prover, action, channels):
            yield _free(action)
    yield from _contradictions(prover, excluding)


# ---------------------------------------------------------------------------------------------------------- never said


def _core(prover: Prover, channel: str, action: Action) -> tuple[str, ...]:
    """Return what excludes each other, or alone excludes, that the action is said on the channel."""
    named = [(hold.by, z3.Not(hold.held)) for hold in prover.model.holds(channel, action)]
    return prover.core(named) or ()


def _never_said(
    strategy: Strategy, action: Action, cores: dict[str, tuple[str, ...]], nowhere: bool
) -> Iterator[Finding]:
    whom = f"Nobody can ever get the {action.kind} `{action.id}`"
    if not action.treatments:
        yield _never(action, (), f"{whom}: it has no words on any channel.")
    elif nowhere:
        by = tuple(dict.fromkeys(name for core in cores.values() for name in core))
        yield _never(action, by, f"{whom}: {listed(by)} hold{'s' if len(by) == 1 else ''} it back whatever is known.")
    elif _worthless(strategy, action):
        yield _never(action, (), f"{whom}: by its prior it is never worth more than silence, and no model is declared.")
    else:
        for channel, by in cores.items():
            where = f"{whom} on `{channel}`, though it has words there"
            yield _never(action, (channel, *by), f"{where}: {listed(by)} hold it back whatever is known.")


def _never(action: Action, others: tuple[str, ...], says: str) -> Finding:
    return Finding(FindingKind.NEVER_SAID, Gravity.MISTAKE, (action.id, *others), says)


def _doubtful(action: Action, channels: list[str]) -> Iterator[Finding]:
    for channel in channels:
        says = f"Nobody may be able to get the {action.kind} `{action.id}` on `{channel}`: the solver did not know."
        about = action.id, channel
        yield Finding(FindingKind.NEVER_SAID, Gravity.REMARK, about, says, certain=False)


def _worthless(strategy: Strategy, action: Action) -> bool:
    """Tell whether an action is never worth more than silence, where its prior alone says what it is worth."""
    if strategy.features or strategy.adaptive is not None or action.id == strategy.safe_greeting:
        return False
    weights = [w.factor for w in strategy.weights for c in strategy.channels if mask(w.boost, (action,), c.id)]
    revenue = action.lever * action.propensity * (action.value - action.reward)
    most = revenue * prod(max(1.0, factor) for factor in weights)
    promised = any(mask(rule.keep, (action,), c.id) for rule in strategy.promises for c in strategy.channels)
    return most <= action.cost and not promised


# ----------------------------------------------------------------------------------------------------- never held back


def _never_held(prover: Prover, action: Action, channels: list[str]) -> bool:
    strategy = prover.model.strategy
    if action.id == strategy.safe_greeting or action.kind is Kind.OFFER:
        return False
    counted = (*(cap.count for cap in strategy.caps), *(rule.about for rule in strategy.cool_offs))
    if any(mask(selector, (action,), channel) for selector in counted for channel in channels):
        return False
    held = [hold.held for channel in channels for hold in prover.model.holds(channel, action)]
    return prover.possible(z3.Or(held)) is False


def _free(action: Action) -> Finding:
    says = f"Nothing ever holds the {action.kind} `{action.id}` back: no rule, no cap and no cool-off."
    return Finding(FindingKind.NEVER_HELD_BACK, Gravity.REMARK, (action.id,), says)


# ------------------------------------------------------------------------------------------------------ contradictions


def _contradictions(prover: Prover, excluding: dict[tuple[str, ...], list[str]]) -> Iterator[Finding]:
    places = {rule.id: rule.when for rule in prover.model.rules}
    for core, actions in excluding.items():
        if len(core) < 2:
            continue
        names = dict.fromkeys(actions)
        whom = "`, `".join(names)
        says = f"For `{whom}` {listed(core)} exclude each other: there is nobody whom all of them let through."
        at = next((places[name] for name in core if name in places), None)
        file, line = (at.file, at.line) if at else ("", 0)
        yield Finding(FindingKind.CONTRADICTION, Gravity.MISTAKE, (*core, *names), says, file, line)
