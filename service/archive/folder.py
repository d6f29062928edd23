"""A folder that holds the log as it stands, and all that makes its decisions again, and needs no service and no store.

    archive.json     how far each bucket is in it, the link of its newest entry, and which parts there are
    log-000001.tact  decisions and outcomes of one run, as `blocks.py` says
    strategies/, models/

Parts count from the moment at which `archive.json` names them; what it does not name is the rest of an interrupted run.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from service.archive.blocks import Block, Damaged, Part, PartWriter
from service.archive.raw import MadeBy, RawEntry, Stream
from service.archive.reading import Lost, Page, Window
from service.archive.shelf import Shelf

STATE = "archive.json"
FORM = 1


class ArchiveRefused(Exception):
    """A folder is no archive, or cannot be written as one: the message says why and what to do."""


class PartTold(Struct, frozen=True):
    """A part, and how many decisions and outcomes are in it; erased ones count no more."""

    name: str
    decisions: int
    outcomes: int


class Anew(Struct, frozen=True):
    """A chain that began again, for its stream had gone by its age: with which entry, and the last link of before."""

    at: str
    head: str


class State(Struct, frozen=True):
    """How far an archive goes.

    `begins`, `positions` and `heads` are by stream and bucket: the places of the first entry and of the last, and the
    link that vouches for the last and all before it, empty where it is not known; `anew` is where chains began again,
    the oldest first. `made_by` says what wrote it last, `store` which store it is of, and `missing` which parts of its
    decisions were not found (`strategy NAME`).
    """

    form: int
    made_by: dict[str, str] = {}
    parts: tuple[PartTold, ...] = ()
    next: int = 1
    begins: dict[Stream, dict[int, str]] = {}
    positions: dict[Stream, dict[int, str]] = {}
    heads: dict[Stream, dict[int, str]] = {}
    store: str = ""
    missing: tuple[str, ...] = ()
    anew: dict[Stream, dict[int, tuple[Anew, ...]]] = {}


def state_of(folder: Path) -> State | None:
    """Return how far an archive goes; None where there is none. Raises `ArchiveRefused` where that cannot be read."""
    try:
        state = msgspec.json.decode((folder / STATE).read_bytes(), type=State)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ArchiveRefused(f"{folder / STATE} cannot be read; take the folder from a copy") from None
    if state.form != FORM:
        raise ArchiveRefused(f"{folder} has the form {state.form}, not {FORM}; read it with the Tact that wrote it")
    if any(one.partition(" ")[0] not in ("strategy", "model") for one in state.missing):
        raise ArchiveRefused(f"{folder / STATE} cannot be read; take the folder from a copy")
    if any(Path(part.name).name != part.name for part in state.parts):
        raise ArchiveRefused(f"{folder / STATE} names parts outside of the folder")
    return state


class FolderLog:
    """The log in an archive. Raises `ArchiveRefused` in words where it cannot be read; `lost` was passed over."""

    def __init__(self, folder: Path) -> None:
        state = state_of(folder)
        if state is None:
            raise ArchiveRefused(f"{folder} is no archive: it has no {STATE}; make one with `tact log archive`")
        self.state = state
        self.lost: list[Lost] = []
        self._parts = [part_in(folder, part.name) for part in state.parts]

    async def pages(self, window: Window) -> AsyncIterator[Page]:
        """Yield the decisions that are meant, the oldest of each bucket first."""
        wanted = set(window.buckets)
        found = [(part, block) for part, block in self._found(Stream.DECISIONS, wanted) if _meets(block, window)]
        for part, block in found:
            entries = await asyncio.to_thread(self._readable, part, block)
            yield Page(tuple(filter(window.holds, entries)), block.bucket)
        yield Page((), max(wanted, default=0) + 1)

    async def provide(self, wanted: Iterable[MadeBy], shelf: Shelf) -> None:
        """Do nothing: the parts stand in the folder already."""

    def stream(self, bucket: int, stream: Stream, *, readable: bool = False) -> Iterator[RawEntry]:
        """Yield a whole stream of a bucket, the oldest first, with what erased entries left, or what is readable."""
        for part, block in self._found(stream, {bucket}):
            yield from self._readable(part, block) if readable else read_block(part, block)

    def _readable(self, part: Part, block: Block) -> tuple[RawEntry, ...]:
        """Return the entries of a block; where it cannot be read, note that and go on."""
        try:
            return read_block(part, block)
        except ArchiveRefused as refused:
            self.lost.append(Lost(block, str(refused)))
            return ()

    def _found(self, stream: Stream, buckets: set[int]) -> list[tuple[Part, Block]]:
        """Return where a stream stands, bucket by bucket, each in its order."""
        meant = [(p, b) for p in self._parts for b in p.blocks if b.stream is stream and b.bucket in buckets]
        return sorted(meant, key=lambda one: one[1].bucket)


def part_in(folder: Path, name: str) -> Part:
    """Open a part; raise `ArchiveRefused` in words."""
    try:
        return Part(folder / name)
    except Damaged as damaged:
        raise ArchiveRefused(f"{folder}: {damaged}; take the part from a copy") from None


def read_block(part: Part, block: Block) -> tuple[RawEntry, ...]:
    """Return the entries of a block; raise `ArchiveRefused` in words."""
    try:
        return part.entries(block)
    except Damaged as damaged:
        raise ArchiveRefused(f"{part.path.parent}: {damaged}; take the part from a copy") from None


def _meets(block: Block, window: Window) -> bool:
    return block.meets(window.from_ms, window.to_ms)


class Writable:
    """An archive that this process alone writes. Each step replaces `archive.json`, and with it has happened."""

    def __init__(self, folder: Path, state: State) -> None:
        self.folder = folder
        self.state = state

    @contextmanager
    def part(self) -> Iterator[tuple[str, PartWriter]]:
        """Open the next part under its name; it is whole when this ends, and counts when `keep` names it."""
        name = f"log-{self.state.next:06d}.tact"
        self.state = replace(self.state, next=self.state.next + 1)
        with open(self.folder / name, "wb") as file:
            writer = PartWriter(file)
            yield name, writer
            writer.end()
            file.flush()
            os.fsync(file.fileno())

    def keep(self, state: State) -> None:
        """Take a step: from now on the archive is what `state` says; parts that it does not name go."""
        new = self.folder / f".{STATE}"
        with open(new, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(state), indent=1))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.folder / STATE)
        _settle(self.folder)
        self.state = state
        named = {part.name for part in state.parts}
        for path in self.folder.glob("log-*.tact"):
            if path.name not in named:
                path.unlink()


@contextmanager
def writing(folder: Path) -> Iterator[Writable]:
    """Open a folder to add to it, alone; raise `ArchiveRefused` in words."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = open(folder / ".lock", "w")  # noqa: SIM115 - closed below
    except OSError as error:
        raise ArchiveRefused(f"{folder} cannot be written ({error.strerror}); name another folder") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            why = f"{folder} is written by another process; wait for it, or name another folder"
            raise ArchiveRefused(why) from None
        state = state_of(folder)
        if state is None and any(folder.glob("log-*.tact")):
            raise ArchiveRefused(f"{folder} has parts but no {STATE}, which says how far they go; name an empty folder")
        writable = Writable(folder, state or State(FORM))
        if state is None:  # from now on a part that is not named is the rest of an interrupted run
            writable.keep(writable.state)
        yield writable


def _settle(folder: Path) -> None:
    """See that names are on the disk."""
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)
