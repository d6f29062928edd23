"""Editions of the small strategy: each says its own name in every text and every rule, so that a mixed answer shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.strategies import SECTIONS, edited, write_strategy

_WORDS = re.compile(r"\b((?:text|says): \"?)(?=\S)")
_EDITION = re.compile(r"\be\d+e\b")

CHANGED = {
    "strategy": edited("strategy", "explore: 0.05", "explore: 0.0"),
    "caps": SECTIONS["caps"].replace("at_most: 2", "at_most: 1000").replace("at_most: 1\n", "at_most: 1000\n"),
}
"""So that the same question has the same answer whenever it is asked."""


def write_edition(folder: Path, number: int) -> Path:
    """Write the edition of a number into a folder, file by file, as an editor does."""
    sections = {**SECTIONS, **CHANGED}
    return write_strategy(folder, **{name: _WORDS.sub(rf"\1e{number}e ", text) for name, text in sections.items()})


def editions_in(answer: Any) -> set[str]:  # noqa: ANN401 - any part of an answer
    """Return the names of all editions that an answer speaks with."""
    if isinstance(answer, dict):
        return set().union(*map(editions_in, answer.values()))
    if isinstance(answer, list):
        return set().union(*map(editions_in, answer))
    return set(_EDITION.findall(answer)) if isinstance(answer, str) else set()


def in_place(folder: Path, number: int) -> None:
    """Write over the files of the folder, one after another."""
    write_edition(folder, number)


def by_rename(folder: Path, number: int) -> None:
    """Write every file beside the old one, and rename it over that."""
    draft = write_edition(folder.with_name(f"draft-{number}"), number)
    for path in sorted(draft.iterdir()):
        path.replace(folder / path.name)
    draft.rmdir()


def by_link(link: Path, number: int) -> None:
    """Let the link that is served lead to another folder, in one step."""
    edition = write_edition(link.with_name(f"edition-{number}"), number)
    new = link.with_name(f"link-{number}")
    new.symlink_to(edition, target_is_directory=True)
    new.replace(link)


WAYS: tuple[Callable[[Path, int], None], ...] = (in_place, by_rename)

BAD: dict[str, Callable[[Path], None]] = {
    "half": lambda folder: _rewrite(folder, "actions", lambda text: text[: len(text) // 2]),
    "a-word": lambda folder: _rewrite(folder, "guardrails", lambda text: text.replace("forbid:", "forbit:")),
    "no-yaml": lambda folder: _rewrite(folder, "caps", lambda text: text + "\n- {"),
    "a-type": lambda folder: _rewrite(folder, "eligibility", lambda text: text.replace("> 0", "> 'none'")),
    "gone": lambda folder: (folder / "actions.yaml").unlink(),
}
"""Ways to spoil a good edition."""


def _rewrite(folder: Path, section: str, change: Callable[[str], str]) -> None:
    path = folder / f"{section}.yaml"
    text = path.read_text(encoding="utf-8")
    assert change(text) != text
    path.write_text(change(text), encoding="utf-8")
