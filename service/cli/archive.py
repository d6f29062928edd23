"""`tact log archive`: the log as it stands, with all that makes its decisions again, in a folder that stands alone."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.options import Json, example
from service.cli.output import Failed, note, progress, say, say_json
from service.cli.stores import Store, opened, place_of
from service.config import StorePlace

if TYPE_CHECKING:
    from service.archive.writing import Archived
    from service.store.log_reading import LogStore
    from service.store.way import Way

EXAMPLE = example("tact log archive --out data/archive --store redis://127.0.0.1:6379/0")
_BUCKETS = 1024
_SOME_MISSING = 3


def archive_log(
    out: Annotated[Path, typer.Option(metavar="DIR", help="The archive's folder.", show_default=False)],
    store: Store = None,
    erasure_key_file: Annotated[
        str | None,
        typer.Option(
            "--erasure-key-file",
            metavar="FILE",
            help="The erasure key of the service: the erased go here, too.",
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Write decisions and outcomes as they are logged, with their chain, and the strategies and models that decided.

    The same command again adds what is new. What the folder holds of customers who were erased since goes; the links of
    their entries stay. The folder is about people, and nothing in it is left out: guard it like the store. Ends with 3
    where a strategy or a model of a decision is not kept any more.
    """
    started = time.monotonic()
    place = place_of(store, os.environ)
    archived = asyncio.run(_archived(out, place, _key(erasure_key_file)))
    return _tell(archived, out, time.monotonic() - started, json)


def _key(file: str | None) -> bytes | None:
    from service.store.suppression import ErasureKeyRefused, key_in

    named = file or os.environ.get("TACT_ERASURE_KEY_FILE")
    try:
        return key_in(Path(named)) if named else None
    except ErasureKeyRefused as refused:
        raise Failed(f"--erasure-key-file: {refused}", 2) from None


async def _archived(out: Path, place: StorePlace, key: bytes | None) -> Archived:
    from service.archive.folder import ArchiveRefused, writing
    from service.archive.parts import forget
    from service.archive.reading import StoreLog
    from service.archive.writing import archive

    try:
        with writing(out) as folder:
            async with opened(place) as connections:
                log = await _log(connections, place, key)
                with progress("buckets", _BUCKETS, "entries") as bar:
                    archived = await archive(StoreLog(connections), folder, bar.on)
                archived.forgotten = await forget(log, folder)
                return archived
    except ArchiveRefused as refused:
        raise Failed(str(refused)) from None


async def _log(connections: Way, place: StorePlace, key: bytes | None) -> LogStore:
    """Return what tells who was erased; raise `Failed` where somebody was and nobody can tell who."""
    from service.store.calls import Calls
    from service.store.keys import erasure_key
    from service.store.log_reading import LogStore
    from service.store.suppression import OWN_KEY, ErasureKeyRefused, Suppression, key_in

    try:
        if key is None and place.folder is not None and (place.folder / OWN_KEY).exists():
            key = key_in(place.folder / OWN_KEY)
    except ErasureKeyRefused as refused:
        raise Failed(str(refused)) from None
    suppression, fingerprint = Suppression(key), await connections.execute("GET", erasure_key())
    if fingerprint is not None and fingerprint != suppression.fingerprint:
        which = "this is another key" if suppression.has_key else "no key is named"
        raise Failed(f"customers were erased from this store and must go from the archive too, and {which}; name the "
                     "service's own with --erasure-key-file", 2)  # fmt: skip
    return LogStore(Calls(connections), suppression)


def _tell(archived: Archived, out: Path, seconds: float, json: bool) -> int:
    ends = _SOME_MISSING if archived.missing else 0
    if json:
        counts = {name: getattr(archived, name) for name in archived.__dataclass_fields__}
        say_json({**counts, "out": str(out), "seconds": round(seconds, 3)})
        return ends
    for missing in archived.missing:
        note(f"{missing} is not kept any more, or damaged: what it decided cannot be made again")
    forgotten = f", {archived.forgotten:,} entries of erased customers forgotten" if archived.forgotten else ""
    say(
        f"{archived.decisions:,} decisions and {archived.outcomes:,} outcomes, {archived.strategies:,} strategies and "
        f"{archived.models:,} models new in {out}{forgotten}; {seconds:.1f} s"
    )
    return ends
