"""The words of the strategist's page: each that is asked for is there in both languages, with the same slots."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.live.desktop.test_pages import ASKED, ASKED_OF_A_KIND, SOURCES, slots

SCRIPTS = (SOURCES / "strategist.js", *sorted((SOURCES / "insight").glob("*.js")))


def words(language: str) -> dict[str, Any]:
    """Return the catalogue of the page, with that of all pages below it."""
    return {**_read(f"{language}.json"), **_read(f"strategist.{language}.json")}


def _read(name: str) -> dict[str, Any]:
    catalogue: dict[str, Any] = json.loads((SOURCES / "words" / name).read_text(encoding="utf-8"))
    return catalogue


def asked(pattern: re.Pattern[str]) -> set[str]:
    """Return all keys that the scripts ask for."""
    return {key for script in SCRIPTS for key in pattern.findall(script.read_text(encoding="utf-8"))}


def test_every_word_that_is_asked_for_is_german_too() -> None:
    """Where the key is the English sentence German has it, and where it is a name both have."""
    english, german = words("en"), words("de")
    sentences = asked(ASKED)
    assert len(sentences) > 60
    assert sentences - german.keys() == set()
    kinds = asked(ASKED_OF_A_KIND)
    assert kinds
    for catalogue in (english, german):
        assert [kind for kind in kinds if not any(key.startswith(kind) for key in catalogue)] == []


def test_the_catalogues_fit_each_other() -> None:
    """What English has German has, with the same {slots}; and nothing is kept that nobody asks for."""
    english, german = _read("strategist.en.json"), _read("strategist.de.json")
    assert english.keys() - german.keys() == set()
    assert [key for key in german if slots(german[key]) != slots(english.get(key, key))] == []
    kinds = tuple(asked(ASKED_OF_A_KIND))
    assert list(_unused(german, asked(ASKED), kinds)) == []


def _unused(catalogue: dict[str, Any], sentences: set[str], kinds: tuple[str, ...]) -> Iterator[str]:
    yield from (key for key in catalogue if key not in sentences and not key.startswith(kinds))
