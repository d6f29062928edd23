"""Poisoned artefacts: what an attacker, a broken disk or another version of the software may leave in a folder.

Each poison changes the folder of an honest artefact, given where a canary would leave its mark if anything were run.
Most are stamped anew, as a forger who knows the format would: digests and version agree.
"""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from models.artifacts import BOOSTED, CARD, ESTIMATORS, FOLDED, MANIFEST, VALUES
from tests.models.forgery import edit, npz, restamp, zipped

Poison = Callable[[Path, Path], object]

REPLACED = {"gone": None, "empty": b"", "half": b"half", "a text": b"no artefact"}


class Canary:
    """Makes a folder when it is unpickled."""

    def __init__(self, song: Path) -> None:
        self.song = song

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.song),)


def stamped(name: str, content: Callable[[Path, Path], bytes]) -> Poison:
    """Replace a file, given the folder and the canary's mark."""

    def poison(folder: Path, song: Path) -> None:
        (folder / name).write_bytes(content(folder, song))
        restamp(folder)

    return poison


def pickled(name: str) -> Poison:
    """Put a pickle in place of a file."""
    return stamped(name, lambda _, song: pickle.dumps(Canary(song)))


def unstamped(name: str, content: bytes | None) -> Poison:
    """Replace or remove a file and leave the manifest as it is."""

    def poison(folder: Path, song: Path) -> None:
        del song
        (folder / name).unlink()
        if content is not None:
            (folder / name).write_bytes(content)

    return poison


def arrays(**changed: Callable[[Any], Any]) -> Poison:
    """Change arrays that serve."""

    def content(folder: Path, song: Path) -> bytes:
        del song
        with np.load(folder / FOLDED) as found:
            held = dict(found)
        return npz(**{**held, **{name: change(held[name]) for name, change in changed.items()}})

    return stamped(FOLDED, content)


def facts(**changed: object) -> Poison:
    """Change facts of the manifest and stamp it."""

    def poison(folder: Path, song: Path) -> None:
        del song
        restamp(folder, **changed)

    return poison


def then(first: Poison, second: Poison) -> Poison:
    """Do one after the other."""

    def poison(folder: Path, song: Path) -> None:
        first(folder, song)
        second(folder, song)

    return poison


def smuggled(folder: Path, song: Path) -> bytes:
    """Return arrays of which one is a pickle."""
    with np.load(folder / FOLDED) as found:
        held = dict(found)
    held["bias"] = np.full(held["bias"].shape, Canary(song), dtype=object)
    return npz(**held)


def reduced(folder: Path, song: Path) -> bytes:
    """Return estimators in whose table of contents a function to call stands, as skops would write it."""
    with zipfile.ZipFile(folder / ESTIMATORS) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    contents = json.loads(members["schema.json"])
    call = {"__class__": "mkdir", "__module__": "os", "__loader__": "FunctionNode", "__id__": 7, "content": "mkdir"}
    ran = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "__id__": 8, "content": [call]}
    told = {"__class__": "Canary", "__module__": "posix", "__loader__": "ReduceNode", "__id__": 9}
    told |= {"reduce": {"constructor": call, "args": ran}, "args": str(song), "content": ran}
    contents["content"] = {**contents.get("content", {}), "canary": told} if isinstance(contents, dict) else told
    return zipped(members | {"schema.json": json.dumps(contents).encode()})


def bomb(size: int) -> bytes:
    """Return a zip file a thousand times smaller than what it holds."""
    stream = BytesIO()
    with (
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("a.npy", "w") as file,
    ):
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    return stream.getvalue()


def linked(name: str) -> Poison:
    """Let a file be a link to one outside."""

    def poison(folder: Path, song: Path) -> None:
        outside = song.with_name("outside")
        (folder / name).rename(outside)
        (folder / name).symlink_to(outside)

    return poison


def trees(**changed: Any) -> Poison:  # noqa: ANN401 - arrays of any kind
    """Add a forest of one tree to the first model: a root, and two leaves."""
    whole = np.int64
    honest = {
        "feature": np.zeros(3, whole), "child": np.array([1, 1, 2], whole), "roots": np.zeros(1, whole),
        "first": np.zeros(1, whole), "rows": np.zeros(1, whole), "forest": np.zeros(1, whole),
        "threshold": np.array([0.5, 1e100, 1e100]), "value": np.array([0.0, -1.0, 1.0]), "scale": np.ones(1),
    }  # fmt: skip

    def poison(folder: Path, song: Path) -> None:
        del song
        (folder / BOOSTED).write_bytes(npz(**{**honest, **changed}))
        restamp(folder, format=2)

    return poison


def worth(number: float) -> Poison:
    """Add models of worth of all actions, of one number."""

    def poison(folder: Path, song: Path) -> None:
        del song
        manifest = json.loads((folder / MANIFEST).read_bytes())
        count, columns = len(manifest["actions"]), len(manifest["columns"])
        held = {name: np.full(count, number) for name in ("bias", "least", "most")}
        (folder / VALUES).write_bytes(npz(weights=np.full((count, columns), number), **held))
        restamp(folder, format=2, valued=manifest["actions"])

    return poison


def deep_tree() -> dict[str, Any]:
    """Return the arrays of a tree of a thousand levels."""
    inner = np.arange(1000)
    child = np.empty(2001, np.int64)
    child[0::2][:1000] = 2 * inner + 1
    child[1::2] = 2 * inner + 1
    child[2000] = 2000
    leaf = child == np.arange(2001)
    return {
        "child": child, "feature": np.zeros(2001, np.int64), "value": np.zeros(2001),
        "threshold": np.where(leaf, 1e100, 0.5),
    }  # fmt: skip


def whole(*numbers: int) -> Any:  # noqa: ANN401 - an array
    """Return whole numbers."""
    return np.array(numbers, np.int64)


POISONS: dict[str, tuple[Poison, str]] = {
    "estimators are a pickle": (pickled(ESTIMATORS), "not a zip file"),
    "arrays are a pickle": (pickled(FOLDED), "not a zip file"),
    "trees are a pickle": (
        then(trees(), pickled(BOOSTED)), "not a zip file",
    ),
    "the card is a pickle": (
        then(facts(format=2), pickled(CARD)), "no text",
    ),
    "the manifest is a pickle": (
        lambda folder, song: (folder / MANIFEST).write_bytes(pickle.dumps(Canary(song))), "cannot be read",
    ),
    "an array is a pickle": (stamped(FOLDED, smuggled), "fit its header|unreadable header"),
    "estimators call a function": (stamped(ESTIMATORS, reduced), "types that training does not write"),
    "arrays are a zip bomb": (stamped(FOLDED, lambda *_: bomb(200 << 20)), "unpacks to more than 128 MB"),
    "estimators are a zip bomb": (stamped(ESTIMATORS, lambda *_: bomb(300 << 20)), "unpacks to more than 256 MB"),
    "trees are a zip bomb": (
        then(trees(), stamped(BOOSTED, lambda *_: bomb(200 << 20))),
        "unpacks to more than 128 MB",
    ),
    "a weight is no number": (arrays(weights=lambda held: np.where(held == held.flat[0], np.nan, held)), "not finite"),
    "a bias is infinite": (arrays(bias=lambda held: held + np.inf), "not finite"),
    "a weight is beyond bounds": (arrays(weights=lambda held: held + 1e200), "not finite"),
    "weights of single precision": (arrays(weights=lambda held: held.astype(np.float32)), "fit its header"),
    "weights of other columns": (arrays(weights=lambda held: held[:, :-1]), "another shape"),
    "a model worth no number": (worth(np.nan), "not finite"),
    "a bias that the estimators do not have": (arrays(bias=lambda held: held + 0.5), "differ by"),
    "trees that the estimators do not have": (trees(), "differ by|does not hold what training writes"),
    "a tree with a cycle": (trees(child=whole(0, 0, 2)), "cannot be walked"),
    "a tree that goes back": (trees(child=whole(1, 0, 2)), "cannot be walked"),
    "a tree whose child is nowhere": (trees(child=whole(7, 1, 2)), "cannot be walked"),
    "a tree whose child is below zero": (trees(child=whole(-1, 1, 2)), "cannot be walked"),
    "a tree that looks at no column": (trees(feature=whole(10**6, 0, 0)), "cannot be walked"),
    "a tree that looks before the first column": (trees(feature=whole(-1, 0, 0)), "cannot be walked"),
    "a tree without end": (trees(**deep_tree()), "cannot be walked"),
    "a threshold that is no number": (trees(threshold=np.array([np.nan, 1e100, 1e100])), "not finite"),
    "a leaf that is infinite": (trees(value=np.array([0.0, np.inf, 1.0])), "not finite"),
    "a forest of no model": (trees(rows=whole(10**6)), "cannot be walked"),
    "a forest that is not there": (trees(forest=whole(-1)), "cannot be walked"),
    "other features": (facts(feature_hash="0" * 64), "made for other features"),
    "fewer columns": (facts(columns=["past.visits"]), "another shape"),
    "another format": (facts(format=3), "cannot be read"),
    "no format": (facts(format="2"), "cannot be read"),
    "things that format 1 cannot say": (facts(format=1, worth={"spend": 1.0}), "only format 2|exactly"),
    "another scikit-learn": (facts(libraries={"scikit-learn": "0.24.2"}), "made with scikit-learn 0.24.2"),
    "no libraries": (facts(libraries={}), "made with no scikit-learn"),
    "a name that climbs": (facts(name="../../etc/passwd"), "bears a name"),
    "a parent that climbs": (facts(format=2, kind="recalibrated", of="../../etc@0123456789ab"), "must say `of`"),
    "a file of another name": (
        lambda folder, _: edit(folder, files=dict.fromkeys((FOLDED, ESTIMATORS, "../x"), "0" * 64)), "must list",
    ),
    "members that climb": (stamped(FOLDED, lambda *_: zipped({"../../weights.npy": b""})), "names that are not plain"),
    "estimators that climb": (stamped(ESTIMATORS, lambda *_: zipped({"/etc/x": b""})), "names that are not plain"),
    "arrays that are a link": (linked(FOLDED), "not a plain file"),
    "a manifest that is a link": (linked(MANIFEST), "not a plain file"),
    "a version that was edited": (lambda folder, _: edit(folder, seed=7), "was changed"),
    "a field that is not known": (facts(surprise=1), "cannot be read"),
    "nested without end": (
        lambda folder, _: (folder / MANIFEST).write_bytes(b"[" * 100_000), "cannot be read",
    ),
    **{
        f"{name} is {how}": (unstamped(name, content), "cannot be read|was changed")
        for name in (MANIFEST, FOLDED, ESTIMATORS)
        for how, content in REPLACED.items()
    },
}  # fmt: skip
"""What is wrong, how it is done, and what the refusal says. None of them may serve, be verified or be promoted."""

ONLY_VERIFYING = frozenset(
    name for name, (_, words) in POISONS.items() if words.startswith(("differ by", "types that", "made with"))
)
"""Those that only verifying can see: arrays that serve are sound, and what they are compared with is not."""


def flip(folder: Path, name: str, bit: int) -> None:
    """Flip one bit of a file, counted from its first."""
    content = bytearray((folder / name).read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    (folder / name).write_bytes(content)
