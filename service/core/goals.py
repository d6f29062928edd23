"""Goals: what a change of facts shall bring about."""

from __future__ import annotations

from msgspec import Struct

from models.shapes import nearest
from service.core.decision import Request
from service.core.strategy import Strategy


class Goal(Struct, frozen=True):
    """What a change shall bring about: that an action is what a placement says first, or, not `wins`, that it is not.

    An empty `placement` is the first of the request that has words for the action.
    """

    action: str
    wins: bool = True
    placement: str = ""


class NoSuchGoal(Exception):
    """A goal that the decision knows nothing of: its message says what would be right."""


class Aim(Struct, frozen=True):
    """A goal as indexes: the action with its bit in masks, and the placement."""

    action: str
    bit: int
    place: int
    wins: bool


def aim_of(strategy: Strategy, request: Request, goal: Goal) -> Aim:
    """Return what a goal means for a request. Raises NoSuchGoal."""
    action = next((action for action in strategy.actions if action.id == goal.action), None)
    if action is None:
        known = nearest(goal.action, [action.id for action in strategy.actions])
        raise NoSuchGoal(f"there is no action `{goal.action[:64]}`; {known}")
    asked, channel = request.placements, request.channel
    if goal.placement and goal.placement not in asked:
        raise NoSuchGoal(f"placement `{goal.placement[:64]}` was not asked for; {nearest(goal.placement, asked)}")
    worded = {treatment.placement for treatment in action.treatments if treatment.channel == channel}
    places = [place for place, name in enumerate(asked) if name in worded and goal.placement in ("", name)]
    if not places:
        where = f"placement `{goal.placement}`" if goal.placement else "any placement that was asked for"
        raise NoSuchGoal(f"the action `{action.id}` has no words for {where} on channel `{channel}`")
    return Aim(action.id, 1 << action.index, places[0], goal.wins)
