"""Claims about poisoned artefacts: every one is refused in words, nothing of it is run, and honest ones still serve."""

from __future__ import annotations

import pickle
import random
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from models.artifacts import CARD, ESTIMATORS, FOLDED, MANIFEST, ArtifactRefused, load_folded, read_artifact
from tests.models.forgery import SPACE, artifact, restamp
from tests.models.poisons import ONLY_VERIFYING, POISONS, Canary, flip
from tests.training.test_verification import ARRAYS, SAID, SILENT
from training.packing import packed_arrays, packed_estimators, write_artifact
from training.verification import verify

FLIPS = 200


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an honest artefact of format 2 with real estimators and a card, as training writes it."""
    folder = tmp_path_factory.mktemp("made")
    draft = read_artifact(artifact(folder / "draft")).manifest
    place, _ = write_artifact(
        folder, msgspec.structs.replace(draft, format=2), packed_arrays(ARRAYS), packed_estimators(SAID, SILENT)
    )
    return place


@pytest.fixture
def honest(made: Path, tmp_path: Path) -> Path:
    """Return a copy of the honest artefact."""
    return Path(shutil.copytree(made, tmp_path / "small"))


def test_an_honest_artefact_serves_and_is_verified(honest: Path) -> None:
    """What the poisons are added to is sound: its arrays serve, its estimators agree, its card can be read."""
    assert load_folded(honest, SPACE).version == verify(honest).version
    assert read_artifact(honest).card.startswith("# Model card: small")


@pytest.mark.parametrize("what", POISONS)
def test_a_poison_is_refused_in_words_and_never_run(honest: Path, tmp_path: Path, what: str) -> None:
    """Serving refuses what its arrays show, verifying all of it; the folder is named, and no canary sings."""
    poison, words = POISONS[what]
    song = tmp_path / "the-canary-sang"
    poison(honest, song)
    if what in ONLY_VERIFYING:
        assert load_folded(honest, SPACE).actions
    else:
        with pytest.raises(ArtifactRefused, match=words) as refused:
            load_folded(honest, SPACE)
        assert str(honest) in str(refused.value)
    if words != "made for other features":  # which only who knows the strategy can tell
        with pytest.raises(ArtifactRefused, match=words):
            verify(honest)
    assert not song.exists()


def test_the_canary_can_sing(tmp_path: Path) -> None:
    """Unpickled, it leaves its mark: that it was silent proves something."""
    pickle.loads(pickle.dumps(Canary(tmp_path / "song")))  # noqa: S301 - that is the point
    assert (tmp_path / "song").exists()


def test_whatever_bit_flips_verifying_notices(honest: Path) -> None:
    """200 bits flipped one by one over all files of an artefact: refused, or the manifest reads the same."""
    sizes = {name: 8 * (honest / name).stat().st_size for name in (MANIFEST, FOLDED, ESTIMATORS, CARD)}
    before, dice, refused = read_artifact(honest).manifest, random.Random(5), 0
    for number in range(FLIPS):
        name = list(sizes)[number % len(sizes)]
        content = (honest / name).read_bytes()
        flip(honest, name, dice.randrange(sizes[name]))
        try:
            verify(honest)
            assert name == MANIFEST
            assert read_artifact(honest).manifest == before  # a blank that became another blank
        except ArtifactRefused:
            refused += 1
        (honest / name).write_bytes(content)
    assert refused > FLIPS * 0.9
    assert verify(honest).version == before.version


def test_whatever_bit_flips_and_is_stamped_anew_nothing_is_run_or_falls_over(honest: Path) -> None:
    """200 bits flipped in what serves and stamped as a forger would: refused, or sound numbers that verify as such."""
    dice, refused = random.Random(6), 0
    content = (honest / FOLDED).read_bytes()
    for _ in range(FLIPS):
        flip(honest, FOLDED, dice.randrange(8 * len(content)))
        restamp(honest)
        try:
            assert np.isfinite(load_folded(honest, SPACE).weights).all()
            verify(honest)
        except ArtifactRefused:
            refused += 1
        (honest / FOLDED).write_bytes(content)
    restamp(honest)
    assert refused > FLIPS * 0.5
    assert verify(honest).rows > 256
