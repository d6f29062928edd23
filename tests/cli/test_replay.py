"""`tact log archive` and `tact replay`, as an auditor types them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.commands import DEMO, Process, one_line, report, typed

SINCE = ("--from", "2026-01-01T00:00:00Z")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service serves, and where its embedded store is."""

    target: str
    store: Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Serve the demo's strategy over an embedded store of its own."""
    folder = tmp_path_factory.mktemp("replay") / "store"
    words = ("--store", f"embedded:{folder}", "--strategy", DEMO, "--port", "0", "--store-wait", "5", "--json")
    with Process("serve", *words) as process:
        yield Place(process.serving().target, folder)


def decided(place: Place, customer: str) -> str:
    """Make a customer known and decide for them; return the decision."""
    report("context", "consent", customer, "--level", "full", "--target", place.target)
    words = ("--channel", "desk", "--placement", "greeting", "--context", "present.sentiment=0.5")
    return str(report("decide", customer, *words, "--target", place.target)["decision_id"])


def test_a_decision_is_replayed_beside_its_service_and_without_it(place: Place, tmp_path: Path) -> None:
    """From the embedded store that the service uses, and from an archive; values and texts only where asked for."""
    decision, store = decided(place, "anna"), ("--store", f"embedded:{place.store}")
    assert typed("log", "archive", "--out", tmp_path / "a", *store).returncode == 0
    for where in (store, ("--archive", tmp_path / "a")):
        ran = typed("replay", "--id", decision, *where)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert ran.stdout.startswith(f"decision {decision}, bucket {decision[:3]}, entry ")
        assert ran.stdout.endswith(": identical\n")
        shown = typed("replay", "--id", decision, "--show", *where).stdout
        assert "present.sentiment = 0.5" in shown
        assert "Where" in shown
        told = json.loads(typed("replay", *SINCE, "--json", "--jobs", 1, *where).stdout)
        assert told["fates"] == {"identical": told["decisions"]}
        assert told["told"] == []
        assert told["bytes_an_entry"] > 100
    assert typed("log", "archive", "--out", tmp_path / "a", *store).stdout.startswith("0 decisions and 0 outcomes")


def test_who_was_erased_is_forgotten_by_the_archive(place: Place, tmp_path: Path) -> None:
    """The own key of an embedded store says who; with another one, nothing is archived at all."""
    decision, out = decided(place, "bert-erased"), tmp_path / "a"
    store = ("--store", f"embedded:{place.store}")
    assert typed("log", "archive", "--out", out, *store).returncode == 0
    assert typed("erase", "bert-erased", "--yes", "--target", place.target).returncode == 0
    assert report("log", "archive", "--out", out, *store)["forgotten"] == 1
    assert "is not in the log that was read" in one_line(typed("replay", "--id", decision, "--archive", out), 1)
    told = json.loads(typed("replay", *SINCE, "--json", "--archive", out, "--jobs", 1).stdout)
    assert told["fates"]["erased"] == 1
    assert typed("log", "verify", "--archive", out).returncode == 0
    other = tmp_path / "key"
    other.write_bytes(b"x" * 40)
    refused = one_line(typed("log", "archive", "--out", out, *store, "--erasure-key-file", other), 2)
    assert "this is another key" in refused


def test_what_cannot_be_made_again_is_told_and_ends_with_3(place: Place, tmp_path: Path) -> None:
    """Here the strategy is gone from the archive; and one that was changed is not used."""
    decision, out = decided(place, "carla"), tmp_path / "a"
    assert typed("log", "archive", "--out", out, "--store", f"embedded:{place.store}").returncode == 0
    (strategy,) = (out / "strategies").iterdir()
    text = (strategy / "rules.yaml").read_text(encoding="utf-8")
    (strategy / "rules.yaml").write_text(text + "# a word more\n", encoding="utf-8")
    ran = typed("replay", "--id", decision, "--archive", out)
    assert (ran.returncode, "was changed" in ran.stdout) == (3, True)
    strategy.rename(tmp_path / "away")
    ran = typed("replay", *SINCE, "--archive", out, "--jobs", 1)
    assert ran.returncode == 3
    assert f"strategy {strategy.name} is not archived" in ran.stderr
    assert ran.stdout.startswith("0 of ")


def test_a_damaged_archive_is_told_with_the_rest(place: Place, tmp_path: Path) -> None:
    """It says which part, and what to do, in one line; so does the chain; all else is read."""
    decided(place, "dora")
    out = tmp_path / "a"
    assert typed("log", "archive", "--out", out, "--store", f"embedded:{place.store}").returncode == 0
    (part,) = out.glob("log-*")
    content = bytearray(part.read_bytes())
    content[20] ^= 1
    part.write_bytes(bytes(content))
    for command in (("replay", *SINCE, "--jobs", 1), ("log", "verify")):
        ran = typed(*command, "--archive", out)
        (line,) = [line for line in (ran.stdout + ran.stderr).splitlines() if "log-000001.tact, bucket " in line]
        assert ran.returncode == 1
        assert line.endswith("take the part from a copy")
        assert "Traceback" not in ran.stderr


WRONG = {
    (): "say which decisions",
    ("--id", "nonsense"): "is no decision id",
    ("--from", "yesterday"): "is no moment",
    ("--from", "2026-02-01T00:00:00Z", "--to", "2026-01-01T00:00:00Z"): "--from is not before --to",
    (*SINCE, "--archive", ".", "--store", "redis://127.0.0.1:1/0"): "are both given",
    (*SINCE, "--store", "nonsense"): "it is no store",
    (*SINCE, "--jobs", "-1"): "--jobs",
}


@pytest.mark.parametrize("words", WRONG, ids=WRONG.get)
def test_a_wrong_command_is_told_in_one_line(words: tuple[str, ...]) -> None:
    """And ends with 2, before anything is read."""
    assert WRONG[words] in one_line(typed("replay", *words), 2)


def test_a_place_that_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    """And ends with 1: a folder that is no archive, a store that is away, a folder that is none."""
    assert "is no archive" in one_line(typed("replay", *SINCE, "--archive", tmp_path), 1)
    assert "--store" in one_line(typed("replay", *SINCE, "--store", "redis://127.0.0.1:1/0"), 1)
    missing = ("--store", f"embedded:{tmp_path / 'none'}")
    assert "there is no folder" in one_line(typed("replay", *SINCE, *missing), 1)
    assert "there is no folder" in one_line(typed("log", "archive", "--out", tmp_path / "a", *missing), 1)
