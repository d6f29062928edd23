"""`tact explain` and `tact decide --explain`, at a service that knows its callers."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.cli.commands import Process, Report, one_line, report, tact, typed

TOKENS: dict[str, Path] = {}
AT_THE_DESK = ("--channel", "desk", "--placement", "greeting", "--placement", "offer")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Return a service that knows an agent and an auditor by their tokens."""
    folder = tmp_path_factory.mktemp("served")
    roles = {"agent": "desktop", "auditor": "privacy_officer"}
    rows = [
        f"  - {{name: {name}, role: {role}, token_sha256: {sha256(name.encode()).hexdigest()}}}"
        for name, role in roles.items()
    ]
    told = sha256(b"customer").hexdigest()
    rows.append(f"  - {{name: customer, role: desktop, depth: customer, token_sha256: {told}}}")
    (folder / "callers.yaml").write_text("callers:\n" + "\n".join(rows) + "\n")
    for name in (*roles, "customer", "wrong"):
        (folder / name).write_text(f"{name}\n")
    callers = ("--callers", folder / "callers.yaml")
    with Process("serve", "--store", f"embedded:{folder}/store", "--port", "0", "--json", *callers) as process:
        TOKENS["folder"] = folder
        yield process.serving()


def sends(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Have commands send somebody's token from now on."""
    monkeypatch.setenv("TACT_TOKEN_FILE", str(TOKENS["folder"] / name))


@pytest.fixture
def decided(served: Process, monkeypatch: pytest.MonkeyPatch) -> Report:
    """Return what was decided about somebody who may be sold nothing, as an agent is told it."""
    sends(monkeypatch, "agent")
    return report("decide", "erna", *AT_THE_DESK, "--explain", "--target", served.target)


def test_it_is_told_by_who_asks(served: Process, decided: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token in a file says who asks: auditors are told all, agents the rules, others the customer's words."""
    told = {}
    for token in ("agent", "auditor", "customer"):
        sends(monkeypatch, token)
        told[token] = report("explain", decided["decision_id"], "--target", served.target)["explanation"]
    assert [told[token]["depth"] for token in told] == ["agent", "auditor", "customer"]
    assert decided["explanation"]["depth"] == "agent"
    assert told["agent"]["placements"] == decided["explanation"]["placements"]
    assert any(fate["checks"] for fate in told["agent"]["actions"])
    assert not any(fate["checks"] for fate in told["customer"]["actions"])
    sends(monkeypatch, "wrong")
    assert "Nobody is known" in one_line(typed("explain", decided["decision_id"], "--target", served.target), 1)


def test_it_reads_as_people_read(served: Process, decided: Report) -> None:
    """In words it says why each placement shows what it does, and which rule holds an action back by what was seen."""
    shown = typed("explain", decided["decision_id"], "--action", "fibre-upgrade", "--target", served.target).stdout
    assert "You see this because" in shown
    assert "fibre-upgrade: no-selling-while-a-ticket-is-open holds it back: past.open_tickets > 0" in shown
    assert "tv-package" not in shown


def test_no_deeper_than_is_asked_for(served: Process, decided: Report) -> None:
    """`--depth` tells less than one may see, to `decide` as to `explain`."""
    target = ("--depth", "customer", "--target", served.target)
    assert report("explain", decided["decision_id"], *target)["explanation"]["depth"] == "customer"
    again = report("decide", "erna", *AT_THE_DESK, "--explain", *target)
    assert again["explanation"]["depth"] == "customer"


def test_what_is_wrong_is_said_in_one_line(served: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """A depth that is none, an id that is none, a decision that nobody made, and a token that is not there."""
    sends(monkeypatch, "nowhere")
    assert "nowhere cannot be read" in one_line(typed("explain", "0" * 26, "--target", served.target), 2)
    sends(monkeypatch, "agent")
    target = ("--target", served.target)
    assert "customer, agent, auditor" in one_line(typed("explain", "0" * 26, "--depth", "boss", *target), 2)
    assert "customer, agent, auditor" in one_line(typed("decide", "erna", *AT_THE_DESK, "--depth", "boss", *target), 2)
    assert "26 characters" in one_line(typed("explain", "x", *target), 1)
    assert "no decision of this decision_id" in one_line(typed("explain", "0" * 26, *target), 1)


def test_no_service_starts_with_callers_that_it_cannot_read(tmp_path: Path) -> None:
    """A bad file of callers is refused before anything is served, in words."""
    (tmp_path / "callers.yaml").write_text("callers: [{name: desk, token_sha256: short, role: desktop}]\n")
    ran = tact("serve", "--store", f"embedded:{tmp_path}/store", "--port", "0", "--callers", tmp_path / "callers.yaml")
    assert "callers.yaml:1" in one_line(ran, 1)
