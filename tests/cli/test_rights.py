"""`tact export` and `tact erase`, as whoever answers a person's request types them."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import DEMO, Process, one_line, report, tact, typed


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the demo's strategy over an embedded store of its own."""
    folder = tmp_path_factory.mktemp("rights") / "store"
    with Process("serve", "--store", f"embedded:{folder}", "--strategy", DEMO, "--port", "0", "--json") as process:
        yield process.serving().target


def known(target: str, customer: str) -> str:
    """Make a customer known and decide for them; return the decision."""
    report("context", "consent", customer, "--level", "full", "--source", "web form", "--target", target)
    words = ("--channel", "web", "--placement", "greeting", "--target", target)
    return str(report("decide", customer, *words)["decision_id"])


def test_an_export_is_one_document_that_only_its_owner_reads(target: str, tmp_path: Path) -> None:
    """It goes to stdout, or into a file of mode 600; both have the same, with the decision and its reasons."""
    decision, file = known(target, "anna"), tmp_path / "anna.json"
    shown = json.loads(typed("export", "anna", "--target", target).stdout)
    assert typed("export", "anna", "--out", file, "--target", target).returncode == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    written = json.loads(file.read_text(encoding="utf-8"))
    assert {**written, "exported_at": ""} == {**shown, "exported_at": ""}
    assert shown["decisions"][0]["decision"]["decision_id"] == decision
    assert shown["decisions"][0]["decision"]["answers"][0]["reasons"]
    assert shown["consents"][-1]["consent"]["source"] == "web form"


def test_an_erasure_says_what_went(target: str) -> None:
    """A table for people, a document for programs; then nothing is left to tell."""
    known(target, "carla")
    told = typed("erase", "carla", "--yes", "--target", target)
    assert told.returncode == 0, told.stderr
    assert "carla, erased at" in told.stdout
    assert "append-only file" in told.stderr
    assert report("erase", "carla", "--yes", "--target", target)["decisions"] == 0
    left = json.loads(typed("export", "carla", "--target", target).stdout)
    assert left["identities"][0]["erased_at"]
    assert (left["consents"], left["decisions"], left["items"]) == ([], [], 1)


def test_a_file_that_is_loaded_again_brings_nobody_back(target: str, tmp_path: Path) -> None:
    """Each line about somebody who was erased is refused by its number; the lines about others go in."""
    typed("erase", "dora", "--yes", "--target", target)
    consents, events = tmp_path / "consents.jsonl", tmp_path / "events.jsonl"
    agreed = {"level": "full", "given_at": "2020-05-01T12:00:00Z", "source": "web form"}
    opened = {
        "event_id": "e",
        "type": "ticket.opened",
        "occurred_at": "2020-06-01T09:00:00Z",
        "attributes": {"ticket": "t", "topic": "network"},
    }
    for file, row in ((consents, agreed), (events, opened)):
        file.write_text("".join(json.dumps({"customer_id": name, **row}) + "\n" for name in ("emil", "dora")))
        ran = typed(file.stem, "load", file, "--target", target)
        assert ran.returncode == 1
        assert f"{file}:2: " in ran.stderr
        assert "was erased" in ran.stderr
        assert f"1 stored, 0 {'older' if file is consents else 'repeated'}, 1 refused" in ran.stdout
    assert json.loads(typed("export", "dora", "--target", target).stdout)["items"] == 1


def test_an_erasure_is_asked_about_first(target: str) -> None:
    """Without --yes the id has to be typed again; where nobody is there to do so, nothing goes."""
    known(target, "bob")
    ran = tact("erase", "bob", "--target", target)
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[-1].startswith("tact: nobody typed the id again")
    assert json.loads(typed("export", "bob", "--target", target).stdout)["decisions"]


def test_a_service_that_is_not_there_is_said_in_one_line(free_port: int) -> None:
    """Neither command pretends that something was told or erased."""
    for words in (("export", "anna"), ("erase", "anna", "--yes")):
        assert "no service answers at" in one_line(typed(*words, "--target", f"127.0.0.1:{free_port}"), 1)
