"""One decision made again: what differs is told in words, what cannot be made again says why, and nothing is shown."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import msgpack, structs

from service.archive.engines import Engines
from service.archive.raw import made_by
from service.archive.replaying import Fate, replayed
from service.archive.shelf import NotArchived, Shelf
from service.core.archived import Part, PartKind
from service.core.engine import Engine
from service.core.plan import Entry, pack
from tests.archive.decided import WHO, decided, forged, shelved, stored

Changes = dict[str, Any]
_ONE_FILE = zlib.compress(msgpack.encode({"a.yaml": b""}))
SECRET = "nobody-may-see-this"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> tuple[Engine, Engines]:
    """Return an engine, and the engines of a shelf that has the same strategy."""
    return shelved(tmp_path_factory.mktemp("shelf"))


def first(entry: Entry, **changes: object) -> Changes:
    """Return the placements with the first candidate of the last one changed."""
    last = entry.placements[-1]
    candidate = structs.replace(last.candidates[0], **changes)
    changed = structs.replace(last, candidates=(candidate, *last.candidates[1:]))
    return {"placements": (*entry.placements[:-1], changed)}


def test_a_decision_is_identical_to_the_byte(shelf: tuple[Engine, Engines]) -> None:
    """From the documents on the shelf alone; its answer has the texts, and only where they may be shown."""
    engine, engines = shelf
    raw = stored(decided(engine))
    found = replayed(raw, engines.of)
    assert (found.fate, found.why, found.decision, found.logged) == (Fate.IDENTICAL, "", None, {})
    shown = replayed(raw, engines.of, show=True)
    assert shown.logged["present.sentiment"] == 0.25
    assert shown.decision is not None
    assert all(answer.text for answer in shown.decision.answers if answer.action)


DIFFERENCES: dict[str, Callable[[Entry], Changes]] = {
    "the net value of candidate 1 of placement hero differs": lambda entry: first(entry, net_value=-123.5),
    "the action of candidate 1 of placement hero differs": lambda entry: first(entry, action=SECRET),
    "the probability of candidate 1 of placement hero differs": lambda entry: first(entry, probability=0.125),
    "the degradation 1 differs": lambda entry: {"degraded": ()},
    "the segment differs": lambda entry: {"segment": SECRET},
}


@pytest.mark.parametrize("says", DIFFERENCES)
def test_what_differs_is_told_in_words(shelf: tuple[Engine, Engines], says: str) -> None:
    """Where it stands in the entry, and with the values only where they may be shown."""
    engine, engines = shelf
    entry = decided(engine)
    raw = forged(entry, **DIFFERENCES[says](entry))
    found, shown = replayed(raw, engines.of), replayed(raw, engines.of, show=True)
    assert (found.fate, found.decision_id) == (Fate.DIFFERENT, entry.decision_id)
    assert found.why == says
    assert SECRET not in found.why
    assert shown.why.startswith(f"{found.why}: logged ")


def test_an_entry_that_makes_no_sense_ends_nothing(shelf: tuple[Engine, Engines]) -> None:
    """Two placements cannot be drawn with one of the dice: that is a difference, and the replay goes on."""
    engine, engines = shelf
    found = replayed(forged(decided(engine), draws=(0.5,)), engines.of)
    assert (found.fate, found.why) == (Fate.DIFFERENT, "it cannot be made again (IndexError)")


def test_every_value_that_is_known_counts(shelf: tuple[Engine, Engines]) -> None:
    """A value that decides nothing is compared as well: it is part of the entry, and what is made again has it too."""
    engine, engines = shelf
    entry = decided(engine)
    place = engine.strategy.schema.index["past.worst_score"]
    values = (*entry.values[:place], 3, *entry.values[place + 1 :])
    assert replayed(forged(entry, values=values), engines.of).fate is Fate.IDENTICAL
    packed = bytearray(pack(entry))
    packed[packed.index(b"web")] ^= 1
    assert replayed(stored(entry, e=bytes(packed)), engines.of).fate is Fate.DIFFERENT


BESIDE = {
    "another one": {"i": b"somebody else"},
    "others than those that were chosen": {"a": b"new-phone"},
    "none of the candidates": {"c": b"\x92\x63\x63"},
}


@pytest.mark.parametrize("says", BESIDE)
def test_what_stands_beside_an_entry_must_agree_with_it(shelf: tuple[Engine, Engines], says: str) -> None:
    """The customer, the actions that were said and what was chosen."""
    engine, engines = shelf
    found = replayed(stored(decided(engine), **BESIDE[says]), engines.of)
    assert found.fate is Fate.DIFFERENT
    assert says in found.why


def test_an_entry_of_another_bucket_is_told(shelf: tuple[Engine, Engines]) -> None:
    """A decision belongs where its id says."""
    engine, engines = shelf
    raw = stored(decided(engine))
    found = replayed(structs.replace(raw, bucket=(raw.bucket + 1) % 1024), engines.of)
    assert "another bucket" in found.why


@pytest.mark.parametrize("instead", [{"e": b""}, {"e": b"\xc1"}, {"c": b"\xc1"}, {"b": b"\x01"}], ids=str)
def test_what_cannot_be_read_is_unreadable(shelf: tuple[Engine, Engines], instead: dict[str, bytes]) -> None:
    """And ends nothing: it is one fate of many."""
    engine, engines = shelf
    found = replayed(stored(decided(engine), **instead), engines.of)
    assert found.fate is Fate.UNREADABLE
    assert WHO not in found.why


def test_what_was_logged_before_what_it_was_made_from_was_is_not_repeatable(shelf: tuple[Engine, Engines]) -> None:
    """It says so, and is no difference."""
    engine, engines = shelf
    found = replayed(forged(decided(engine), seen=None), engines.of)
    assert found.fate is Fate.NOT_REPEATABLE
    assert "before it was logged" in found.why


@pytest.mark.parametrize("changes", [{"strategy": "other@0123456789ab"}, {"model": "other@0123456789ab"}], ids=str)
def test_without_its_strategy_and_model_nothing_is_made_again(
    shelf: tuple[Engine, Engines], changes: dict[str, str]
) -> None:
    """It says which is missing."""
    engine, engines = shelf
    found = replayed(forged(decided(engine), **changes), engines.of)
    assert found.fate is Fate.NOT_ARCHIVED
    assert found.why == f"{next(iter(changes))} other@0123456789ab is not archived"


@pytest.mark.parametrize("version", ["../../etc@0123456789ab", "", "small", "small@0123456789ab/../x"])
def test_what_is_no_version_is_looked_up_nowhere(shelf: tuple[Engine, Engines], version: str, tmp_path: Path) -> None:
    """An entry cannot name a folder outside of the archive."""
    engine, engines = shelf
    found = replayed(forged(decided(engine), strategy=version), engines.of)
    assert found.fate is Fate.NOT_ARCHIVED
    assert found.why.endswith("is not archived")
    with pytest.raises(NotArchived, match="bears no version"):
        Shelf(tmp_path).lay(Part(PartKind.STRATEGY, version, _ONE_FILE))


def test_a_changed_strategy_of_the_archive_is_not_used(tmp_path: Path) -> None:
    """Documents give their version: one letter, and they are another strategy, or none."""
    engine, engines = shelved(tmp_path)
    place = tmp_path / "shelf" / "strategies" / engine.strategy.version
    text = (place / "caps.yaml").read_text(encoding="utf-8")
    (place / "caps.yaml").write_text(text.replace("at_most: 2", "at_most: 3"), encoding="utf-8")
    raw = stored(decided(engine))
    with pytest.raises(NotArchived, match="was changed"):
        engines.of(made_by(raw.fields[b"e"]))
    (place / "caps.yaml").write_text("caps: {", encoding="utf-8")
    found = replayed(raw, Engines(tmp_path / "shelf").of)
    assert found.fate is Fate.NOT_ARCHIVED
    assert "not as this program reads it" in found.why
