"""The model to measure with is a model of the real format: the service reads it, and the training vouches for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import world
from benchmarks.model import MOST_LEARNED, trained
from benchmarks.model_fit import learned
from models.artifacts import load_folded, read_manifest
from models.features import FeatureSpace
from models.propensity import Folded
from service.core.loader import load_strategy

ACTIONS = 8  # as in test_run, so that both need one model


@pytest.fixture(scope="module")
def strategy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small strategy."""
    return world.write_strategy(tmp_path_factory.mktemp("model") / "strategy", ACTIONS)


def test_the_model_is_of_the_real_format(strategy: Path) -> None:
    """`training verify` finds that arrays and estimators say the same: trees for what is said, lines for the baselines.

    Every action has both.
    """
    folder = trained(strategy, lambda said: None, trees=True)
    verified = subprocess.run(
        [sys.executable, "-m", "training", "verify", str(folder)], capture_output=True, text=True, check=False
    )
    assert "may serve" in verified.stdout, verified.stderr
    manifest = read_manifest(folder)
    assert len(manifest.actions) == len(manifest.baselines) == ACTIONS
    assert manifest.warnings  # it does not claim to be good


@pytest.mark.parametrize("trees", [False, True], ids=["lines", "trees"])
def test_the_model_tells_actions_and_customers_apart(strategy: Path, trees: bool) -> None:
    """What is measured is no constant: probabilities differ by action and by what is known, and none is extreme."""
    declared = load_strategy(strategy)
    space = FeatureSpace.of(declared.schema, declared.features)
    folded = load_folded(trained(strategy, lambda said: None, trees=trees), space)
    assert (folded.boosted is not None) is trees
    dice = np.random.default_rng(3)
    rows = dice.normal(0.0, 1.0, (40, len(space.columns)))
    said, silent = folded.chances(rows)
    assert said.std(axis=0).min() > 1e-4
    assert np.median(said.std(axis=1)) > 1e-2
    assert not np.isnan(silent).any()
    assert not np.allclose(said, silent, atol=0.01)
    assert 0.01 < np.median(said) < 0.9


def test_the_model_is_made_once(strategy: Path) -> None:
    """The same strategy gives the same folder, and nobody is told of a training that did not happen."""
    said: list[str] = []
    assert trained(strategy, said.append) == trained(strategy, said.append)
    assert said == []


def test_of_very_many_actions_some_are_learned_of_every_kind() -> None:
    """All of a thousand get models; of ten thousand a thousand, the same share of greetings, messages and offers."""
    ids = {count: tuple(id_ for some in world.action_ids(count).values() for id_ in some) for count in (1_000, 10_000)}
    assert learned(ids[1_000]) == ids[1_000]
    few = learned(ids[10_000])
    assert len({*few}) == MOST_LEARNED
    shares = [sum(id_.startswith(kind) for id_ in few) / len(few) for kind in ("greeting", "offer", "message")]
    assert shares == pytest.approx([0.1, 0.75, 0.15])


def test_a_cold_action_costs_what_a_learned_one_costs() -> None:
    """One pass multiplies as many rows whether a tenth of the actions has a model and a baseline or all have."""
    ids = tuple(f"a{number}" for number in range(50))

    def rows_for(actions: tuple[str, ...]) -> tuple[int, ...]:
        weights, bias = np.ones((len(actions), 7)), np.ones(len(actions))
        folded = Folded("m@0", "", actions, weights, bias, weights, bias, np.ones(len(actions), dtype=np.bool_))
        return folded.aligned(ids, np.full(len(ids), 0.1)).weights.shape

    assert rows_for(ids[::10]) == rows_for(ids) == (7, 100)
