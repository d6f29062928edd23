"""`tact models`: what a registry holds, who is the champion, and what is wrong, in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.artifacts import CARD, MANIFEST
from models.registry import crown, note
from tests.cli.commands import one_line, report, typed
from tests.models.forgery import restamp
from tests.models.test_registry import registered


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a registry of two versions, of which the second is the champion."""
    registered(tmp_path)
    crown(registered(tmp_path, seed=1))
    return tmp_path


def test_the_list_says_which_is_the_champion_and_what_is_refused(root: Path) -> None:
    """All is well: it ends with 0; a damaged version is named with the reason, and it ends with 1."""
    told = report("models", "list", "--models", root)["versions"]
    assert sorted(one["champion"] for one in told) == [False, True]
    assert typed("models", "list", "--models", root).stdout.count("champion") == 1
    damaged = next(root / "small" / one["version"][-12:] for one in told if not one["champion"])
    (damaged / "folded.npz").write_bytes(b"damaged")
    ran = typed("models", "list", "--models", root)
    assert ran.returncode == 1
    assert f"small@{damaged.name}            REFUSED: {damaged}: folded.npz was changed" in ran.stdout


def test_a_card_can_be_read_of_the_champion(root: Path) -> None:
    """A version of format 1, which brings no card, gets one from its manifest."""
    assert typed("models", "card", "small@champion", "--models", root).stdout.startswith("# Model card: small")


def test_a_card_cannot_command_a_terminal(tmp_path: Path) -> None:
    """Control characters that a forger wrote into a card are shown as escapes, and none is printed."""
    folder = registered(tmp_path)
    (folder / CARD).write_bytes("# Card\n\x1b[2J\x9b31m\r\x07\u202eend\n".encode())
    restamp(folder, format=2)
    version = json.loads((folder / MANIFEST).read_bytes())["version"]
    moved = folder.rename(folder.with_name(version[-12:]))
    told = typed("models", "card", f"{moved.parent.name}@{moved.name}", "--models", tmp_path).stdout
    assert told == "# Card\n\\x1b[2J\\x9b31m\\r\\x07\\u202eend\n"


def test_the_history_tells_promotions_refusals_and_ways_back(root: Path) -> None:
    """Each attempt is a line: who, when, against what, and why not."""
    home = root / "small"
    assert "nothing of small was ever promoted" in typed("models", "history", "small", "--models", root).stdout
    failed = [{"name": "value", "passed": False, "words": "worse"}, {"name": "data", "passed": True, "words": "ok"}]
    note(home, {"version": "small@1", "passed": False, "criteria": failed, "at": "2026-11-01", "by": "ada"})
    note(home, {"version": "small@2", "passed": True, "against": "small@1", "at": "2026-11-02", "by": ""})
    note(home, {"version": "small@1", "passed": True, "back_because": "It was calmer.", "at": "2026-11-03", "by": "bo"})
    assert typed("models", "history", "small", "--models", root).stdout.splitlines() == [
        "2026-11-01  small@1 not promoted by ada: value: worse",
        "2026-11-02  small@2 promoted, against small@1",
        "2026-11-03  small@1 back by bo: It was calmer.",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("list", "--models", "no/such/folder"), "no/such/folder cannot be read"),
        (("card", "small@0123456789ab"), "is not there"),
        (("card", "../../etc"), "names no version"),
        (("history", "../small"), "there is no model '../small'"),
    ],
    ids=["no-folder", "no-version", "a-path", "a-path-of-history"],
)
def test_what_is_not_there_is_said_in_one_line(root: Path, words: tuple[str, ...], said: str) -> None:
    """And names lead nowhere outside of the registry."""
    where = () if "--models" in words else ("--models", root)
    assert said in one_line(typed("models", *words, *where), 1)


def test_what_cannot_be_promoted_is_said_before_anything_is_measured(root: Path) -> None:
    """A champion against itself, a version that was never promoted to go back to, a rival that is none."""
    crowned = f"small@{(root / 'small' / 'champion').readlink()}"
    other = next(
        f"small@{path.name}" for path in (root / "small").iterdir() if len(path.name) == 12 and path.name not in crowned
    )
    where = ("--models", root, "--log", root)
    assert "was never promoted" in one_line(typed("promote", other, "--back-because", "why", *where), 1)
    assert "write champion, or priors" in one_line(typed("promote", other, "--against", "nobody", *where), 2)
    assert "made for other features" in one_line(typed("promote", other, *where), 1)
