"""Write entries into an archive, as many parts as they need, and leave of erased customers nothing but their links."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from types import TracebackType

from msgspec.structs import replace

from service.archive.blocks import Block, PartWriter
from service.archive.folder import PartTold, Writable, part_in, read_block
from service.archive.raw import RawEntry, Stream
from service.store.log_reading import LogStore

MOST_ENTRIES = 200_000
"""How many entries one part holds, and a page more: some 100 MB."""
_ASKED_AT_ONCE = 1_000


class Parts:
    """The next parts of an archive: one is opened with the first entry, and the next when it is full."""

    def __init__(self, folder: Writable) -> None:
        self.told: list[PartTold] = []
        self._folder = folder
        self._open = ExitStack()
        self._name = ""
        self._writer: PartWriter | None = None
        self._entries = 0

    def __enter__(self) -> Parts:
        """Begin with none."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the last part, unless something went wrong."""
        if kind is None:
            self._end()
        else:
            self._open.__exit__(kind, error, trace)

    def add(self, entries: Sequence[RawEntry]) -> None:
        """Write entries of one stream of one bucket, the oldest first; none are none."""
        if not entries:
            return
        if self._writer is None:
            self._name, self._writer = self._open.enter_context(self._folder.part())
            self._entries = 0
        self._writer.add(entries)
        self._entries += len(entries)
        if self._entries >= MOST_ENTRIES:
            self._end()

    def _end(self) -> None:
        self._open.close()
        if self._writer is not None:
            self.told.append(_counted(self._name, self._writer.blocks))
        self._writer = None


def _counted(name: str, blocks: Sequence[Block]) -> PartTold:
    by = {stream: sum(block.entries for block in blocks if block.stream is stream) for stream in Stream}
    return PartTold(name, by[Stream.DECISIONS], by[Stream.OUTCOMES])


async def forget(log: LogStore, folder: Writable) -> int:
    """Leave of entries about erased customers, from before their erasure, nothing but their links; return how many."""
    gone, parts, forgotten = await _erased(log, folder), list[PartTold](), 0
    for told in folder.state.parts:
        count = sum(_is_gone(entry, gone) for entries in _blocks(folder, told) for entry in entries) if gone else 0
        if not count:
            parts.append(told)
            continue
        forgotten += count
        with Parts(folder) as written:
            for entries in _blocks(folder, told):
                written.add([one for entry in entries if (one := _kept(entry, gone)) is not None])
        parts += written.told
    if forgotten:
        folder.keep(replace(folder.state, parts=tuple(parts)))
    return forgotten


def _blocks(folder: Writable, told: PartTold) -> Iterator[tuple[RawEntry, ...]]:
    """Yield the entries of a part, block by block."""
    part = part_in(folder.folder, told.name)
    return (read_block(part, block) for block in part.blocks)


async def _erased(log: LogStore, folder: Writable) -> dict[str, int]:
    """Return when (ms) customers of an archive were erased, of those who were."""
    found: dict[str, int] = {}
    for told in folder.state.parts:
        customers = sorted({c for entries in _blocks(folder, told) for c in _customers(entries)})
        for place in range(0, len(customers), _ASKED_AT_ONCE):
            found |= await log.erased(customers[place : place + _ASKED_AT_ONCE])
    return found


def _customers(entries: Sequence[RawEntry]) -> Iterator[str]:
    return (entry.fields[b"i"].decode(errors="replace") for entry in entries if b"i" in entry.fields)


def _is_gone(entry: RawEntry, gone: dict[str, int]) -> bool:
    customer = entry.fields.get(b"i", b"").decode(errors="replace")
    return entry.gone is None and customer in gone and entry.logged_ms <= gone[customer]


def _kept(entry: RawEntry, gone: dict[str, int]) -> RawEntry | None:
    """Return what stays of an entry: of an erased one its place and its link, and nothing where it had none.

    The link stays without what it says of its time, as in the store: nothing vouches for that any more.
    """
    if not _is_gone(entry, gone):
        return entry
    link = entry.fields.get(b"l", b"").partition(b" ")[0]
    return RawEntry(entry.bucket, entry.stream, entry.place, (), link) if link else None
