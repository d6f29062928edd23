"""Replay: a logged decision made again, and compared with what was logged, byte for byte."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec
from msgspec import Struct

from models.context import ContextSchema
from service.archive.differences import first_difference
from service.archive.engines import EngineOf
from service.archive.raw import RawEntry, made_by
from service.archive.shelf import NotArchived
from service.core.again import Again, NotRepeatable, again
from service.core.decision import Committed, Decision
from service.core.engine import Engine
from service.core.plan import Entry, pack, unpack
from service.store.calls import StoreUnreadable
from service.store.replies import committed_of

_SAID_BY = b"\x1f"


class Fate(StrEnum):
    """What became of a decision that was to be made again."""

    IDENTICAL = "identical"
    DIFFERENT = "different"
    UNREADABLE = "unreadable"
    NOT_ARCHIVED = "not_archived"
    NOT_REPEATABLE = "not_repeatable"
    ERASED = "erased"


class Replayed(Struct, frozen=True):
    """A decision that was made again: which one, where it stands, what came of it and why.

    `bytes` is the length of its entry. `decision` is what was answered, with its texts, where it is asked for and the
    entry is the same one. `logged` are the values that were known, by field, where they may be shown.
    """

    fate: Fate
    bucket: int
    place: str
    decision_id: str = ""
    why: str = ""
    bytes: int = 0
    decision: Decision | None = None
    logged: dict[str, object] = {}


def replayed(raw: RawEntry, engine_of: EngineOf, *, show: bool = False) -> Replayed:
    """Make a decision again; with `show` the answer and the values are told."""
    if raw.gone is not None:
        return Replayed(Fate.ERASED, raw.bucket, raw.place, why="the customer was erased, and what it said with them")
    fields = raw.fields
    packed = fields.get(b"e", b"")
    told = Replayed(Fate.UNREADABLE, raw.bucket, raw.place, bytes=len(packed))
    try:
        entry = unpack(packed)
        committed = committed_of(packed, b"", fields[b"c"], fields[b"b"], repeated=False)
    except (msgspec.MsgspecError, StoreUnreadable, KeyError, ValueError) as error:
        return msgspec.structs.replace(told, why=f"it cannot be read ({type(error).__name__})")
    told = msgspec.structs.replace(told, decision_id=entry.decision_id)
    if strange := _strange(raw, entry, committed):
        return msgspec.structs.replace(told, fate=Fate.DIFFERENT, why=strange)
    return _compared(told, packed, entry, committed, engine_of, show=show)


def _strange(raw: RawEntry, entry: Entry, committed: Committed) -> str:
    """Return what stands beside an entry and does not agree with it; empty where all does."""
    beside = raw.fields
    if beside.get(b"i", b"") != entry.customer.encode():
        return "the customer beside the entry is another one than in it"
    if entry.decision_id[:3] != f"{raw.bucket:03x}":
        return "the entry stands in another bucket than its decision belongs to"
    said = _said(entry, committed.chosen)
    if said is None:
        return "what was chosen is none of the candidates"
    if beside.get(b"a", b"") != _SAID_BY.join(said):
        return "the actions beside the entry are others than those that were chosen"
    return ""


def _said(entry: Entry, chosen: Sequence[int]) -> list[bytes] | None:
    """Return what was said, a placement after the other; None where what was chosen is not there."""
    if len(chosen) != len(entry.placements):
        return None
    said = []
    for placed, rank in zip(entry.placements, chosen, strict=True):
        if rank >= len(placed.candidates):
            return None
        if rank >= 0:
            said.append(placed.candidates[rank].action.encode())
    return said


def _compared(
    told: Replayed, packed: bytes, entry: Entry, committed: Committed, engine_of: EngineOf, *, show: bool
) -> Replayed:
    try:
        engine = engine_of(made_by(packed))
        made = again(engine, entry)
    except NotArchived as missing:
        return msgspec.structs.replace(told, fate=Fate.NOT_ARCHIVED, why=str(missing))
    except NotRepeatable as reason:
        return msgspec.structs.replace(told, fate=Fate.NOT_REPEATABLE, why=str(reason))
    except Exception as error:  # noqa: BLE001 - one entry that makes no sense must not end the replay of all others
        failed = f"it cannot be made again ({type(error).__name__})"
        return msgspec.structs.replace(told, fate=Fate.DIFFERENT, why=failed)
    schema = engine.strategy.schema
    logged = _values(entry, schema) if show else {}
    if pack(made.entry) != packed:
        why = _why(entry, made, schema, packed, show=show)
        return msgspec.structs.replace(told, fate=Fate.DIFFERENT, why=why, logged=logged)
    decision = _answered(engine, made, committed) if show else None
    return msgspec.structs.replace(told, fate=Fate.IDENTICAL, decision=decision, logged=logged)


def _answered(engine: Engine, made: Again, committed: Committed) -> Decision:
    """Return what was answered then: the words that the strategy of then had for what was committed."""
    return engine.answer(committed, made.entry)


def _why(entry: Entry, made: Again, schema: ContextSchema, packed: bytes, *, show: bool) -> str:
    found = first_difference(entry, made.entry, [field.id for field in schema.fields])
    if found is not None:
        return found.told(show=show)
    anew = pack(made.entry)
    at = next((i for i, (a, b) in enumerate(zip(packed, anew, strict=False)) if a != b), min(len(packed), len(anew)))
    return f"the entry says the same in other bytes, from byte {at} on"


def _values(entry: Entry, schema: ContextSchema) -> dict[str, object]:
    return {field.id: value for field, value in zip(schema.fields, entry.values, strict=False) if value is not None}
