"""Reach: what can be brought about in one situation, as few settings a fact, the least effort first.

A setting that leads to the same truths as one of less effort is left out. Facts that a model looks at have a ladder of
settings besides, for every step may change a score.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from models.context import Purpose, Scalar, ValueType
from service.core.actionable import Fact
from service.core.again import Again
from service.core.atoms import NOW, Atoms, RuleBook
from service.core.changes import Change, ChangeKind, Scene
from service.core.decision import Reason, ReasonCode
from service.core.engine import Engine
from service.core.later import ages, moments
from service.core.signs import Signs
from service.core.snapshot import Snapshot
from service.core.strategy import Strategy

ALL = 12
"""Up to how many steps of a fact are all tried, where every one may matter."""
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
MOST_MOMENTS = 2_400
"""How many moments are looked at, an hour apart where that reaches, before what changes between two is looked for."""
_BY_WAITING = (ReasonCode.CAP_REACHED, ReasonCode.COOLING_OFF, ReasonCode.PROMISED_OTHERWISE, ReasonCode.ALREADY_SHOWN)


class Axis(Struct, frozen=True):
    """One thing that can be changed: its settings, the least effort first, and whether some were left out that might
    matter. `field` names a fact; `purpose` is the consent that it needs.
    """

    kind: ChangeKind
    settings: tuple[Change, ...]
    coarse: bool = False
    field: str = ""
    purpose: Purpose | None = None


class Reach:
    """What is actionable under one strategy."""

    def __init__(self, engine: Engine) -> None:
        strategy = self._strategy = engine.strategy
        self._schema, self._book = strategy.schema, RuleBook(strategy)
        self._aging = frozenset(field.id for field in strategy.schema.fields if ages(field))
        self._moments = moments(strategy)
        facts = (fact.field for fact in strategy.actionable.facts)
        segment = strategy.adaptive.segment if strategy.adaptive else ""
        self._facts = frozenset(name for name in facts if name != segment)  # of other segments nothing was logged
        self._names = self._aging | {NOW}
        self._weighed = frozenset(strategy.features if engine.model_version else ())
        self._material = frozenset(name for rule in strategy.promises for name in rule.material)
        self._else = _read_elsewhere(strategy)

    def read_among(self, indexes: frozenset[int], made: Again) -> tuple[str, ...]:
        """Return those of some fields (indexes) on which a decision depends, by their ids."""
        fields, atoms = self._schema.fields, self._atoms(made)
        return tuple(fields[index].id for index in sorted(indexes) if self._matters(fields[index].id, atoms))

    def _matters(self, field: str, atoms: Atoms) -> bool:
        return field in atoms.read or field in self._weighed | self._material | self._else

    def _atoms(self, made: Again) -> Atoms:
        """Return the atoms of all that could be said at any placement of a request."""
        request = made.request
        asked = {(request.channel, placement) for placement in request.placements}
        treated = (
            action.index
            for action in self._strategy.actions
            if any((treatment.channel, treatment.placement) in asked for treatment in action.treatments)
        )
        return self._book.about(request.channel, sum(1 << index for index in treated))

    def axes(self, scene: Scene) -> tuple[Axis, ...]:
        """Return everything that can be changed, in the order of the strategy, then consent, permission and waiting."""
        actionable, atoms = self._strategy.actionable, self._atoms(scene.made)
        facts = (self._fact(fact, scene, atoms) for fact in actionable.facts if fact.field in self._facts)
        found = (*facts, self._consent(scene), self._permission(scene), self._wait(scene, atoms))
        return tuple(axis for axis in found if axis is not None and axis.settings)

    def touches(self, axis: Axis, reason: Reason, scene: Scene) -> bool:
        """Tell whether a setting of an axis could ever remove a reason, alone or with others."""
        if axis.kind is ChangeKind.FACT:
            return axis.field in reason.fields or axis.field in self._else
        if axis.kind is ChangeKind.PERMISSION:
            return reason.code is ReasonCode.NO_CONTACT_PERMISSION
        if axis.kind is ChangeKind.CONSENT:
            read = scene.made.snapshot.level.purposes
            fields = (self._schema.fields[self._schema.index[name]] for name in reason.fields)
            return reason.code is ReasonCode.NO_CONSENT or any(field.purpose not in read for field in fields)
        if reason.code in (ReasonCode.SWITCHED_OFF, ReasonCode.NO_CONSENT):
            return False
        read_by = self._book.reads.get(reason.rule, frozenset(reason.fields))
        return bool(self._moments) or reason.code in _BY_WAITING or not self._names.isdisjoint(read_by)

    # ------------------------------------------------------------------------------------------------------- facts

    def steps(self, field: str, snapshot: Snapshot) -> Iterator[Change]:
        """Yield every setting of a fact, the fewest steps first."""
        fact = next(fact for fact in self._strategy.actionable.facts if fact.field == field)
        return _steps(fact, snapshot.values[self._schema.index[field]])

    def _fact(self, fact: Fact, scene: Scene, atoms: Atoms) -> Axis | None:
        index = self._schema.index[fact.field]
        field, before = self._schema.fields[index], scene.made.snapshot.values[index]
        if not self._matters(fact.field, atoms):
            return None
        steps = list(_steps(fact, before))
        every = fact.field in self._weighed | self._else or atoms.joint(fact.field, self._facts | self._names)
        if fact.step and not (every and len(steps) <= ALL):
            kept = {*self._classes(fact.field, index, steps, scene, atoms), *(_ladder(len(steps)) if every else ())}
            some = tuple(steps[place] for place in sorted(kept))
            return Axis(ChangeKind.FACT, some, every, fact.field, field.purpose)
        return Axis(ChangeKind.FACT, tuple(steps), False, fact.field, field.purpose)

    def _classes(self, field: str, index: int, steps: Iterable[Change], scene: Scene, atoms: Atoms) -> Iterator[int]:
        """Yield the place of the first setting of each class of those that are the same to every rule."""
        base, about = scene.made.snapshot, frozenset((field,))
        values: list[Scalar | None] = list(base.values)
        told = {(atoms.truths(about, values, base.now_ms), True)}
        for place, change in enumerate(steps):
            values[index] = change.after
            found = atoms.truths(about, values, base.now_ms), field not in self._material
            if found not in told:
                told.add(found)
                yield place

    # -------------------------------------------------------------------------------------- consent and permission

    def _consent(self, scene: Scene) -> Axis | None:
        now = scene.made.snapshot.level
        if not self._strategy.actionable.consent:
            return None
        more = [level for level in self._strategy.levels if set(level.purposes) > set(now.purposes)]
        found = sorted(more, key=lambda level: len(level.purposes))
        return Axis(
            ChangeKind.CONSENT,
            tuple(
                Change(ChangeKind.CONSENT, level.says, steps=len(level.purposes) - len(now.purposes), level=level.id)
                for level in found
            ),
        )

    def _permission(self, scene: Scene) -> Axis | None:
        if scene.made.snapshot.permitted or not self._strategy.actionable.permission:
            return None
        return Axis(ChangeKind.PERMISSION, (Change(ChangeKind.PERMISSION, PERMIT, steps=1),))

    # ----------------------------------------------------------------------------------------------------- waiting

    def _wait(self, scene: Scene, atoms: Atoms) -> Axis | None:
        wait_ms, from_ms = self._strategy.actionable.wait_ms, scene.made.snapshot.now_ms
        if not wait_ms:
            return None
        signs = self._signs(scene, atoms)
        found = list(signs.first_of_each(from_ms, self._looked_at(scene, from_ms, from_ms + wait_ms, atoms)))
        varies = any(self._varies(name) for name in self._weighed)
        if varies:
            found += [from_ms + ms for ms in _doubling(HOUR_MS, wait_ms)]
        frees = (one.frees_ms for one in scene.bindings if one.frees_ms is not None)
        found += [at for at in frees if from_ms < at <= from_ms + wait_ms]
        ends = sorted(dict.fromkeys(found))
        return Axis(ChangeKind.WAIT, tuple(Change(ChangeKind.WAIT, WAITED, until_ms=ms) for ms in ends), varies)

    def _varies(self, feature: str) -> bool:
        """Tell whether time alone changes what a model sees of a field; of a moment it sees how long ago it was."""
        return feature in self._aging or self._schema.fields[self._schema.index[feature]].type is ValueType.TIMESTAMP

    def _looked_at(self, scene: Scene, from_ms: int, until_ms: int, atoms: Atoms) -> list[int]:
        """Return the moments to look at: where rules begin and end, what holds back frees, and an hour apart."""
        judged, memory = scene.made.judged, scene.made.snapshot.memory
        vetoes = [*judged.verdicts.vetoes, *(veto for capped in judged.capped for veto in capped)]
        known = {*self._moments, *(veto.until_ms for veto in vetoes if veto.until_ms is not None)}
        known |= {promise.until_ms for promise in memory.promised}
        if atoms.read & self._names or judged.used or memory.refusals:
            step = max(HOUR_MS, (until_ms - from_ms) // MOST_MOMENTS)
            first = from_ms - from_ms % HOUR_MS + HOUR_MS if step == HOUR_MS else from_ms + step
            known |= {*range(first, until_ms, step), until_ms}
        return sorted(at for at in known if from_ms < at <= until_ms)

    def _signs(self, scene: Scene, atoms: Atoms) -> Signs:
        steering = (self._material | self._else) & self._aging
        indexes = tuple(self._schema.index[name] for name in sorted(steering))
        return Signs(scene, lambda values, at_ms: atoms.truths(self._names, values, at_ms), self._moments, indexes)


PERMIT = "The customer permits to be contacted on this channel."
WAITED = "Nothing but time passes."


def _steps(fact: Fact, before: Scalar | None) -> Iterator[Change]:
    for steps, value in fact.reachable(before):
        yield Change(ChangeKind.FACT, fact.says, fact.field, before, value, steps)


def _read_elsewhere(strategy: Strategy) -> frozenset[str]:
    """Return the fields that steer decisions beside conditions, models and promises: supply and the clock's zone."""
    zone = strategy.schema.time_zone
    supplied = [field for field in strategy.schema.fields if field.supplied]
    places = [field.supplied.place_from for field in supplied if field.supplied]
    return frozenset(filter(None, (zone.field if zone else "", *places, *(field.id for field in supplied))))


def _ladder(steps: int) -> Iterator[int]:
    """Yield the places of few of many steps, each about half as far again as the one before, and the last."""
    place = 0
    while place < steps - 1:
        yield place
        place = max(place + 1, place * 3 // 2)
    yield steps - 1


def _doubling(first: int, most: int) -> Iterator[int]:
    while first < most:
        yield first
        first *= 2
    yield most
