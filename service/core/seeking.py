"""Seek: try combinations of changes, the smallest first, each by deciding again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import combinations, islice, product

from msgspec import Struct

from service.core.again import Again
from service.core.again import made as decided
from service.core.changes import Change, ChangeKind, Scene, effort
from service.core.decision import Reason
from service.core.engine import Engine
from service.core.goals import Aim
from service.core.policy import Judged
from service.core.reach import Axis, Reach

MOST_COMBINED = 200_000
"""How many combinations of one size are put in order at most."""


_Way = tuple[tuple[int, ...], Set[tuple[Change, ...]]]
"""Some places, and settings of what stands there."""


class _Cure(Struct, frozen=True):
    """What removes one reason: the places of all axes that touch it, and by the places of some which of their settings.

    Nothing else has a part in it, so every change that reaches the goal has one of these in it.
    """

    touching: frozenset[int]
    ways: Mapping[tuple[int, ...], Set[tuple[Change, ...]]]

    def of(self, places: Sequence[int]) -> _Way | None:
        """Return where among these places those stand that touch the reason, and the settings of theirs that do."""
        mine = tuple(at for at, place in enumerate(places) if place in self.touching)
        found = self.ways.get(tuple(places[at] for at in mine))
        return (mine, found) if found else None


class Search:
    """One search: what can be changed (`axes`), and how often it was decided so far (`tried`).

    `stands` are the reasons against an action that is to win: those that nothing removes, or all, where they are not
    removed together. `nearest` are the first changes that were tried with which it may be said, if there were any.
    """

    def __init__(self, engine: Engine, reach: Reach, made: Again, aim: Aim, most: int, tries: int) -> None:
        self._scene, self._reach, self._made, self._aim, self._tries = Scene(engine, made), reach, made, aim, tries
        self.axes = reach.axes(self._scene)
        self.tried = 0
        self._most = most
        against = self._against(made.judged) if aim.wins else ()
        self._cures = [self._cured(reason) for reason in against]
        left = tuple(reason for reason, cure in zip(against, self._cures, strict=True) if not cure.ways)
        self.hopeless = bool(left)
        self.stands = left or against
        self.nearest: tuple[Change, ...] | None = None

    @property
    def spent(self) -> bool:
        """Whether all tries are used up."""
        return self.tried >= self._tries

    def reached(self, changes: Sequence[Change]) -> bool:
        """Tell whether the goal is reached with these changes, by deciding again."""
        self.tried += 1
        snapshot = self._scene.seen(changes).snapshot
        judged = self._scene.judged(snapshot)
        if not judged.survivors[self._aim.place] & self._aim.bit:
            return not self._aim.wins
        if self.nearest is None:
            self.nearest = tuple(changes)
        candidates = self._scene.decided(snapshot, judged).placements[self._aim.place].candidates
        return (bool(candidates) and candidates[0].action == self._aim.action) is self._aim.wins

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
        some = islice(self._combined(size), MOST_COMBINED)
        for _, changes in sorted(some, key=lambda one: (effort(one[1]), one[0])):
            if self.spent:
                break
            if self.reached(changes):
                return changes
        return ()

    def shrunk(self, changes: tuple[Change, ...]) -> tuple[Change, ...]:
        """Return the same changes, each as small as it may be where settings between were left out."""
        for place in range(len(changes)):
            axis = next(axis for axis in self.axes if changes[place] in axis.settings)
            if axis.coarse:
                waits = axis.kind is ChangeKind.WAIT
                changes = (self._sooner if waits else self._fewer)(changes, place, axis)
        return changes

    def _combined(self, size: int) -> Iterator[tuple[tuple[int, ...], tuple[Change, ...]]]:
        """Yield every combination that may do, with its places in the order of the strategy."""
        for places in combinations(range(len(self.axes)), size):
            ways = [cure.of(places) for cure in self._cures]
            if all(ways):
                yield from ((places, changes) for changes in self._settings(places) if _all_cured(changes, ways))

    def _settings(self, places: Sequence[int]) -> Iterator[tuple[Change, ...]]:
        axes = [self.axes[place] for place in places]
        return (changes for changes in product(*(axis.settings for axis in axes)) if self._readable(axes, changes))

    def _cured(self, reason: Reason) -> _Cure:
        """Return every way to remove a reason, by what could ever touch it and nothing else."""
        touching = [at for at, axis in enumerate(self.axes) if self._reach.touches(axis, reason, self._scene)]
        ways: dict[tuple[int, ...], set[tuple[Change, ...]]] = {}
        for size in range(1, min(self._most, len(touching)) + 1):
            for places in combinations(touching, size):
                found = {changes for changes in self._settings(places) if self._removes(changes, reason)}
                if found:
                    ways[places] = found
        return _Cure(frozenset(touching), ways)

    def _removes(self, changes: Sequence[Change], reason: Reason) -> bool:
        self.tried += 1
        judged = self._scene.judged(self._scene.seen(changes).snapshot)
        return all(_name(other) != _name(reason) for other in self._against(judged))

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
            if (least.steps if least else 0) < fewer.steps < changes[place].steps:
                tried = (*changes[:place], fewer, *changes[place + 1 :])
                if self.reached(tried):
                    return tried
        return changes

    def _sooner(self, changes: tuple[Change, ...], place: int, axis: Axis) -> tuple[Change, ...]:
        """Halve the time between the setting before this one, which does not do, and this one, to the millisecond."""
        least, found = _before(axis, changes[place]), changes
        low = (least.until_ms if least else None) or self._made.snapshot.now_ms
        while (high := found[place].until_ms or 0) - low > 1:
            sooner = Change(ChangeKind.WAIT, changes[place].says, until_ms=(low + high) // 2)
            tried = (*changes[:place], sooner, *changes[place + 1 :])
            if self.reached(tried):
                found = tried
            else:
                low = sooner.until_ms or 0
        return found

    def _against(self, judged: Judged) -> tuple[Reason, ...]:
        """Return the reasons for which the action may not be said."""
        vetoes = (*judged.verdicts.vetoes, *judged.capped[self._aim.place])
        return tuple(veto.reason for veto in vetoes if veto.mask & self._aim.bit)


def _all_cured(changes: Sequence[Change], ways: Sequence[_Way | None]) -> bool:
    return all(way is None or tuple(changes[at] for at in way[0]) in way[1] for way in ways)


def _before(axis: Axis, change: Change) -> Change | None:
    place = axis.settings.index(change)
    return axis.settings[place - 1] if place else None


def _name(reason: Reason) -> tuple[object, tuple[str, ...]]:
    """Return what a reason is about, whether that is known or not, without until when."""
    return reason.rule or reason.code, reason.fields
