"""A registry lists what it holds, says which is the champion, and never leads out of itself."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from models.artifacts import ArtifactRefused, read_artifact
from models.registry import NotInRegistry, champion_of, crown, found, listed, note, promoting, promotions
from tests.models.forgery import artifact, restamp


def registered(root: Path, seed: int = 0, name: str = "small") -> Path:
    """Put an honest version into a registry, where its version says."""
    folder = artifact(root / ".draft")
    restamp(folder, seed=seed, name=name)
    version = read_artifact(folder).manifest.version
    place = root / name / version.rpartition("@")[2]
    place.parent.mkdir(exist_ok=True, parents=True)
    return folder.rename(place)


def test_versions_are_listed_with_the_champion_and_what_is_refused(tmp_path: Path) -> None:
    """Each version is told once; a damaged one, and one in another's folder, with the reason."""
    first, second = registered(tmp_path), registered(tmp_path, seed=1)
    other = registered(tmp_path, name="other")
    crown(second)
    (other / "folded.npz").write_bytes(b"damaged")
    moved = tmp_path / "small" / ("0" * 12)
    os.rename(registered(tmp_path, seed=2), moved)
    (tmp_path / "small" / "not-a-version").mkdir()
    told = {one.version: (one.champion, one.refused) for one in listed(tmp_path)}
    assert told.keys() == {f"small@{first.name}", f"small@{second.name}", f"other@{other.name}", f"small@{moved.name}"}
    assert told[f"small@{first.name}"] == (False, "")
    assert told[f"small@{second.name}"] == (True, "")
    assert "folded.npz was changed" in told[f"other@{other.name}"][1]
    assert "a folder bears its own version" in told[f"small@{moved.name}"][1]
    assert [one.version for one in listed(tmp_path, "other")] == [f"other@{other.name}"]


def test_a_version_is_found_by_every_way_to_name_it(tmp_path: Path) -> None:
    """Name and digits, digits alone where one model has them, and the champion."""
    place = registered(tmp_path)
    for named in (f"small@{place.name}", f"small/{place.name}", place.name):
        assert found(tmp_path, named) == place
    with pytest.raises(NotInRegistry, match="is not there"):
        found(tmp_path, "small@champion")
    crown(place)
    assert found(tmp_path, "small@champion") == place
    assert found(tmp_path, "champion") == place


@pytest.mark.parametrize(
    "named",
    ["../../etc", "../small/0123456789ab", "/etc/passwd", "small@..", "small@../x", "small@0123456789AB", "", "@", "."],
)
def test_no_name_leads_out_of_a_registry(tmp_path: Path, named: str) -> None:
    """What is no name of a version is refused, whatever lies there."""
    registered(tmp_path)
    with pytest.raises(NotInRegistry, match="names no version"):
        found(tmp_path, named)


@pytest.mark.parametrize("leads", ["../other/0123456789ab", "/etc", "..", "0123456789abc"])
def test_a_champion_that_leads_elsewhere_is_refused(tmp_path: Path, leads: str) -> None:
    """The link may only name a version beside it."""
    home = registered(tmp_path).parent
    (home / "champion").symlink_to(leads)
    with pytest.raises(ArtifactRefused, match="promote one"):
        champion_of(home)


def test_a_champion_that_is_no_link_is_refused(tmp_path: Path) -> None:
    """A folder of that name is not taken for a version."""
    home = registered(tmp_path).parent
    (home / "champion").mkdir()
    with pytest.raises(ArtifactRefused, match="is not a link"):
        champion_of(home)


def test_whoever_looks_always_finds_a_champion(tmp_path: Path) -> None:
    """The champion changes in one step: a reader sees the one or the other, never none."""
    first, second = registered(tmp_path), registered(tmp_path, seed=1)
    crown(first)
    seen: set[Path | None] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            seen.add(champion_of(first.parent))

    looking = threading.Thread(target=look)
    looking.start()
    for place in (second, first) * 200:
        crown(place)
    ended.set()
    looking.join()
    assert seen <= {first, second}
    assert [path.name for path in first.parent.iterdir() if path.name.startswith(".champion")] == []


def test_promotions_are_told_in_their_order_and_survive_a_cut_off_line(tmp_path: Path) -> None:
    """What was written down is told again; half a line, as a crash leaves it, is passed over."""
    assert promotions(tmp_path) == ()
    for number in range(3):
        note(tmp_path, {"version": f"small@{number}", "passed": bool(number)})
    with (tmp_path / "promotions.jsonl").open("a") as file:
        file.write('{"version": "sma')
    assert [one["version"] for one in promotions(tmp_path)] == ["small@0", "small@1", "small@2"]


def test_promotions_of_one_model_wait_for_each_other(tmp_path: Path) -> None:
    """Of two who promote at once, the second looks at the champion that the first has made."""
    order: list[str] = []
    inside, go = threading.Event(), threading.Event()

    def first() -> None:
        with promoting(tmp_path):
            inside.set()
            go.wait(10)
            order.append("first")

    def second() -> None:
        inside.wait(10)
        go.set()
        with promoting(tmp_path):
            order.append("second")

    both = [threading.Thread(target=work) for work in (first, second)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert order == ["first", "second"]


def test_a_line_of_promotions_holds_no_number_that_json_has_not(tmp_path: Path) -> None:
    """NaN is refused when written, so whatever reads the file can."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        note(tmp_path, {"value": float("nan")})
    assert json.dumps(promotions(tmp_path)) == "[]"
