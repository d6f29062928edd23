"""What there is goes in and what is wanted comes out, by commands to a service of its own process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from service.cli.program import run
from tests.cli.commands import ROOT, Process, until

TRUCKS = ROOT / "strategies" / "trucks"
Said = Callable[..., str]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Return a service of the truck rental on a free port with a store of its own."""
    store = tmp_path_factory.mktemp("served") / "store"
    with Process("serve", "--store", f"embedded:{store}", "--strategy", TRUCKS, "--port", "0", "--json") as process:
        yield process.serving()


@pytest.fixture
def tact(served: Process, capsys: pytest.CaptureFixture[str]) -> Said:
    """Return a command that talks to the service: what it says where it ends well, its one line where it fails."""

    def command(*words: object, code: int = 0) -> str:
        assert run([*map(str, words), "--target", served.target]) == code
        seen = capsys.readouterr()
        if code == 0:
            return seen.out
        assert seen.out == ""
        (line,) = seen.err.splitlines()
        return line

    return command


def test_a_report_is_decided_on_and_demand_comes_back(tact: Said) -> None:
    """The commands of the strategy's README, one after the other: report, decide, hear of the demand."""
    said = tact("supply", "report", "truck", "hamburg", 60, "--for", "4h")
    assert said == "truck at hamburg: 60 free, 0 held, 0 accepted since\n"
    tact("context", "consent", "cora", "--level", "personal")
    asked = ("--channel", "web", "--placement", "main", "--context", "present.branch=hamburg", "--strategy", TRUCKS)
    assert "[book-a-truck]" in tact("decide", "cora", *asked)
    told = until(lambda: tact("supply", "demand", "--once"))
    assert isinstance(told, str)
    cursor, _, rest = told.strip().partition("  ")
    assert rest == "truck at hamburg: decision, 1 times, 1 units"
    assert tact("supply", "demand", "--once", "--cursor", cursor) == ""
    assert tact("supply", "demand", "--once", "--item", "van") == ""
    (message,) = (json.loads(line) for line in tact("supply", "demand", "--once", "--json").splitlines())
    assert message["cursor"] == cursor
    after = json.loads(tact("supply", "report", "truck", "hamburg", 60, "--json"))
    assert (after["status"], after["free"], after["held"]) == ("stored", 59, 1)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("report", "truck", "kiel", "5", "--for", "soon"), 2, "such as 4h"),
        (("report", "truck", "kiel", "many"), 2, "'UNITS'"),
        (("report", "truck", "kiel", "9999999999"), 1, "available is out of range"),
        (("report", "truck", "kiel", "5", "--observed-at", "yesterday"), 2, "2026-06-01T09:00:00Z"),
        (("report", "truck", "kiel", "5", "--for", "400d"), 1, "expires_at is more than 366 days away"),
        (("report", "x" * 65, "kiel", "5"), 1, "item has 65 bytes"),
        (("demand", "--cursor", "x"), 1, "cursor is no cursor"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_what_is_wrong_is_said_in_one_line(tact: Said, words: tuple[str, ...], code: int, said: str) -> None:
    """A bad report or cursor ends with one line that says what would be right."""
    assert said in tact("supply", *words, code=code)


def test_an_older_report_is_refused_by_name(tact: Said) -> None:
    """A report that was counted before the one in force is refused with the path of its moment."""
    tact("supply", "report", "truck", "jena", 5)
    older = ("--observed-at", "2026-01-01T00:00:00Z")
    assert "observed_at is before" in tact("supply", "report", "truck", "jena", 6, *older, code=1)
