"""Changes of one decision's facts: what each is, how much it asks for, and the decision made with it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from models.clock import Clock
from models.context import Scalar
from service.core.adapting import Relearned
from service.core.again import Again
from service.core.engine import Engine
from service.core.explained import Binding
from service.core.later import Later, Seen
from service.core.plan import Entry
from service.core.policy import Judged
from service.core.snapshot import Snapshot
from service.core.stock import counts


class ChangeKind(StrEnum):
    """What is changed: a fact, the moment, the consent level, or the permission to be contacted."""

    FACT = "fact"
    WAIT = "wait"
    CONSENT = "consent"
    PERMISSION = "permission"


class Change(Struct, frozen=True):
    """One change. `says` is a sentence of the strategy's, or of ours, without any value.

    A fact has its `field`, with the value of the decision (unset for unknown) and that which it shall have. A wait ends
    at `until_ms` (ms since 1970), and `level` is the consent level that is wanted.
    """

    kind: ChangeKind
    says: str
    field: str = ""
    before: Scalar | None = None
    after: Scalar | None = None
    steps: int = 0
    until_ms: int | None = None
    level: str = ""


def effort(changes: Sequence[Change]) -> tuple[int, int]:
    """Return how much changes ask for, to compare by: until when is waited (ms, 0 for not at all), and the steps."""
    return max((change.until_ms or 0 for change in changes), default=0), sum(change.steps for change in changes)


class Scene:
    """One decision, made again under changes. What is not changed is as it was: dice, memory, caps, supply.

    `bindings` is what bound as it was recorded, and does so again until it frees.
    """

    def __init__(self, engine: Engine, made: Again, bindings: Sequence[Binding] = ()) -> None:
        self.bindings = bindings
        self._bits = {action.id: action.index for action in engine.strategy.actions}
        schema = engine.strategy.schema
        self.engine, self.made, self.later = engine, made, Later(engine, made)
        self.decisions = 0
        self._index, self._fields = schema.index, schema.fields
        self._clock = Clock.of(schema)
        self._places = {count.place_at: count.index for count in counts(schema) if count.place_at is not None}
        self._learned = Relearned(engine.adapting, made.entry) if engine.adapting is not None else None

    def seen(self, changes: Sequence[Change]) -> Seen:
        """Return what would be seen: the consent first, then the moment, then the facts that this consent allows."""
        base = self.made.snapshot
        level, now_ms, permitted = base.level, base.now_ms, base.permitted
        for change in changes:
            level = self.engine.level(change.level) or level
            now_ms = change.until_ms or now_ms
            permitted = permitted or change.kind is ChangeKind.PERMISSION
        facts = [change for change in changes if change.kind is ChangeKind.FACT]
        seen = self.later.at(level, now_ms)
        if not facts and permitted is seen.snapshot.permitted:
            return seen
        values = self._with(facts, seen.snapshot)
        snapshot = replace(seen.snapshot, values=values, permitted=permitted)
        return Seen(snapshot, seen.guessed - {self._index[change.field] for change in facts})

    def _with(self, facts: Sequence[Change], snapshot: Snapshot) -> tuple[Scalar | None, ...]:
        values, read = list(snapshot.values), snapshot.level.purposes
        changed = {self._index[change.field]: change.after for change in facts}
        for index in changed:
            if index in self._places:  # of another place it is not known here how much there is
                values[self._places[index]] = None
        for index, value in changed.items():
            if self._fields[index].purpose in read:
                values[index] = value
        if self._clock is not None and any(index in self._clock.looks_at for index in changed):
            self._clock.fill(values, snapshot.now_ms)
        return tuple(values)

    def judged(self, snapshot: Snapshot) -> Judged:
        """Return the judgement of what is seen."""
        return self.engine.judge(snapshot, self.made.known, self.made.request)

    def decided(self, snapshot: Snapshot, judged: Judged) -> Entry:
        """Return the decision, checked, with the same draws and by what was learned then."""
        engine, made = self.engine, self.made
        self.decisions += 1
        scores = engine.score(snapshot, judged, made.request, self._learned)
        draws, name = made.entry.draws, made.entry.decision_id
        planned = engine.arbitrate(name, made.request, snapshot, judged, scores, draws)
        return engine.check(planned, snapshot, judged.verdicts.vetoes).entry

    def says(self, changes: Sequence[Change], place: int) -> str:
        """Return what would be said at a placement; empty for nothing."""
        snapshot = self.seen(changes).snapshot
        return self.said(snapshot, self.judged(snapshot), place)

    def said(self, snapshot: Snapshot, judged: Judged, place: int) -> str:
        """Return what is said at a placement of a decision: the first that is free and not said before it."""
        said = list[str]()
        for at, placed in enumerate(self.decided(snapshot, judged).placements[: place + 1]):
            bound = self.bound(at, snapshot.now_ms)
            fit = (one.action for one in placed.candidates if not bound >> self._bits[one.action] & 1)
            said.append(next((action for action in fit if action not in said), ""))
        return said[place]

    def bound(self, place: int, now_ms: int) -> int:
        """Return the actions that are bound at a placement at a moment, as a mask."""
        found = 0
        for one in self.bindings:
            if one.place == place and one.holds(now_ms):
                found |= one.mask
        return found
