"""Seek: try combinations of changes, the smallest first, each by deciding again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from itertools import combinations, islice, product

from service.core.again import Again
from service.core.again import made as decided
from service.core.changes import Change, ChangeKind, Scene, effort
from service.core.decision import Reason
from service.core.explained import Binding
from service.core.goals import Aim
from service.core.policy import Judged
from service.core.reach import Axis, Reach
from service.core.snapshot import Snapshot

MOST_COMBINED = 200_000
"""How many combinations of one size are put in order at most."""


_Found = Set[tuple[Change, ...]]
_Way = tuple[tuple[int, ...], _Found]
_Removing = Callable[[tuple[int, ...], Reason], _Found]
"""Some places, and settings of what stands there."""


class Ended(Exception):
    """All tries are used up, or nobody waits for what is found any more."""


class _Cure:
    """What removes one reason: of the places of all axes that touch it, the settings that do, looked for when asked.

    Nothing else has a part in it, so every change that reaches the goal has one of these in it.
    """

    def __init__(self, reason: Reason, touching: frozenset[int], removing: _Removing) -> None:
        self.reason, self.touching, self._removing = reason, touching, removing
        self._ways: dict[tuple[int, ...], _Found] = {}

    def of(self, places: Sequence[int]) -> _Way | None:
        """Return where among these places those stand that touch the reason, and the settings of theirs that do.

        Raises Ended.
        """
        mine = tuple(at for at, place in enumerate(places) if place in self.touching)
        touched = tuple(places[at] for at in mine)
        if touched and touched not in self._ways:
            self._ways[touched] = self._removing(touched, self.reason)
        found = self._ways.get(touched)
        return (mine, found) if found else None

    def never(self, most: int) -> bool:
        """Tell whether so many changes never remove the reason. Raises Ended."""
        sizes = range(1, min(most, len(self.touching)) + 1)
        return not any(self.of(places) for size in sizes for places in combinations(sorted(self.touching), size))


class Search:
    """One search: what can be changed (`axes`), and how often it was decided so far (`tried`), at most `tries` times.

    `nearest` are the first changes that were tried with which it may be said, if there were any. `stop` tells whether
    nobody waits any more; the search then ends as if all tries were used up.
    """

    def __init__(
        self,
        scene: Scene,
        reach: Reach,
        aim: Aim,
        most: int,
        tries: int,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._scene, self._reach, self._made, self._aim, self._tries = scene, reach, scene.made, aim, tries
        self._stop = stop
        self.axes = reach.axes(self._scene)
        self.tried = 0
        self._most = most
        self._first = self._against(scene.made.judged, scene.made.snapshot) if aim.wins else ()
        cures = [_Cure(reason, self._touching(reason), self._removing) for reason in self._first]
        self._cures = sorted(cures, key=lambda cure: len(cure.touching))  # the hardest first: most end there
        self.nearest: tuple[Change, ...] | None = None

    @property
    def hopeless(self) -> bool:
        """Whether a reason stands against the action that nothing which can be changed touches."""
        return any(not cure.touching for cure in self._cures)

    def stands(self) -> tuple[Reason, ...]:
        """Return the reasons that nothing removes, as far as the tries last; all, where there is none."""
        left = set[Reason]()
        try:
            left.update(cure.reason for cure in self._cures if not cure.touching)
            for cure in self._cures:
                left.update((cure.reason,) if cure.never(self._most) else ())
        except Ended:
            pass
        return tuple(reason for reason in self._first if reason in left) or self._first

    @property
    def spent(self) -> bool:
        """Whether all tries are used up, or nobody waits any more."""
        return self.tried >= self._tries or self._stop()

    def reached(self, changes: Sequence[Change]) -> bool:
        """Tell whether the goal is reached with these changes, by deciding again."""
        self.tried += 1
        snapshot = self._scene.seen(changes).snapshot
        judged = self._scene.judged(snapshot)
        free = judged.survivors[self._aim.place] & ~self._scene.bound(self._aim.place, snapshot.now_ms)
        if not free & self._aim.bit:
            return not self._aim.wins
        if self.nearest is None:
            self.nearest = tuple(changes)
        return (self._scene.said(snapshot, judged, self._aim.place) == self._aim.action) is self._aim.wins

    def says(self, changes: Sequence[Change]) -> str:
        """Return what the placement says first with these changes; empty for nothing."""
        return self._scene.says(changes, self._aim.place)

    def near(self) -> Again | None:
        """Return the decision with the first changes that were tried by which the action may be said."""
        made = self._made
        if self.nearest is None:
            return None
        snapshot = self._scene.seen(self.nearest).snapshot
        return decided(self._scene.engine, made.entry, made.request, made.known, snapshot)

    def guessed(self, changes: Sequence[Change]) -> frozenset[int]:
        """Return the fields (indexes) that were taken as they are with these changes."""
        return self._scene.seen(changes).guessed

    def smallest(self, size: int) -> tuple[Change, ...]:
        """Return so many changes that reach the goal, those of the least effort; nothing where none do."""
        try:
            some = sorted(islice(self._combined(size), MOST_COMBINED), key=lambda one: (effort(one[1]), one[0]))
        except Ended:
            return ()
        for _, changes in some:
            if self.spent:
                break
            if self.reached(changes):
                return changes
        return ()

    def shrunk(self, changes: tuple[Change, ...]) -> tuple[Change, ...]:
        """Return the same changes, each as small as it may be where some were left out, while tries last."""
        for place in range(len(changes)):
            axis = next(axis for axis in self.axes if changes[place] in axis.settings)
            if axis.coarse:
                waits = axis.kind is ChangeKind.WAIT
                changes = (self._sooner if waits else self._fewer)(changes, place, axis)
        return changes

    def _combined(self, size: int) -> Iterator[tuple[tuple[int, ...], tuple[Change, ...]]]:
        """Yield every combination that may do, with its places in the order of the strategy."""
        for places in combinations(range(len(self.axes)), size):
            if (ways := self._all_ways(places)) is not None:
                for changes in self._settings(places):
                    if self._stop():
                        raise Ended
                    if _all_cured(changes, ways):
                        yield places, changes

    def _all_ways(self, places: Sequence[int]) -> list[_Way] | None:
        """Return the ways in which these places remove each reason; None where they do not remove all."""
        if not all(cure.touching.intersection(places) for cure in self._cures):
            return None
        ways = []
        for cure in self._cures:
            if (way := cure.of(places)) is None:
                return None
            ways.append(way)
        return ways

    def _settings(self, places: Sequence[int]) -> Iterator[tuple[Change, ...]]:
        axes = [self.axes[place] for place in places]
        return (changes for changes in product(*(axis.settings for axis in axes)) if self._readable(axes, changes))

    def _touching(self, reason: Reason) -> frozenset[int]:
        """Return the places of what could ever touch a reason."""
        return frozenset(at for at, axis in enumerate(self.axes) if self._reach.touches(axis, reason, self._scene))

    def _removing(self, places: tuple[int, ...], reason: Reason) -> _Found:
        return {changes for changes in self._settings(places) if self._removes(changes, reason)}

    def _removes(self, changes: Sequence[Change], reason: Reason) -> bool:
        if self.spent:
            raise Ended
        self.tried += 1
        snapshot = self._scene.seen(changes).snapshot
        against = self._against(self._scene.judged(snapshot), snapshot)
        return all(_name(other) != _name(reason) for other in against)

    def _readable(self, axes: Sequence[Axis], changes: Sequence[Change]) -> bool:
        """Tell whether the consent lets every fact be read: what is not read changes nothing."""
        level = self._made.snapshot.level
        for change in changes:
            level = self._scene.engine.level(change.level) or level
        return all(axis.purpose is None or axis.purpose in level.purposes for axis in axes)

    def _fewer(self, changes: tuple[Change, ...], place: int, axis: Axis) -> tuple[Change, ...]:
        """Try every number of steps between the setting before this one and this one."""
        least = _before(axis, changes[place])
        for fewer in self._reach.steps(axis.field, self._made.snapshot):
            if not self.spent and (least.steps if least else 0) < fewer.steps < changes[place].steps:
                tried = (*changes[:place], fewer, *changes[place + 1 :])
                if self.reached(tried):
                    return tried
        return changes

    def _sooner(self, changes: tuple[Change, ...], place: int, axis: Axis) -> tuple[Change, ...]:
        """Halve the time between the setting before this one, which does not do, and this one, to the millisecond."""
        least, found = _before(axis, changes[place]), changes
        low = (least.until_ms if least else None) or self._made.snapshot.now_ms
        while not self.spent and (high := found[place].until_ms or 0) - low > 1:
            sooner = Change(ChangeKind.WAIT, changes[place].says, until_ms=(low + high) // 2)
            tried = (*changes[:place], sooner, *changes[place + 1 :])
            if self.reached(tried):
                found = tried
            else:
                low = sooner.until_ms or 0
        return found

    def _against(self, judged: Judged, snapshot: Snapshot) -> tuple[Reason, ...]:
        """Return the reasons for which the action may not be said, or was not as the decision was recorded."""
        vetoes = (*judged.verdicts.vetoes, *judged.capped[self._aim.place])
        bound = (one for one in self._scene.bindings if self._binds(one, snapshot.now_ms))
        both = (*((veto.mask, veto.reason) for veto in vetoes), *((one.mask, one.reason) for one in bound))
        found = (reason for about, reason in both if reason is not None and about & self._aim.bit)
        return tuple(dict.fromkeys(found))

    def _binds(self, one: Binding, now_ms: int) -> bool:
        return one.place == self._aim.place and one.holds(now_ms)


def _all_cured(changes: Sequence[Change], ways: Sequence[_Way]) -> bool:
    return all(tuple(changes[at] for at in where) in found for where, found in ways)


def _before(axis: Axis, change: Change) -> Change | None:
    place = axis.settings.index(change)
    return axis.settings[place - 1] if place else None


def _name(reason: Reason) -> tuple[object, tuple[str, ...]]:
    """Return what a reason is about, whether that is known or not, without until when."""
    return reason.rule or reason.code, reason.fields
