"""Logged decisions for those who learn from them: what was said in the end, and exactly how probably."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from models.decision_table import NOTHING, Policy
from service.core.decision import Committed
from service.core.plan import PlacementPlan
from service.core.rights import KeptDecision, KeptOutcome

NO_PLACE = "0-0"
"""The place before the first entry of a stream."""


_PLACE = re.compile(r"(0|[1-9][0-9]{0,14})-(0|[1-9][0-9]{0,14})", re.ASCII)


def is_place(text: str) -> bool:
    """Tell whether a text has the form of a place in a stream."""
    return _PLACE.fullmatch(text) is not None


class Position(Struct, frozen=True):
    """How far a bucket was read: the last places in its streams of decisions and outcomes, empty for none yet."""

    bucket: int
    decisions: str = ""
    outcomes: str = ""


class DecisionPage(Struct, frozen=True):
    """Decisions, the last place that was read, and whether these were all; what is unreadable has no entry."""

    found: tuple[KeptDecision, ...]
    last: str
    ends: bool


class OutcomePage(Struct, frozen=True):
    """Outcomes with their customers, the last place, whether these were all, and how many were unreadable."""

    found: tuple[tuple[str, KeptOutcome], ...]
    last: str
    ends: bool
    unreadable: int


class Said(Struct, frozen=True):
    """What was said at a placement: the action, empty for nothing, and the exact probability of that."""

    action: str
    probability: float


def said_at(placed: PlacementPlan, place: int, committed: Committed) -> Said:
    """Return what was said at a placement of a decision.

    Whichever of the candidates up to the chosen one had come first, the chosen one would have been said: those before
    it did not fit. So its probability is the sum of theirs.
    """
    chances = chances_at(placed)
    if placed.suppression is not None or not placed.candidates:
        return Said("", chances.get(NOTHING, 1.0))
    rank = committed.chosen[place]
    tried = placed.candidates[: rank + 1] if rank >= 0 else placed.candidates
    together = sum(chances.get(candidate.action, 0.0) for candidate in tried)
    if rank < 0:
        return Said("", min(1.0, together + chances.get(NOTHING, 0.0)))
    return Said(placed.candidates[rank].action, min(1.0, together))


def chances_at(placed: PlacementPlan) -> Mapping[str, float]:
    """Return the probability of each action to come first at a placement, control groups drawn as well."""
    if placed.odds:
        return {one.action: one.everyone for one in placed.odds}
    return {one.action: one.probability for one in placed.candidates}


def policy_of(placed: PlacementPlan) -> str:
    """Return the name of what chose the first candidate."""
    drawn = any(0.0 < candidate.probability < 1.0 for candidate in placed.candidates)
    return placed.policy or (Policy.EPSILON_GREEDY if drawn else Policy.GREEDY)
