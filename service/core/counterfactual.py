"""Counterfactual: the smallest change of actionable facts that makes an action win or lose, checked by deciding again.

>>> found = counterfactual(engine, again(engine, entry), Goal("fibre-upgrade"))  # doctest: +SKIP
>>> found.verdict, [change.says for change in found.changes]  # doctest: +SKIP
(<Verdict.FOUND: 'found'>, ['The support tickets are solved and closed.'])

Smallest means the fewest changes, then the shortest wait, then the fewest steps, then the order of the strategy.
Everything here is pure.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from msgspec import Struct

from service.core.again import Again
from service.core.changes import Change, ChangeKind, Scene
from service.core.decision import Committed, Reason
from service.core.engine import Engine
from service.core.goals import Aim, Goal, NoSuchGoal, aim_of
from service.core.lost import lost
from service.core.reach import Reach
from service.core.seeking import Search

__all__ = [
    "ALLOWED_CHANGES",
    "MOST_CHANGES",
    "TRIES",
    "Change",
    "ChangeKind",
    "Counterfactual",
    "Goal",
    "Looked",
    "NoSuchGoal",
    "Seeker",
    "Verdict",
    "counterfactual",
]

MOST_CHANGES = 3
"""How many changes are tried together where nobody says; at most `ALLOWED_CHANGES` can be asked for."""
ALLOWED_CHANGES = 4
TRIES = 20_000
"""How many decisions one search makes at most, where nobody says: one to two seconds of processor time."""


class Verdict(StrEnum):
    """What came of the search.

    already   the decision is so without any change
    found     with the listed `changes` it is so, what `assumes` names taken as it was, as deciding again showed
    none      no combination of the changes that were looked at makes it so
    gave_up   none was found by the time that all tries were used up
    """

    ALREADY = "already"
    FOUND = "found"
    NONE = "none"
    GAVE_UP = "gave_up"


class Looked(Struct, frozen=True):
    """How far was looked: `most` changes together, in `tries` decisions, of these `facts` (fields), up to a moment.

    `until_ms` is unset where waiting is ruled out. `levels` are the consent levels that were tried, and `permission`
    says whether the permission to be contacted was.
    """

    most: int
    tries: int
    facts: tuple[str, ...]
    until_ms: int | None
    levels: tuple[str, ...]
    permission: bool


class Counterfactual(Struct, frozen=True):
    """What would change an answer.

    `changes` are set where the verdict is `found`, in the order of the strategy. `then` is what the placement says with
    them, empty for nothing. `assumes` are the fields of which the log does not tell what waiting or another consent
    makes of them: they were taken as they are. Where none was found that lets an action win, `stands` are the reasons
    against it: those that nothing removes, or all where they are not removed together. Where it may be said, with or
    without a change, `ahead` are the actions that come before it then, the best first, and `stands` what else hinders.
    """

    goal: Goal
    verdict: Verdict
    changes: tuple[Change, ...]
    then: str
    assumes: tuple[str, ...]
    stands: tuple[Reason, ...]
    looked: Looked
    ahead: tuple[str, ...] = ()


def counterfactual(
    engine: Engine,
    made: Again,
    goal: Goal,
    most: int = MOST_CHANGES,
    tries: int = TRIES,
    committed: Committed | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Counterfactual:
    """Return the smallest change that reaches a goal. Raises NoSuchGoal for an action or placement there is none of.

    `made` is the decision, by `again(engine, entry)`, or the same of a request that is being answered: where `known`
    still has the packed states, waiting is exact; of a logged decision it is as far as values tell. With `committed`
    the answer is what was said, not what was planned. `stop` tells, from time to time, whether nobody waits any more:
    then it is given up. Who asks often keeps a `Seeker`.
    """
    return Seeker(engine).counterfactual(made, goal, most, tries, committed, stop)


class Seeker:
    """Looks for counterfactuals of one engine's decisions. Constructing it compiles; it then holds no state."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reach = Reach(engine)

    def counterfactual(
        self,
        made: Again,
        goal: Goal,
        most: int = MOST_CHANGES,
        tries: int = TRIES,
        committed: Committed | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Counterfactual:
        """See the function of this name."""
        if not 1 <= most <= ALLOWED_CHANGES:
            raise NoSuchGoal(f"{most} changes together cannot be looked for; ask for 1 to {ALLOWED_CHANGES}")
        aim = aim_of(self._engine.strategy, made.request, goal)
        bindings = self._engine.explainer.bindings(made, committed) if committed is not None else ()
        search = Search(Scene(self._engine, made, bindings), self._reach, aim, most, tries, stop)
        verdict, changes = _sought(search, most)
        wait_ms = self._engine.strategy.actionable.wait_ms
        assumes = self._reach.read_among(search.guessed(changes), made)
        none = aim.wins and verdict in (Verdict.NONE, Verdict.GAVE_UP)
        stands, ahead = self._against(search, aim) if none else ((), ())
        looked = _looked(search, most, made.snapshot.now_ms + wait_ms if wait_ms else None)
        return Counterfactual(goal, verdict, changes, search.says(changes), assumes, stands, looked, ahead)

    def _against(self, search: Search, aim: Aim) -> tuple[tuple[Reason, ...], tuple[str, ...]]:
        """Return what stands against an action that no change lets win: reasons, and the actions before it."""
        near = search.near()
        if near is None:
            return search.stands(), ()
        fell = lost(self._engine, near, aim.place, aim.action)
        return (fell.reasons, fell.ahead) if fell is not None else ((), ())


def _looked(search: Search, most: int, until_ms: int | None) -> Looked:
    return Looked(
        most=most,
        tries=search.tried,
        facts=tuple(axis.field for axis in search.axes if axis.field),
        until_ms=until_ms,
        levels=tuple(one.level for axis in search.axes for one in axis.settings if one.level),
        permission=any(axis.kind is ChangeKind.PERMISSION for axis in search.axes),
    )


def _sought(search: Search, most: int) -> tuple[Verdict, tuple[Change, ...]]:
    if search.reached(()):
        return Verdict.ALREADY, ()
    if search.hopeless:
        return Verdict.NONE, ()
    for size in range(1, most + 1):
        if found := search.smallest(size):
            return Verdict.FOUND, search.shrunk(found)
        if search.spent:
            return Verdict.GAVE_UP, ()
    return Verdict.NONE, ()
