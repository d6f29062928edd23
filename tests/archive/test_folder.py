"""An archive has every entry once, to the byte; what is damaged is refused; who was erased is forgotten there, too."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec import msgpack
from msgspec.structs import replace
from redis import Redis

from models.documents import read_folder
from service.archive.folder import STATE, ArchiveRefused, FolderLog, writing
from service.archive.parts import forget
from service.archive.raw import RawEntry, Stream
from service.archive.reading import PAGE, StoreLog, Window, stream_key
from service.archive.writing import Archived, archive
from service.core.archived import Part, PartDamaged, PartKind, strategy_part
from service.core.loader import strategy_of
from service.store import keys
from service.store.archive import ArchiveStore
from service.store.calls import Calls
from service.store.log_reading import LogStore
from service.store.retention import Retention
from service.store.suppression import Suppression
from tests.store.patience import patient
from tests.strategies import write_strategy

KEY = Suppression(b"k" * 32)
Rows = list[tuple[str, tuple[bytes, ...]]]


def log(url: str, customer: str, count: int, stream: Stream = Stream.DECISIONS, first: int = 1) -> Rows:
    """Write entries about a customer into the store, as they could be there; return them."""
    bucket = int(keys.bucket(customer), 16)
    rows: Rows = []
    with Redis.from_url(url) as raw:
        for number in range(first, first + count):
            fields = {b"l": b"%040d%d-0" % (number, number - 1), b"i": customer.encode(), b"e": bytes(range(256)) * 2}
            place = raw.xadd(stream_key(bucket, stream), fields, id=f"{number}-0")
            rows.append((place.decode(), tuple(part for pair in fields.items() for part in pair)))
        raw.set(keys.head_key(stream_key(bucket, stream)), b"%040d%d-0" % (first + count, first + count - 1))
    return rows


@asynccontextmanager
async def read(url: str) -> AsyncIterator[tuple[StoreLog, LogStore]]:
    """Open what reads the log and tells who was erased."""
    async with patient(url) as connections:
        yield StoreLog(connections), LogStore(Calls(connections), KEY)


async def run(url: str, folder: Path) -> Archived:
    """Archive once, and forget."""
    with writing(folder) as writable:
        async with read(url) as (store, erased):
            made = await archive(store, writable, lambda done, entries: None)
            made.forgotten = await forget(erased, writable)
            return made


def held(folder: Path, customer: str, stream: Stream = Stream.DECISIONS) -> list[RawEntry]:
    """Return a stream of a customer's bucket as the archive has it."""
    return list(FolderLog(folder).stream(int(keys.bucket(customer), 16), stream))


def rows_of(entries: list[RawEntry]) -> Rows:
    """Return entries as they were written."""
    return [(entry.place, entry.flat) for entry in entries]


async def test_every_entry_is_in_it_once_however_often_it_runs(clean_store_url: str, tmp_path: Path) -> None:
    """All bytes of all fields, in their order, of decisions and of outcomes; and the link of the newest entry."""
    rows = log(clean_store_url, "anna", PAGE + 3)
    out = log(clean_store_url, "anna", 2, Stream.OUTCOMES)
    made = await run(clean_store_url, tmp_path / "a")
    assert (made.decisions, made.outcomes, made.missing) == (PAGE + 3, 2, [])
    assert (await run(clean_store_url, tmp_path / "a")).decisions == 0
    rows += log(clean_store_url, "anna", 1, first=9_000)
    assert (await run(clean_store_url, tmp_path / "a")).decisions == 1
    assert rows_of(held(tmp_path / "a", "anna")) == rows
    assert rows_of(held(tmp_path / "a", "anna", Stream.OUTCOMES)) == out
    state = json.loads((tmp_path / "a" / STATE).read_bytes())
    bucket = str(int(keys.bucket("anna"), 16))
    assert state["heads"]["log"][bucket] == f"{9_001:040d}9000-0"
    assert len(state["parts"]) == 2


async def test_a_run_that_ends_half_way_leaves_nothing(clean_store_url: str, tmp_path: Path) -> None:
    """What it wrote does not count, and the next one has all of it, once."""
    rows = log(clean_store_url, "anna", 5)

    def breaks(done: int, entries: int) -> None:
        if entries:
            raise RuntimeError

    with writing(tmp_path / "a") as writable:
        async with read(clean_store_url) as (store, _):
            with pytest.raises(RuntimeError):
                await archive(store, writable, breaks)
    assert list((tmp_path / "a").glob("log-*"))
    assert held(tmp_path / "a", "anna") == []
    assert (await run(clean_store_url, tmp_path / "a")).decisions == 5
    rows += log(clean_store_url, "anna", 1, first=6)
    with writing(tmp_path / "a") as writable:
        async with read(clean_store_url) as (store, _):
            with pytest.raises(RuntimeError):
                await archive(store, writable, breaks)
    assert len(held(tmp_path / "a", "anna")) == 5
    assert (await run(clean_store_url, tmp_path / "a")).decisions == 1
    assert rows_of(held(tmp_path / "a", "anna")) == rows
    assert len(list((tmp_path / "a").glob("log-*"))) == 2


async def test_what_an_erased_entry_left_is_in_its_place(clean_store_url: str, tmp_path: Path) -> None:
    """Its link stays in the chain, between those of its neighbours."""
    log(clean_store_url, "anna", 3)
    stream = stream_key(int(keys.bucket("anna"), 16), Stream.DECISIONS)
    with Redis.from_url(clean_store_url) as raw:
        raw.xdel(stream, "2-0")
        raw.zadd(keys.gone_key(stream), {b"2-0 " + b"%040d1-0" % 2: 2})
    await run(clean_store_url, tmp_path / "a")
    found = held(tmp_path / "a", "anna")
    assert [(one.place, one.gone) for one in found] == [("1-0", None), ("2-0", b"%040d1-0" % 2), ("3-0", None)]


async def test_who_was_erased_is_forgotten_here_too(clean_store_url: str, tmp_path: Path) -> None:
    """What was archived before goes with the next run; the links stay, and so do others and what came after."""
    log(clean_store_url, "anna", 4)
    log(clean_store_url, "anna", 1, Stream.OUTCOMES)
    rows = log(clean_store_url, "bert", 2)
    await run(clean_store_url, tmp_path / "a")
    with Redis.from_url(clean_store_url) as raw:
        raw.hset(keys.suppression_key(keys.bucket("anna")), KEY.digest("anna"), 3)
    made = await run(clean_store_url, tmp_path / "a")
    assert made.forgotten == 4
    found = held(tmp_path / "a", "anna")
    assert [one.gone is not None for one in found] == [True, True, True, False]
    assert found[1].gone == b"%040d1-0" % 2
    assert rows_of(held(tmp_path / "a", "bert")) == rows
    whole = b"".join(path.read_bytes() for path in (tmp_path / "a").glob("log-*"))
    assert whole
    assert [one.fields for one in held(tmp_path / "a", "anna", Stream.OUTCOMES)] == [{}]
    assert (await run(clean_store_url, tmp_path / "a")).forgotten == 0


async def test_no_flipped_bit_gives_another_entry(clean_store_url: str, tmp_path: Path) -> None:
    """Wherever it is in a part: what is read is what was written, or it is refused with the place."""
    rows = log(clean_store_url, "anna", 3)
    await run(clean_store_url, tmp_path / "a")
    (part,) = (tmp_path / "a").glob("log-*")
    whole = part.read_bytes()
    told = Counter(_told(tmp_path / "a", part, whole, place, rows) for place in range(len(whole)))
    assert set(told) <= {"as it was", "refused"}
    assert told["refused"] > 0.9 * len(whole)
    part.write_bytes(whole[:-9])
    with pytest.raises(ArchiveRefused, match="cut off"):
        held(tmp_path / "a", "anna")


def _told(folder: Path, part: Path, whole: bytes, place: int, rows: Rows) -> str:
    """Return what becomes of reading a part in which one bit is another."""
    changed = bytearray(whole)
    changed[place] ^= 1 << place % 8
    part.write_bytes(bytes(changed))
    try:
        return "as it was" if rows_of(held(folder, "anna")) == rows else "something else"
    except ArchiveRefused as error:
        return "refused" if part.name in str(error) else "refused somewhere"


ONE_PART = b'{"form": 1, "parts": [{"name": "%b", "decisions": 1, "outcomes": 0}]}'
REFUSED = {
    "is no archive": None,
    "cannot be read": b"{",
    "has the form 2": b'{"form": 2}',
    "names parts outside": ONE_PART % b"../x",
    "log-000009.tact: cannot be read": ONE_PART % b"log-000009.tact",
}


@pytest.mark.parametrize("says", REFUSED)
def test_a_folder_that_is_no_archive_is_refused_in_words(tmp_path: Path, says: str) -> None:
    """It says what is wrong with it."""
    state = REFUSED[says]
    if state is not None:
        (tmp_path / STATE).write_bytes(state)
    with pytest.raises(ArchiveRefused, match=says):
        FolderLog(tmp_path)


def test_one_process_at_a_time_writes_an_archive(tmp_path: Path) -> None:
    """The second is told to wait; and parts that nobody counts are not added to."""
    with writing(tmp_path / "a"), pytest.raises(ArchiveRefused, match="another process"), writing(tmp_path / "a"):
        pass
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "log-000001.tact").write_bytes(b"")
    with pytest.raises(ArchiveRefused, match="has parts but no"), writing(tmp_path / "b"):
        pass


async def test_a_window_is_what_was_logged_in_it(clean_store_url: str, tmp_path: Path) -> None:
    """From the first moment on and before the second, from the store and from an archive alike."""
    log(clean_store_url, "anna", 9)
    log(clean_store_url, "bert", 4)
    await run(clean_store_url, tmp_path / "a")
    window = Window(3, 5)
    async with read(clean_store_url) as (store, _):
        for source in (store, FolderLog(tmp_path / "a")):
            found = [entry.place async for page in source.pages(window) for entry in page.entries]
            assert sorted(found) == ["3-0", "3-0", "4-0", "4-0"]
            dones = [page.done async for page in source.pages(Window())]
            assert dones == sorted(dones)


async def test_parts_are_kept_as_long_as_what_they_decide(clean_store_url: str) -> None:
    """They are written once, again when they are gone, and renewed when a minute of their time is over."""
    parts = tuple(Part(PartKind.STRATEGY, version, b"packed") for version in ("small@0123456789ab", "b@0123456789ab"))
    async with patient(clean_store_url) as connections:
        store = ArchiveStore(Calls(connections), Retention(), parts)
        await store.keep()
        assert await store.of(PartKind.STRATEGY, "small@0123456789ab") == parts[0]
        assert await store.of(PartKind.MODEL, "small@0123456789ab") is None
        assert await store.of(PartKind.STRATEGY, "no version") is None
        log_ms, key = 90 * 86_400_000, keys.part_key(PartKind.STRATEGY, "small@0123456789ab")
        with Redis.from_url(clean_store_url) as raw:
            for lives_ms, written in ((log_ms - 30_000, False), (log_ms - 61_000, False), (1_000, False), (0, True)):
                raw.set(key, "as it was", px=lives_ms or None)
                if not lives_ms:
                    raw.delete(key)
                await store.keep()
                assert (raw.get(key) == b"packed") == written
                assert log_ms - 61_000 < raw.pttl(key) <= log_ms


async def test_what_is_wrong_in_the_store_stops_nothing(clean_store_url: str, tmp_path: Path) -> None:
    """An entry that stands in another's bucket is archived as it stands; a damaged strategy is one that is missing."""
    versions = {"strategy": "small@0123456789ab", "model": ""}
    entry = [
        b"i",
        b"nobody who belongs here",
        b"e",
        msgpack.encode(["d", "c", "web", 1, *versions.values(), *[None] * 6]),
    ]
    with Redis.from_url(clean_store_url) as raw:
        raw.execute_command("XADD", keys.log_key("000"), "7-0", *entry)
        raw.set(keys.part_key(PartKind.STRATEGY, versions["strategy"]), b"damaged")
    made = await run(clean_store_url, tmp_path / "a")
    assert made.missing == ["strategy small@0123456789ab"]
    assert [(one.place, one.flat) for one in FolderLog(tmp_path / "a").stream(0, Stream.DECISIONS)] == [
        ("7-0", tuple(entry))
    ]


def test_a_part_that_was_damaged_is_refused(tmp_path: Path) -> None:
    """Whatever is changed in it: it cannot be unpacked, or names no files."""
    documents = read_folder(write_strategy(tmp_path / "strategy"))
    part = strategy_part(strategy_of(documents), documents)
    assert {name: text.decode() for name, text in part.files().items()} == documents.contents
    for packed in (b"", part.packed[:-1], part.packed[:9] + b"?" + part.packed[10:]):
        with pytest.raises(PartDamaged, match=part.version):
            replace(part, packed=packed).files()
