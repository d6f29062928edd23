"""What is asked of a decision that was made."""

from __future__ import annotations

from msgspec import Struct

from service.core.counterfactual import MOST_CHANGES
from service.core.explained import Depth
from service.core.goals import Goal


class Wanted(Struct, frozen=True):
    """The decision that is to be explained, and which change of its answer is looked for, if one is.

    `most` is how many changes are tried together. With `either_way` the goal is to lose for an action that was said,
    and to win for any other. `only` names the actions that are told; empty for all.
    No more is made than `depth` tells.
    """

    decision_id: str
    goal: Goal | None = None
    either_way: bool = False
    most: int = MOST_CHANGES
    only: tuple[str, ...] = ()
    depth: Depth = Depth.AUDITOR
