"""Claims about artefacts: an honest one is read exactly, and nothing else is read at all."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import shutil
import struct
import sys
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.artifacts import ESTIMATORS, FOLDED, MANIFEST, ArtifactRefused, load_folded, read_artifact, unpack
from models.context import ContextSchema
from models.features import FeatureSpace
from tests.models.forgery import ACTIONS, SPACE, arrays, artifact, edit, npz, restamp, zipped

Poison = Callable[[Path], object]


@pytest.fixture
def honest(tmp_path: Path) -> Path:
    """Return the folder of an honest artefact."""
    return artifact(tmp_path / "small")


def test_an_honest_artefact_is_read_as_it_was_made(honest: Path) -> None:
    """Serving gets the very arrays that were written, the actions' names and the version."""
    folded = load_folded(honest, SPACE)
    for name, array in arrays().items():
        assert (getattr(folded, name) == array).all()
    assert folded.actions == ACTIONS
    assert folded.version == read_artifact(honest).manifest.version
    assert folded.version.startswith("small@")


def test_a_model_for_other_features_is_refused(honest: Path) -> None:
    """A model made for other features than the strategy's must not score: the message names both."""
    other = FeatureSpace.of(ContextSchema.of((), ()), ())
    with pytest.raises(ArtifactRefused, match=r"made for other features \(past.visits\)"):
        load_folded(honest, other)


def folded_of(content: bytes) -> Poison:
    """Put other arrays in, with everything stamped anew."""

    def poison(folder: Path) -> None:
        (folder / FOLDED).write_bytes(content)
        restamp(folder)

    return poison


def changed(**members: object) -> Poison:
    """Put these arrays in place of the honest ones; None takes one out."""
    kept = {name: array for name, array in (arrays() | members).items() if array is not None}
    return folded_of(npz(**kept))


def estimators_of(content: bytes) -> Poison:
    """Put other estimators in, with everything stamped anew."""

    def poison(folder: Path) -> None:
        (folder / ESTIMATORS).write_bytes(content)
        restamp(folder)

    return poison


def stamped(**facts: object) -> Poison:
    """Change facts in the manifest, with everything stamped anew."""
    return lambda folder: restamp(folder, **facts)


def edited(**facts: object) -> Poison:
    """Change facts in the manifest and nothing else."""
    return lambda folder: edit(folder, **facts)


def linked(folder: Path) -> None:
    """Put a link to a file elsewhere in place of the arrays."""
    shutil.move(folder / FOLDED, folder.parent / "elsewhere")
    (folder / FOLDED).symlink_to(folder.parent / "elsewhere")


def piped(folder: Path) -> None:
    """Put a pipe, which never ends, in place of the arrays."""
    (folder / FOLDED).unlink()
    os.mkfifo(folder / FOLDED)


def overgrown(folder: Path) -> None:
    """Let the manifest grow beyond what a manifest may be, without taking room on the disk."""
    os.truncate(folder / MANIFEST, 1 << 33)


def header(text: str) -> bytes:
    """Return an array's file with this header and no data."""
    packed = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(packed).to_bytes(2, "little") + packed


def with_header(text: str) -> Poison:
    """Give the bias another header."""
    with zipfile.ZipFile(io.BytesIO(npz(**arrays()))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return folded_of(zipped(members | {"bias.npy": header(text)}))


def bomb(folder: Path) -> None:
    """Put in arrays that are small on disk and unpack to 160 MB."""
    folded_of(zipped({f"{name}.npy": bytes(1 << 25) for name in arrays()}, zipfile.ZIP_DEFLATED))(folder)


def estimators_bomb(folder: Path) -> None:
    """Put in estimators that are small on disk and unpack to 257 MB."""
    estimators_of(zipped({"a": bytes(257 << 20)}, zipfile.ZIP_DEFLATED))(folder)


HUGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
DEEP = "(" * 9000 + ")" * 9000


def deep(levels: int) -> Poison:
    """Nest the figures in a manifest so deeply that it can be read and not be written."""

    def poison(folder: Path) -> None:
        text = (folder / MANIFEST).read_text()
        manifest = json.loads(text) | {"metrics": "HERE"}
        (folder / MANIFEST).write_text(json.dumps(manifest).replace('"HERE"', '{"a":' * levels + "1" + "}" * levels))

    return poison


def rows(**facts: object) -> Poison:
    """Change what a manifest says of its rows, with everything stamped anew."""
    return lambda folder: restamp(folder, rows=json.loads((folder / MANIFEST).read_text())["rows"] | facts)


def directory(count: int) -> bytes:
    """Return a zip file that is nothing but a directory of so many empty members."""
    names = [str(number).encode() for number in range(count)]
    listed = b"".join(b"PK\x01\x02" + bytes(24) + struct.pack("<H", len(name)) + bytes(16) + name for name in names)
    return listed + b"PK\x05\x06" + bytes(4) + struct.pack("<HHLLH", 65535, 65535, len(listed), 0, 0)


def many(count: int, claimed: int | None = None) -> bytes:
    """Return a zip file of so many empty members, which claims to have another number of them."""
    packed = zipped({f"{number}.npy": b"" for number in range(count)})
    end = packed.rfind(b"PK\x05\x06")
    told = count if claimed is None else claimed
    return packed[: end + 8] + struct.pack("<HH", told, told) + packed[end + 12 :]


POISONS: dict[str, tuple[Poison, str]] = {
    "no manifest": (lambda f: (f / MANIFEST).unlink(), "manifest.json cannot be read .No such file"),
    "no arrays": (lambda f: (f / FOLDED).unlink(), "folded.npz cannot be read"),
    "no estimators": (lambda f: (f / ESTIMATORS).unlink(), "model.skops cannot be read"),
    "an empty manifest": (lambda f: (f / MANIFEST).write_text(""), "manifest.json cannot be read"),
    "a manifest that is a list": (lambda f: (f / MANIFEST).write_text("[]"), "Expected `object`"),
    "a manifest nested without end": (lambda f: (f / MANIFEST).write_text("[" * 99999), "cannot be read"),
    **{
        f"figures nested {levels} deep": (deep(levels), "cannot be read|changed")
        for levels in (985, 993, 995, 997, 5000)
    },
    "a count below nothing": (rows(decisions=-1), "decisions of its rows"),
    "more events than can be counted": (rows(events=1 << 53), "events of its rows"),
    "a first moment that is none": (rows(first="yesterday"), "first of its rows"),
    "a last moment that never was": (rows(last="2026-02-31T00:00:00Z"), "last of its rows"),
    "a moment without a zone": (rows(last="2026-02-01T00:00:00"), "last of its rows"),
    "17 arrays": (folded_of(many(17)), "holds more than 16 members"),
    "17 arrays that claim to be 5": (folded_of(many(17, 5)), "holds more than 16 members"),
    "70,000 arrays": (folded_of(many_more := directory(70_000)), "more than 16 members"),
    "a zip without an end": (folded_of(many_more[:-30]), "not a zip file"),
    "a manifest of 8 GB": (overgrown, "larger than 4 MB"),
    "a manifest with a key too many": (edited(run="rm"), "unknown field `run`"),
    "a manifest with better figures": (edited(metrics={"auc": 1.0}), "was changed"),
    "another version": (edited(version="small@000000000000"), "was changed"),
    "another format": (edited(format=3), "format"),
    "a name that climbs": (stamped(name="../../etc"), "bears a name"),
    "a name that is a path": (stamped(name="/etc"), "bears a name"),
    "a file list that climbs": (edited(files={"../../etc/passwd": "0" * 64, FOLDED: "0" * 64}), "exactly"),
    "a file list without estimators": (edited(files={FOLDED: "0" * 64}), "exactly"),
    "an action twice": (stamped(actions=["phone", "phone"]), "an action twice"),
    "a baseline of nobody": (stamped(baselines=["nobody"]), "baseline of an action"),
    "a baseline of another": (stamped(baselines=["fibre"]), "other baselines"),
    "more actions than arrays": (stamped(actions=["a", "b", "phone"]), "another shape"),
    "more columns than arrays": (stamped(columns=["a", "b", "c"]), "another shape"),
    "other features": (stamped(feature_hash="0" * 64), "made for other features"),
    "arrays changed in place": (lambda f: (f / FOLDED).write_bytes(b"PK"), "folded.npz was changed"),
    "arrays that are a link": (linked, "not a plain file"),
    "arrays that are a pipe": (piped, "not a plain file"),
    "arrays that are no zip": (folded_of(b"not a zip"), "not a zip file"),
    "arrays that are a bomb": (bomb, "unpacks to more than 128 MB"),
    "an array too few": (changed(bias=None), "must hold exactly"),
    "an array too many": (changed(more=np.zeros(1)), "must hold exactly"),
    "weights of another shape": (changed(weights=np.zeros((2, 3))), "another shape"),
    "weights turned": (changed(weights=np.asfortranarray(np.zeros((2, 2)))), "another shape|fit its header"),
    "weights of single precision": (changed(weights=np.zeros((2, 2), np.float32)), "fit its header"),
    "weights that are texts": (changed(weights=np.array([["a", "b"], ["c", "d"]])), "fit its header"),
    "no number among weights": (changed(weights=np.array([[np.nan, 0.0], [0.0, 0.0]])), "not finite"),
    "an infinite bias": (changed(bias=np.array([0.0, np.inf])), "not finite"),
    "a baseline without bound": (changed(baseline_weights=np.full((2, 2), 1e300)), "not finite"),
    "an array larger than memory": (with_header(HUGE), "fit its header"),
    "an array with a nested header": (with_header(DEEP), "unreadable header"),
    "an array with a header that computes": (with_header("__import__('os').getpid()"), "unreadable header"),
    "estimators that are no zip": (estimators_of(pickle.dumps("estimators")), "not a zip file"),
    "estimators that are a bomb": (estimators_bomb, "256 MB"),
    "estimators that climb": (estimators_of(zipped({"../../x.npy": b""})), "names that are not plain"),
    "estimators with hidden members": (estimators_of(zipped({"..": b""})), "names that are not plain"),
    "estimators packed oddly": (estimators_of(zipped({"a": b""}, zipfile.ZIP_LZMA)), "stored nor deflated"),
}


@pytest.mark.parametrize("what", POISONS)
def test_a_poisoned_artefact_is_refused_in_words(honest: Path, what: str) -> None:
    """Whatever is wrong with an artefact, serving refuses it with the reason and the folder."""
    poison, words = POISONS[what]
    poison(honest)
    with pytest.raises(ArtifactRefused, match=words) as refused:
        load_folded(honest, SPACE)
    assert str(honest) in str(refused.value)


@pytest.mark.parametrize("name", [FOLDED, ESTIMATORS])
def test_too_many_members_are_refused_before_each_is_made_an_object(name: str) -> None:
    """A file of 200,000 empty members costs no more memory than its bytes: the directory is not read for that."""
    packed = directory(200_000)
    tracemalloc.start()
    try:
        with pytest.raises(ArtifactRefused, match="members"):
            unpack(packed, name)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


def test_all_files_are_of_one_version_while_another_becomes_champion(honest: Path, tmp_path: Path) -> None:
    """The link to the champion is followed once: changed between two files, it does not mix two versions."""
    other = artifact(tmp_path / "other")
    restamp(other, seed=7)
    link = tmp_path / "champion"
    link.symlink_to(honest.name)

    def swapped(event: str, arguments: tuple[object, ...]) -> None:
        if active and event == "open" and str(arguments[0]).endswith(FOLDED):
            link.unlink(missing_ok=True)
            link.symlink_to(other.name)

    active = [True]
    sys.addaudithook(swapped)
    read = read_artifact(link)
    active.clear()
    assert link.resolve() == other
    assert read.manifest == read_artifact(honest).manifest


class Canary:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_code_in_arrays_is_never_run(honest: Path, tmp_path: Path) -> None:
    """A pickle smuggled in as an array is refused by its header; what it would have done does not happen."""
    song = tmp_path / "the-canary-sang"
    smuggled = np.empty(2, dtype=object)
    smuggled[:] = Canary(song)
    changed(bias=smuggled)(honest)
    with pytest.raises(ArtifactRefused, match=r"fit its header|unreadable header"):
        load_folded(honest, SPACE)
    assert not song.exists()
    with np.load(honest / FOLDED, allow_pickle=True) as opened:
        _ = opened["bias"]
    assert song.exists(), "the canary cannot sing, so its silence proved nothing"


@pytest.mark.parametrize("name", [MANIFEST, FOLDED, ESTIMATORS])
def test_any_flipped_bit_is_noticed(honest: Path, name: str) -> None:
    """One bit flipped anywhere in any file of an artefact, and it is refused, or the manifest reads the same."""
    content = (honest / name).read_bytes()
    before = read_artifact(honest)
    for place in random.Random(7).sample(range(8 * len(content)), min(400, 8 * len(content))):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        (honest / name).write_bytes(flipped)
        try:
            after = read_artifact(honest)
        except ArtifactRefused:
            continue
        assert name == MANIFEST
        assert after.manifest == before.manifest  # a blank that became another blank


@pytest.mark.parametrize("name", [FOLDED, ESTIMATORS])
def test_whatever_bytes_a_forger_stamps_the_answer_is_a_refusal(honest: Path, name: str) -> None:
    """Files damaged at random and stamped anew are read, if their numbers are sound, or refused; nothing else."""
    content = (honest / name).read_bytes()
    rng = random.Random(11)
    refused = 0
    for _ in range(400):
        damaged = bytearray(content[: rng.choice([len(content), rng.randrange(len(content))])])
        for place in [rng.randrange(len(damaged)) for _ in range(rng.randint(1, 4)) if damaged]:
            damaged[place] = rng.randrange(256)
        (honest / name).write_bytes(damaged)
        restamp(honest)
        try:
            assert np.isfinite(load_folded(honest, SPACE).weights).all()
        except ArtifactRefused:
            refused += 1
    assert refused > 200
