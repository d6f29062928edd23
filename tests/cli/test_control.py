"""What a service says of itself, and the kill switch, by commands to a service of its own process."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.cli.program import run
from tests.cli.commands import Process, until
from tests.service.editions import BAD, write_edition

Said = Callable[..., str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of the first edition."""
    return write_edition(tmp_path_factory.mktemp("editions") / "served", 0)


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Process]:
    """Return a service that takes changes in on SIGHUP alone, on a free port with a store of its own."""
    store = f"embedded:{folder.with_name('store')}"
    with Process("serve", "--store", store, "--strategy", folder, "--port", "0", "--no-reload", "--json") as process:
        yield process.serving()


@pytest.fixture
def tact(served: Process, capsys: pytest.CaptureFixture[str]) -> Said:
    """Return a command that talks to the service: what it says where it ends well, its one line where it fails."""

    def command(*words: object, code: int = 0) -> str:
        assert run([*map(str, words), "--target", served.target]) == code
        seen = capsys.readouterr()
        if code == 0:
            return seen.out
        (line,) = seen.err.splitlines()
        return line

    return command


def test_an_action_is_switched_off_and_on(tact: Said) -> None:
    """Off, it is listed with who and why and said no more; on, it is said again; twice changes nothing."""
    asked = ("decide", "anna", "--channel", "web", "--placement", "greeting")
    assert "[greet]" in tact(*asked)
    assert tact("switch", "off", "greet", "--because", "A typing error.", "--by", "olga") == "greet is off\n"
    assert tact("switch", "off", "greet", "--because", "Again.") == "greet is off, as it was\n"
    said = json.loads(tact(*asked, "--json"))["answers"][0]
    assert "suppression" in said
    assert "switched_off" in {reason["code"] for reason in said["reasons"]}
    assert " by olga: A typing error." in tact("switch", "list")
    assert " by olga: A typing error." in tact("status")
    assert tact("switch", "on", "greet") == "greet is on\noff       nothing\n"
    assert tact("switch", "on", "greet").startswith("greet is on, as it was\n")
    assert "[greet]" in tact(*asked)


def test_an_action_of_another_version_is_switched_off_and_on(tact: Said) -> None:
    """The strategy in force does not have it: that has to be meant."""
    off = ("switch", "off", "gone-since", "--because", "A wrong price.")
    assert "--even-unknown" in tact(*off, code=1)
    assert tact(*off, "--even-unknown") == "gone-since is off\n"
    assert tact("switch", "on", "gone-since") == "gone-since is on\noff       nothing\n"


def test_everything_is_switched_off_and_on(tact: Said) -> None:
    """With everything off nothing is said; what is off by itself stays so when everything is on again."""
    asked = ("decide", "bo", "--channel", "web", "--placement", "greeting", "--json")
    tact("switch", "off", "apology", "--because", "A typing error.")
    assert tact("switch", "off", "--all", "--because", "An incident.") == "everything is off\n"
    assert "suppression" in json.loads(tact(*asked))["answers"][0]
    listed = json.loads(tact("switch", "list", "--json"))["switched_off"]
    assert [(one["action_id"], one["because"]) for one in listed] == [
        ("", "An incident."),
        ("apology", "A typing error."),
    ]
    assert tact("switch", "on", "--all").startswith("everything is on\noff       apology since ")
    assert "greeting" in json.loads(tact(*asked))["answers"][0]
    tact("switch", "on", "apology")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("switch", "off", "gret", "--because", "x"), 1, "did you mean `greet`?"),
        (("switch", "off", "greet"), 2, "--because is missing"),
        (("switch", "off", "greet", "--all", "--because", "x"), 2, "name one action, or write --all"),
        (("switch", "off", "--because", "x"), 2, "name one action, or write --all"),
        (("switch", "on"), 2, "name one action, or write --all"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else None,
)
def test_a_switch_that_is_wrong_is_one_line(tact: Said, words: tuple[str, ...], code: int, said: str) -> None:
    """It says what would be right, and switches nothing."""
    assert said in tact(*words, code=code)
    assert json.loads(tact("switch", "list", "--json"))["switched_off"] == []


def test_a_refused_version_is_named_until_it_is_mended(tact: Said, served: Process, folder: Path) -> None:
    """On SIGHUP a bad version is refused, in status and health, with file and line; a good one is taken in."""
    before = json.loads(tact("status", "--json"))
    assert ("refused" not in before, before["model"], before["store"]) == (True, "", "there")
    BAD["a-word"](folder)
    os.kill(served.pid, signal.SIGHUP)
    assert until(lambda: "refused   a changed strategy" in tact("status"))
    assert "guardrails.yaml:" in tact("status")
    health = json.loads(tact("health", "--json"))
    assert (health["status"], health["refused"]["what"], health["refused"]["stands"]) == ("serving", "strategy", True)
    assert "did you mean `forbid`?" in str(health["refused"]["problems"])
    after = json.loads(tact("status", "--json"))
    assert (after["strategy"], after["since"]) == (before["strategy"], before["since"])
    assert {"name": "strategy.refused", "label": "strategy", "value": 1} in after["counts"]
    write_edition(folder, 1)
    os.kill(served.pid, signal.SIGHUP)
    assert until(lambda: json.loads(tact("status", "--json"))["strategy"] != before["strategy"])
    assert "(over:" in tact("status")
    assert json.loads(tact("health", "--json"))["refused"] is None
