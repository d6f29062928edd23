"""Again: a logged decision made once more, from its entry alone and by the engine of its version.

What is made is the same to the last byte as what was logged, where the engine has the strategy, the model and the
challenger of then. Everything here is pure.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from models.context import Scalar
from service.core.adapting import Relearned
from service.core.arbitrate import Scores
from service.core.decision import Known, Request
from service.core.engine import Engine
from service.core.ladder import not_made_again
from service.core.memory import NOTHING_OFF, Memory, Switched
from service.core.plan import Entry, Seen
from service.core.policy import Judged
from service.core.snapshot import Snapshot


class NotRepeatable(Exception):
    """A decision that cannot be made again from its entry; the message says why, in words."""


class Again(Struct, frozen=True):
    """A decision that was made again: what was asked, known and seen, the judgement, the scores and the entry.

    `request` has no key and no caller's id, which are not logged, and its context is empty: what came with it is among
    the snapshot's values. `known` has no states of fields; `snapshot` has no ages.
    """

    request: Request
    known: Known
    snapshot: Snapshot
    judged: Judged
    scores: Scores
    entry: Entry


def again(engine: Engine, entry: Entry) -> Again:
    """Make a logged decision again.

    Raises `NotRepeatable` for an entry of another version, of before it was logged what was seen, or of another form.
    """
    return made(engine, entry, *asked_again(engine, entry))


def asked_again(engine: Engine, entry: Entry) -> tuple[Request, Known, Snapshot]:
    """Return what was asked and known as a decision was made; raise `NotRepeatable` as `again` does."""
    seen = _seen(engine, entry)
    level = engine.level(entry.level)
    if level is None:
        raise NotRepeatable(f"the strategy has no consent level `{entry.level}`")
    off = Switched(frozenset(seen.off), seen.all_off) if seen.off or seen.all_off else NOTHING_OFF
    memory = Memory(seen.refusals, seen.promised)
    placements = tuple(placed.placement for placed in entry.placements)
    values = tuple(_plain(value) for value in entry.values)
    request = Request(entry.customer, entry.channel, placements, {}, trigger=seen.trigger)
    known = Known(entry.at_ms, level.id, (), {}, seen.used, customer=entry.customer, memory=memory, off=off)
    snapshot = Snapshot(values, {}, entry.at_ms, level, seen.permitted, memory=memory, off=off)
    return request, known, snapshot


def made(engine: Engine, entry: Entry, request: Request, known: Known, snapshot: Snapshot) -> Again:
    """Make a decision from what is given, with the dice of an entry, and with what was learned by then."""
    judged = engine.judge(snapshot, known, request)
    learned = Relearned(engine.adapting, entry) if engine.adapting is not None else None
    scores = engine.score(snapshot, judged, request, learned)
    missing = not_made_again(entry.degraded)
    planned = engine.arbitrate(entry.decision_id, request, snapshot, judged, scores, entry.draws, missing)
    return Again(
        request, known, snapshot, judged, scores, engine.check(planned, snapshot, judged.verdicts.vetoes).entry
    )


def without_challenger(entry: Entry) -> Entry:
    """Return an entry without what the challenger said, which is compared apart from it where that is not there."""
    return replace(entry, shadow=None)


def _seen(engine: Engine, entry: Entry) -> Seen:
    if entry.seen is None:
        raise NotRepeatable("it was logged before it was logged what decisions are made from")
    if entry.strategy != engine.strategy.version or entry.model != engine.model_version:
        other = f"{engine.strategy.version} with {engine.model_version or 'no model'}"
        raise NotRepeatable(f"it was made by {entry.strategy} with {entry.model or 'no model'}, not by {other}")
    if len(entry.values) != len(engine.strategy.schema.fields):
        raise NotRepeatable("it has another number of values than its strategy has fields")
    return entry.seen


def _plain(value: object) -> Scalar | None:
    """Return a value as it was seen: what is packed as a list was a tuple of texts."""
    return tuple(value) if isinstance(value, list) else value  # type: ignore[return-value]  # as it was logged
