"""Every command says what it does and how it is typed, and errors are one line."""

import os
import pty
import re
import subprocess
from pathlib import Path

import pytest

from service.cli.program import run
from tests.cli.commands import ROOT, TACT, clean, one_line, tact, typed
from tests.strategies import write_strategy

COMMANDS = [
    (), ("demo",), ("serve",), ("decide",), ("context",), ("context", "show"), ("context", "consent"), ("events",),
    ("events", "load"), ("consents",), ("consents", "load"), ("validate",), ("explain",), ("outcome",), ("train",),
    ("verify",),
    ("check",), ("health",), ("supply",), ("supply", "report"), ("supply", "demand"), ("identity",),
    ("identity", "link"), ("identity", "unlink"), ("identity", "show"), ("status",), ("switch",), ("switch", "off"),
    ("switch", "on"), ("switch", "list"), ("models",), ("models", "list"), ("models", "card"), ("models", "history"),
    ("models", "shadow"),
    ("log",), ("log", "export"), ("log", "import"), ("promote",), ("drift",), ("recalibrate",), ("evaluate",),
    ("tend",), ("simulate",), ("watch",),
    ("triggers",), ("triggers", "subscribe"), ("triggers", "dead"), ("triggers", "release"),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_help_has_an_example(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--help` of each command ends with 0 and shows a command to copy, on one line however narrow the terminal."""
    monkeypatch.setenv("COLUMNS", "50")
    assert run([*command, "--help"]) == 0
    helped = capsys.readouterr()
    assert helped.err == ""
    *_, heading, example = helped.out.splitlines()
    assert heading == "  Example:"
    assert example.split()[: len(command) + 1] == ["tact", *command]


def test_nothing_said_is_asking_for_help() -> None:
    """`tact` alone shows the commands."""
    assert "  demo " in tact().stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("decid",), "Did you mean 'decide'?"),
        (("decide", "anna"), "--channel"),
        (("decide", "anna", "--channel", "web", "--placement", "hero", "--context", "x"), "field=value"),
        (("context", "show", "anna", "--as-of", "yesterday"), "2026-06-01T09:00:00Z"),
        (("context", "consent", "anna", "--contact", "email"), "--level"),
        (("serve", "--port", "http"), "--port: 'http'; write a whole number"),
        (("serve", "--scheduling", "fast"), "write one of batch, normal"),
        (("serve", "--store", "mysql://db"), "embedded:FOLDER"),
        (("demo", "--customers", "1"), "--customers"),
        (("check",), "STRATEGY"),
    ],
)
def test_a_command_that_is_wrong_ends_with_2_and_one_line(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A typing error costs one line on stderr that says what would be right, and nothing on stdout."""
    assert run(words) == 2
    seen = capsys.readouterr()
    assert said in seen.err
    assert seen.err.count("\n") == 1
    assert seen.out == ""


def test_nobody_there_is_answered_with_what_to_start(free_port: int) -> None:
    """A call to a port where nothing serves names the port and the command that starts a service."""
    said = one_line(
        tact("decide", "anna", "--channel", "web", "--placement", "hero", "--target", f"127.0.0.1:{free_port}"), 1
    )
    assert f"127.0.0.1:{free_port}" in said
    assert "tact serve" in said


def test_colour_is_for_terminals_only(tmp_path: Path) -> None:
    """A table holds no escape codes in a pipe, and does on a terminal."""
    command = [*TACT, "check", str(write_strategy(tmp_path / "small"))]
    piped = subprocess.run(command, cwd=ROOT, env=clean({"TERM": "xterm-256color"}), capture_output=True, check=True)
    assert b"\x1b" not in piped.stdout
    ours, theirs = pty.openpty()
    env = clean({"TERM": "xterm-256color"})
    env.pop("NO_COLOR", None)
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                part = os.read(ours, 65_536)
            except OSError:  # how Linux says that nobody holds the other end any more
                break
            if not part:
                break
            seen += part
        assert process.wait() == 0
    os.close(ours)
    assert b"\x1b[1m" in seen


def test_the_page_about_the_command_line_knows_every_command() -> None:
    """docs/cli.md names each command, and each setting of the service."""
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert [command for command in COMMANDS if f"tact {' '.join(command)}".strip() not in page] == []
    settings = re.findall(r"^  (--[a-z-]+)", typed("serve", "--help").stdout, re.MULTILINE)
    assert len(settings) > 8
    assert [setting for setting in settings if f"`{setting}`" not in page and setting != "--json"] == []
