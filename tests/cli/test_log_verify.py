"""`tact log verify`, as whoever vouches for the log types it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from service.cli.program import run
from service.core.chained import Raw, Stream
from service.store import keys
from service.store.chain import key_of
from tests.cli.commands import DEMO, Process, report
from tests.store.chained import Copy, flip, made, put_back

LOG = key_of(int(keys.bucket("anna"), 16), Stream.DECISIONS)
WHOLE = made([bytes([n]) for n in range(6)], LOG)


@pytest.fixture
def raw(clean_store_url: str) -> Iterator[Redis]:
    """A store with a chained log in one bucket."""
    with Redis.from_url(clean_store_url) as client:
        put_back(client, WHOLE)
        yield client


def verified(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict[str, Any], str]:
    """Run the command; return how it ended, its document where it wrote one, and what else it said."""
    ended = run(["log", "verify", *map(str, words), "--json"])
    said = capsys.readouterr()
    return ended, json.loads(said.out) if said.out else {}, said.err


def spoilt(at: int) -> Copy:
    """Return the log with one bit flipped in one entry."""
    entry = WHOLE.items[at]
    assert isinstance(entry, Raw)
    fields = (*entry.fields[:2], (b"e", flip(entry.fields[2][1], 3)), *entry.fields[3:])
    return WHOLE.having(at, replace(entry, fields=fields))


def test_what_was_changed_is_named(
    capsys: pytest.CaptureFixture[str], raw: Redis, clean_store_url: str, tmp_path: Path
) -> None:
    """Bucket, chain, entry and a sentence, and the end is 1; a whole log ends with 0, and only that is noted."""
    anchors = tmp_path / "anchors.json"
    ended, told, _ = verified(capsys, "--store", clean_store_url, "--anchors", anchors)
    assert (ended, told["whole"], told["decisions"], told["heads"], told["faults"]) == (0, True, 6, 1, [])
    noted = anchors.read_bytes()
    put_back(raw, spoilt(2))
    ended, told, _ = verified(capsys, "--store", clean_store_url, "--anchors", anchors)
    assert (ended, told["whole"]) == (1, False)
    (fault,) = told["faults"]
    place = {"bucket": keys.bucket("anna"), "chain": "decisions", "entry": str(WHOLE.items[2].at)}
    assert {name: fault[name] for name in (*place, "wrong")} == {**place, "wrong": "changed"}
    assert anchors.read_bytes() == noted
    assert run(["log", "verify", "--store", clean_store_url]) == 1
    assert f"bucket {place['bucket']}, decisions, entry {place['entry']}: this entry" in capsys.readouterr().out


def test_a_log_that_was_written_anew_is_held_against_what_was_noted(
    capsys: pytest.CaptureFixture[str], raw: Redis, clean_store_url: str, tmp_path: Path
) -> None:
    """Changed with all its links, or cut off with its head, it is whole in itself, and not what was noted."""
    anchors = tmp_path / "anchors.json"
    verified(capsys, "--store", clean_store_url, "--anchors", anchors)
    last = str(WHOLE.items[-1].at)
    cut = WHOLE.items[3]
    assert isinstance(cut, Raw)
    for other, wrong in (
        (made([b"another", *(bytes([n]) for n in range(1, 6))], LOG), "rewritten"),
        (Copy(LOG, cut.link or b"", WHOLE.items[:3]), "cut"),
    ):
        put_back(raw, other)
        assert verified(capsys, "--store", clean_store_url)[:1] == (0,)
        ended, told, _ = verified(capsys, "--store", clean_store_url, "--anchors", anchors)
        assert (ended, [(one["entry"], one["wrong"]) for one in told["faults"]]) == (1, [(last, wrong)])
    put_back(raw, made([bytes([n]) for n in range(9)], LOG))
    ended, told, _ = verified(capsys, "--store", clean_store_url, "--anchors", anchors)
    assert (ended, told["anchors"], told["anchors_compared"], told["decisions"]) == (0, 1, 1, 9)
    assert json.loads(anchors.read_text())["heads"][f"{keys.bucket('anna')} log"].endswith(str(Raw(_ninth(), ()).at))


def _ninth() -> Any:  # noqa: ANN401 - a place
    return made([bytes([n]) for n in range(9)], LOG).items[-1].at


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"no json", "holds no anchors"),
        (b'{"tact_anchors": 2, "noted_at": "2026-01-01T00:00:00Z", "heads": {}}', "version 2"),
        (b'{"tact_anchors": 1, "noted_at": "2026-01-01T00:00:00Z", "heads": {"0a3 log": "x"}}', "0a3 log"),
        (
            b'{"tact_anchors": 1, "noted_at": "2026-01-01T00:00:00Z", "heads": {"zzz log": "%b1-1"}}' % (b"a" * 40),
            "zzz",
        ),
        (
            b'{"tact_anchors": 1, "noted_at": "2026-01-01T00:00:00Z", "heads": {"0a3 own": "%b1-1"}}' % (b"a" * 40),
            "own",
        ),
        (b" " * 1_000_001, "larger"),
    ],
    ids=["no document", "of another version", "no head", "no bucket", "no chain", "too large"],
)
def test_what_is_no_file_of_anchors_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes, says: str
) -> None:
    """Before anything is looked at, with what is wrong; and the file stays as it is."""
    anchors = tmp_path / "anchors.json"
    anchors.write_bytes(content)
    ended, told, err = verified(capsys, "--target", "127.0.0.1:1", "--anchors", anchors)
    assert (ended, told) == (2, {})
    assert "--anchors" in err
    assert says in err
    assert anchors.read_bytes() == content


def test_bad_words_are_refused(capsys: pytest.CaptureFixture[str], clean_store_url: str, tmp_path: Path) -> None:
    """No moment, no time to keep, no store, nowhere to write: one line that says what is right."""
    for words, code, says in (
        (("--unlinked-until", "yesterday"), 2, "no moment"),
        (("--store", clean_store_url, "--keep", "log=soon"), 2, "--keep"),
        (("--store", "redis://127.0.0.1:1"), 1, "--store"),
        (("--target", "127.0.0.1:1"), 1, "no service answers"),
        (("--store", clean_store_url, "--anchors", tmp_path / "no folder" / "a.json"), 1, "no folder"),
    ):
        ended, told, err = verified(capsys, *words)
        assert (ended, told) == (code, {}), err
        assert says in err
        assert err.count("tact:") == 1


def test_a_service_is_asked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Decisions that a service just made are as they were written, and it says so itself; so does its store."""
    folder = tmp_path / "store"
    serving = (
        "serve",
        "--store",
        f"embedded:{folder}",
        "--strategy",
        DEMO,
        "--port",
        "0",
        "--json",
        "--store-wait",
        "5",
    )
    with Process(*serving) as process:
        target = process.serving().target
        for customer in ("anna", "bob"):
            report("decide", customer, "--channel", "web", "--placement", "greeting", "--target", target)
        ended, told, _ = verified(capsys, "--target", target)
        assert (ended, told["whole"], told["decisions"]) == (0, True, 2)
        assert verified(capsys, "--store", f"embedded:{folder}")[1]["decisions"] == 2
