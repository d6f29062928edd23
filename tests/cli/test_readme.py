"""The README says what is true: its commands run, its documents stand where it says, its links lead somewhere."""

from __future__ import annotations

import json
import re
import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import ROOT, Process, report, tact

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
COMMANDS = [line[2:] for kind, text in BLOCKS if kind == "console" for line in text.splitlines()]
TACT = [command for command in COMMANDS if command.startswith("tact ")]


@pytest.fixture(scope="module")
def taken() -> Iterator[int]:
    """Return a port on which somebody else listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield int(other.getsockname()[1])


@pytest.fixture(scope="module")
def demo(taken: int) -> Iterator[Process]:
    """Return the demo, as `make demo` runs it, when it serves; the port that it was to have is taken."""
    with Process("demo", "--customers", "150", "--port", taken, "--web-port", "0", "--json") as process:
        yield process.serving()


@pytest.fixture
def target(demo: Process) -> str:
    """Return where the demo serves."""
    return demo.target


@pytest.mark.parametrize("command", TACT)
def test_every_command_runs_as_written(command: str, target: str) -> None:
    """What the README tells a newcomer to type works beside a running demo."""
    ran = tact(*shlex.split(command)[1:], env={"TACT_TARGET": target})
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()
    if "--json" in command:
        json.loads(ran.stdout)


def test_an_open_ticket_is_helped_in_the_readmes_own_example(target: str) -> None:
    """The command about Anna answers with her ticket, and names the rule that the README shows."""
    command = next(command for command in TACT if "anna-ticket" in command and "decide" in command)
    said = json.loads(tact(*shlex.split(command)[1:], "--json", env={"TACT_TARGET": target}).stdout)
    answer = said["answers"][0]
    assert answer["offer"]["sells"] is False
    assert answer["reasons"][0]["rule_id"] == "no-selling-while-a-ticket-is-open"


def test_the_demo_serves_until_ctrl_c(demo: Process, taken: int) -> None:
    """Without --once it goes on serving, on another port where its own is taken, and ends with 0."""
    assert demo.port != taken
    assert report("health", "--target", demo.target)["status"] == "serving"
    assert demo.told(signal.SIGINT) == 0
    assert f"port {taken} is taken" in demo.errors()


def test_the_make_targets_exist() -> None:
    """Every `make` command of the README is a target."""
    named = set(re.findall(r"(?:\$ |`)make (\w+)", README))
    assert {"demo", "test"} <= named
    for name in named:
        ran = subprocess.run(["make", "-n", name, "DATA=x"], cwd=ROOT, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr


def test_the_documents_shown_are_those_of_the_demo() -> None:
    """The rule and the case in the README stand in the demo strategy and in its cases, word for word."""
    demo = ROOT / "strategies" / "demo"
    shown = [text for kind, text in BLOCKS if kind == "yaml"]
    assert [text.partition("\n")[0] for text in shown] == ["guardrails:", "cases:"]
    for text, file in zip(shown, ("rules.yaml", "cases/trouble.yaml"), strict=True):
        documents = (demo / file).read_text(encoding="utf-8")
        section, _, rule = text.partition("\n")
        assert section in documents
        assert rule in documents


def test_the_links_lead_somewhere() -> None:
    """Every relative link names a file or folder of the project."""
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / Path(link)).exists()] == []
