"""Single decisions as the store would hold them, and what makes them again, without any store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from models.documents import read_folder
from service.archive.engines import Engines
from service.archive.raw import RawEntry, Stream
from service.archive.shelf import Shelf
from service.core.archived import strategy_part
from service.core.decision import Known, Request
from service.core.engine import Engine
from service.core.loader import strategy_of
from service.core.memory import Switched
from service.core.plan import Entry, pack
from service.store.keys import bucket, repeatable_decision_id
from tests.core.policies import write_policy

NOW_MS = 1_790_000_000_000
WHO = "somebody"
_encode = msgspec.msgpack.encode


def shelved(folder: Path, **changes: str | None) -> tuple[Engine, Engines]:
    """Put a strategy on a shelf; return its engine, and the engines of the shelf."""
    documents = read_folder(write_policy(folder / "strategy", **changes))
    strategy = strategy_of(documents)
    Shelf(folder / "shelf").lay(strategy_part(strategy, documents))
    return Engine(strategy, None), Engines(folder / "shelf")


def decided(engine: Engine, number: int = 0, **how: Any) -> Entry:  # noqa: ANN401 - what `Known` takes
    """Return the entry of a decision about two placements of the web."""
    known = Known(
        NOW_MS + number, "full", (), {}, {"a:one-offer-a-day": ()}, off=Switched(frozenset({"apology"})), **how
    )
    request = Request(WHO, "web", ("greeting", "hero"), {engine.strategy.schema.index["present.sentiment"]: 0.25})
    snapshot = engine.see(known, request)
    judged = engine.judge(snapshot, known, request)
    scores = engine.score(snapshot, judged, request)
    name = repeatable_decision_id(WHO, str(number))
    planned = engine.arbitrate(name, request, snapshot, judged, scores, (0.5, 0.25))
    return engine.check(planned, snapshot, judged.verdicts.vetoes).entry


def stored(entry: Entry, **instead: bytes) -> RawEntry:
    """Return an entry as it stands in the store, its first candidates chosen; `instead` has other fields."""
    chosen, taken = [], list[str]()
    for placed in entry.placements:
        fits = [rank for rank, one in enumerate(placed.candidates) if one.action not in taken]
        chosen.append(fits[0] if fits else -1)
        taken += [placed.candidates[fits[0]].action] if fits else []
    fields = {
        "i": entry.customer.encode(), "e": pack(entry), "c": _encode(chosen), "b": _encode(()),
        "a": "\x1f".join(taken).encode(),
    } | instead  # fmt: skip
    flat = tuple(part for name, value in fields.items() for part in (name.encode(), value))
    return RawEntry(int(bucket(entry.customer), 16), Stream.DECISIONS, f"{entry.at_ms}-0", flat)


def forged(entry: Entry, **changes: Any) -> RawEntry:  # noqa: ANN401 - any part of an entry
    """Return an entry with something else in it, and the rest as it was."""
    return stored(replace(entry, **changes))
