"""An archive stays whole where its store goes on by the rules, is of one store, and tells what is not as it was."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec import msgpack
from redis import Redis

from service.archive import parts
from service.archive.folder import STATE, ArchiveRefused, FolderLog
from service.archive.raw import Stream
from service.archive.reading import Window, stream_key
from service.archive.verifying import NOTHING, Held, chains
from service.archive.writing import Archived
from service.cli.program import run as typed
from service.core import chained
from service.core.chain_walk import Found, Wrong
from service.core.chained import Place, Raw, beginning, link_of
from service.store import keys
from tests.archive.test_folder import KEY, held, run
from tests.store.chained import Copy, made, put_back, raw_of

BUCKET = int(keys.bucket("anna"), 16)
LOG = stream_key(BUCKET, Stream.DECISIONS)
WHOLE = made([bytes([n]) for n in range(9)], LOG)
DAY_MS = 86_400_000


@pytest.fixture
def raw(clean_store_url: str) -> Iterator[Redis]:
    """A store with a chained log of one bucket."""
    with Redis.from_url(clean_store_url) as client:
        put_back(client, WHOLE)
        yield client


def found(folder: Path, noted: Held = NOTHING) -> Found:
    """Return what is found of the log of an archive."""
    return next(one for bucket, one in chains(FolderLog(folder), noted) if bucket == BUCKET)[chained.Stream.DECISIONS]


def archived(url: str, folder: Path) -> Archived:
    """Archive once, and forget."""
    return asyncio.run(run(url, folder))


async def readable(log: FolderLog) -> int:
    """Return how many decisions of an archive can be read."""
    return sum([len(page.entries) async for page in log.pages(Window())])


def wrong(folder: Path) -> list[tuple[str, str]]:
    """Return what is wrong with the log of an archive."""
    return [(str(one.at), one.wrong.value) for one in found(folder).faults]


def later(copy: Copy, ms: int, count: int) -> Copy:
    """Return a chain of its own that begins so much later."""
    link, items = beginning(copy.stream), []
    for number in range(count):
        at = Place(1_000 + ms, number + 1)
        items.append(Raw(at, ((b"l", str(link).encode()), (b"i", b"anna"), (b"e", b"later"))))
        link = link_of(copy.stream, items[-1])
    return Copy(copy.stream, str(link).encode(), tuple(items))


def verified(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict[str, Any], str]:
    """Run `tact log verify`; return how it ended, its document, and what else it said."""
    ended = typed(["log", "verify", *map(str, words), "--json"])
    said = capsys.readouterr()
    return ended, json.loads(said.out) if said.out else {}, said.err


def edit(folder: Path, **changes: Any) -> None:  # noqa: ANN401 - any part of a document
    """Change what an archive says of itself."""
    state = json.loads((folder / STATE).read_bytes())
    (folder / STATE).write_text(json.dumps(state | changes))


def test_a_stream_that_went_by_its_age_spoils_nothing(raw: Redis, clean_store_url: str, tmp_path: Path) -> None:
    """Its head stays as it was archived, and what is logged later begins anew: a fault only where that is too early."""
    archived(clean_store_url, tmp_path)
    put_back(raw, Copy(LOG, b"", ()))
    archived(clean_store_url, tmp_path)
    assert (found(tmp_path).entries, wrong(tmp_path)) == (9, [])
    anew = later(WHOLE, 91 * DAY_MS, 2)
    put_back(raw, anew)
    for _ in range(2):
        archived(clean_store_url, tmp_path)
        assert (found(tmp_path).entries, wrong(tmp_path)) == (11, [])
    faults = found(tmp_path, Held(kept_ms=92 * DAY_MS)).faults
    assert [(one.at, one.wrong) for one in faults] == [(anew.items[0].at, Wrong.ANEW)]
    noted = Held({(BUCKET, chained.Stream.DECISIONS): link_of(LOG, raw_of(WHOLE.items[5]))}, kept_ms=91 * DAY_MS - 9)
    assert (found(tmp_path, noted).faults, found(tmp_path, noted).compared) == ([], True)


def test_an_archive_is_of_one_store(raw: Redis, clean_store_url: str, tmp_path: Path) -> None:
    """Another one, and one that was emptied, are refused in words, and the archive stays as it is."""
    archived(clean_store_url, tmp_path)
    before = (tmp_path / STATE).read_bytes()
    for name in (b"another", None):
        raw.flushdb()
        if name:
            raw.set(keys.store_key(), name)
        with pytest.raises(ArchiveRefused, match="another store"):
            archived(clean_store_url, tmp_path)
        assert (tmp_path / STATE).read_bytes() == before
        assert raw.get(keys.store_key()) == name
    assert wrong(tmp_path) == []


def test_erased_entries_of_before_the_chain_leave_nothing(raw: Redis, clean_store_url: str, tmp_path: Path) -> None:
    """They had no link that could stay; one that has a link leaves it without a moment."""
    old = tuple(Raw(Place(900, number), ((b"i", b"anna"), (b"e", b"old"))) for number in (1, 2))
    dated = [Raw(Place(1_000, 1), ((b"l", str(beginning(LOG)).encode() + b" 7"), (b"i", b"anna"), (b"e", b"x")))]
    head = str(link_of(LOG, dated[0])).encode()
    put_back(raw, Copy(LOG, head, (*old, *dated)))
    archived(clean_store_url, tmp_path)
    assert found(tmp_path).unchained == 2
    raw.hset(keys.suppression_key(keys.bucket("anna")), KEY.digest("anna"), 2_000)
    assert (archived(clean_store_url, tmp_path)).forgotten == 3
    assert (wrong(tmp_path), found(tmp_path).erased, found(tmp_path).unchained) == ([], 1, 0)


def test_parts_are_bounded(raw: Redis, clean_store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is as many parts as it needs, and so is what forgetting leaves; all entries are there once."""
    monkeypatch.setattr(parts, "MOST_ENTRIES", 1)
    other = stream_key(BUCKET ^ 1, Stream.DECISIONS)
    put_back(raw, made([b"1", b"2"], other))
    archived(clean_store_url, tmp_path)
    assert len(list(tmp_path.glob("log-*.tact"))) == 2
    assert [one.place for one in held(tmp_path, "anna")] == [str(item.at) for item in WHOLE.items]
    raw.hset(keys.suppression_key(keys.bucket("anna")), KEY.digest("anna"), 10_000)
    assert (archived(clean_store_url, tmp_path)).forgotten == 9 + 2
    assert len(list(tmp_path.glob("log-*.tact"))) == 2
    assert (wrong(tmp_path), found(tmp_path).erased) == ([], 9)


def test_a_part_that_is_taken_out_is_missed(
    raw: Redis, clean_store_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wherever the archive says that it begins, once that was noted; without a note as long as it says the truth."""
    folder, anchors = tmp_path / "a", tmp_path / "anchors.json"
    put_back(raw, replace(WHOLE, items=WHOLE.items[:4], head=WHOLE.items[4].link or b""))
    archived(clean_store_url, folder)
    put_back(raw, WHOLE)
    archived(clean_store_url, folder)
    assert verified(capsys, "--archive", folder, "--anchors", anchors)[0] == 0
    state = json.loads((folder / STATE).read_bytes())
    assert len(state["parts"]) == 2
    edit(folder, parts=state["parts"][1:])
    assert wrong(folder) == [(str(WHOLE.items[3].at), "missing")]
    state["begins"]["log"][str(BUCKET)] = str(WHOLE.items[4].at)
    edit(folder, begins=state["begins"])
    ended, told, _ = verified(capsys, "--archive", folder, "--anchors", anchors)
    assert (ended, str(WHOLE.items[0].at) in [one["entry"] for one in told["faults"]]) == (1, True)


def test_each_damaged_block_is_told_and_the_rest_goes_on(
    raw: Redis, clean_store_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which entries stood in it, and nothing else is a fault; what is readable is read."""
    other = stream_key(BUCKET ^ 1, Stream.DECISIONS)
    put_back(raw, made([b"1", b"2"], other))
    for count in (3, 6, 9):
        head = WHOLE.head if count == 9 else WHOLE.items[count].link or b""
        put_back(raw, replace(WHOLE, items=WHOLE.items[:count], head=head))
        archived(clean_store_url, tmp_path)
    for part in sorted(tmp_path.glob("log-*.tact"))[:2]:
        log = next(block for block in FolderLog(tmp_path)._parts[0].blocks if block.bucket == BUCKET)
        content = bytearray(part.read_bytes())
        content[log.offset + 5 if part.name == "log-000001.tact" else 20] ^= 1
        part.write_bytes(bytes(content))
    ended, told, _ = verified(capsys, "--archive", tmp_path)
    lost = [(one["entry"], one["wrong"]) for one in told["faults"]]
    assert sorted(lost) == [(str(WHOLE.items[2].at), "damaged"), (str(WHOLE.items[5].at), "damaged")]
    assert f"entries {WHOLE.items[0].at} to {WHOLE.items[2].at}" in " ".join(one["says"] for one in told["faults"])
    assert (ended, told["decisions"]) == (1, 2 + 3)
    log_read = FolderLog(tmp_path)
    assert (asyncio.run(readable(log_read)), len(log_read.lost)) == (2 + 3, 2)
    assert typed(["replay", "--from", "1970-01-01T00:00:00Z", "--archive", str(tmp_path), "--jobs", "1"]) == 1
    assert capsys.readouterr().err.count("take the part from a copy") == 2


def test_what_is_missing_is_told_each_time(raw: Redis, clean_store_url: str, tmp_path: Path) -> None:
    """Until it is found, which may be later."""
    entry = msgpack.encode(["d", "c", "web", 1, "small@0123456789ab", "", *[None] * 6])
    raw.execute_command("XADD", keys.log_key("000"), "7-0", "i", "c", "e", entry)  # type: ignore[no-untyped-call]
    for _ in range(2):
        assert (archived(clean_store_url, tmp_path)).missing == ["strategy small@0123456789ab"]


def test_entries_that_are_passed_off_as_older_than_the_chain_are_told(
    raw: Redis, clean_store_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """More of them than were noted are a fault, of the store and of an archive, unless there was an update."""
    anchors = tmp_path / "anchors.json"
    store = ("--store", clean_store_url, "--anchors", anchors)
    assert verified(capsys, *store)[0] == 0
    old = Raw(Place(900, 1), ((b"i", b"anna"), (b"e", b"inserted")))
    put_back(raw, replace(WHOLE, items=(old, *WHOLE.items)))
    archived(clean_store_url, tmp_path / "a")
    for place in (("--store", clean_store_url), ("--archive", tmp_path / "a")):
        ended, told, _ = verified(capsys, *place, "--anchors", anchors)
        assert (ended, [one["wrong"] for one in told["faults"]]) == (1, ["unlinked"])
    assert verified(capsys, *store, "--unlinked-until", "1970-01-02T00:00:00Z")[0] == 0
    assert verified(capsys, *store)[0] == 0


def test_a_wrong_place_is_told_before_the_walk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two places at once, and a folder for anchors that is not there: nothing was looked at."""
    for words, says in (
        (("--archive", tmp_path, "--store", "redis://127.0.0.1:1"), "are both given"),
        (("--target", "127.0.0.1:1", "--anchors", tmp_path / "none" / "a.json"), "there is no folder"),
    ):
        ended, told, err = verified(capsys, *words)
        assert (ended > 0, told, says in err) == (True, {}, True), err
