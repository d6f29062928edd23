"""Parts: the actions of a rule that go together, such as all of one group, each part under a key of its own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from service.core.memory import Refusal
from service.core.rules import Exemption, Per
from service.core.selection import bits, mask
from service.core.strategy import Action, Strategy


def parts(
    rule: str, per: Sequence[Per], selected: int, actions: tuple[Action, ...], channel: str = "", placement: str = ""
) -> dict[str, int]:
    """Return the mask of each part by its key: the rule's id and what the part has in common.

    Ids hold no `|`, so no two rules share a key. An action is in one part for each of its intents; those without an
    intent, or without a group, are a part of their own, so that no rule leaves them out.
    """
    head = rule
    if Per.CHANNEL in per:
        head += f"|c:{channel}"
    if Per.PLACEMENT in per:
        head += f"|p:{placement}"
    found: dict[str, int] = {}
    for index in bits(selected):
        for tail in tails(per, actions[index]):
            found[head + tail] = found.get(head + tail, 0) | 1 << index
    return found


def exempted(strategy: Strategy, rule: str, exemptions: Sequence[Exemption], channel: str) -> int:
    """Return the actions that these exemptions let out of a rule."""
    found = 0
    for exemption in exemptions:
        if rule in exemption.exempt_from:
            found |= mask(exemption.actions, strategy.actions, channel)
    return found


def tails(per: Sequence[Per], action: Action | Refusal) -> list[str]:
    """Return what the keys of an action's parts end with; of a refused one, by what the action was then."""
    if Per.ACTION in per:
        return [f"|a:{action.action if isinstance(action, Refusal) else action.id}"]
    groups = [f"|g:{action.group}"] if Per.GROUP in per else [""]
    intents = [f"|i:{intent}" for intent in action.intents or ("",)] if Per.INTENT in per else [""]
    return ["".join(pair) for pair in product(groups, intents)]
