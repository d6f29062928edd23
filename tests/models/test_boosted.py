"""Claims about boosted trees: they are walked exactly as scikit-learn walks them, and only if they can be walked."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from models import boosted
from models.boosted import boosted_of
from models.packed import ArtifactRefused
from training.folding import EXACT, Estimators, both, folded, largest_difference, probes
from training.forests import Calibrated

Arrays = dict[str, npt.NDArray[Any]]
COLUMNS = 5
NAMES = ("a", "b", "c", "d", "e?")


def forest(seed: int, trees: int = 12, leaves: int = 9) -> Any:  # noqa: ANN401
    """Fit a small forest on random rows of whole and real numbers, so that thresholds are hit."""
    rng = np.random.default_rng(seed)
    x = np.column_stack((rng.normal(size=(400, 3)), rng.integers(0, 4, 400), rng.integers(0, 2, 400)))
    y = (rng.random(400) < 1.0 / (1.0 + np.exp(-x[:, 0] - x[:, 3] + 1.5))).astype(float)
    with threadpool_limits(1):
        return HistGradientBoostingClassifier(
            max_iter=trees, max_leaf_nodes=leaves, min_samples_leaf=5, early_stopping=False, random_state=0
        ).fit(x, y)


def line(seed: int) -> Any:  # noqa: ANN401
    """Fit a line on random rows."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(100, COLUMNS)), rng.permutation(100) < 40
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y.astype(float))


def world(seed: int) -> tuple[Estimators, Estimators]:
    """Return estimators of which some are lines, some forests, and two share one forest."""
    shared, own = forest(seed), forest(seed + 1, trees=3)
    said = {"a": Calibrated.by(shared, 1.2, -0.3), "b": line(seed), "c": Calibrated.by(own, 0.7, 0.1)}
    return said, {"a": Calibrated.by(shared, 0.9, 0.4), "b": line(seed + 1)}


def arrays(seed: int = 1) -> Arrays:
    """Return the arrays of a small world as they are written."""
    made = folded(*world(seed), COLUMNS, "").boosted
    assert made is not None
    return {name: array.copy() for name, array in made.arrays().items()}


def test_the_example_in_the_documentation_runs() -> None:
    """What the class documentation shows is what happens."""
    result = doctest.testmod(boosted)
    assert result.attempted >= 3
    assert result.failed == 0


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_trees_say_what_scikit_learn_says(seed: int) -> None:
    """At random rows, at the edges and at the very thresholds no probability differs by more than 1e-12."""
    said, silent = world(seed)
    rows = probes(both(said, silent), NAMES, seed)
    with threadpool_limits(1):
        assert largest_difference(folded(said, silent, COLUMNS, ""), said, silent, rows) <= EXACT


def test_thresholds_are_among_what_is_compared() -> None:
    """A tree that goes the other way at its threshold, and only there, is found out."""
    said, silent = world(2)
    made = folded(said, silent, COLUMNS, "")
    rows = probes(both(said, silent), NAMES, 2)
    assert made.boosted is not None
    inner = made.boosted.child > np.arange(len(made.boosted.child))
    made.boosted.threshold[inner] = np.nextafter(made.boosted.threshold[inner], -np.inf)
    with threadpool_limits(1):
        assert largest_difference(made, said, silent, rows) > EXACT


def test_many_rows_are_scored_as_one_row_is() -> None:
    """What training and evaluation compute for a table is what serving computes a decision, in any order of actions."""
    model = folded(*world(3), COLUMNS, "")
    x = np.random.default_rng(3).normal(size=(40, COLUMNS))
    said, silent = model.chances(x)
    scorer = model.aligned(("c", "new", "a", "b"), [0.1, 0.2, 0.3, 0.4])
    for row in range(len(x)):
        one, none = scorer.score(x[row])
        np.testing.assert_allclose(one, [said[row, 2], 0.2, said[row, 0], said[row, 1]], atol=1e-14)
        np.testing.assert_allclose(none, [np.nan, np.nan, silent[row, 0], silent[row, 1]], atol=1e-14)


def test_only_forests_that_are_needed_are_walked() -> None:
    """A strategy that lacks an action does not pay for its forest, and without any forest nothing is walked."""
    model = folded(*world(4), COLUMNS, "")
    trees = model.aligned(("c",), [0.1]).trees
    assert trees is not None
    roots, first = trees[4:6]
    assert (len(first), len(roots)) == (1, 3)
    assert model.aligned(("b", "new"), [0.1, 0.1]).trees is None


def a_cycle(found: Arrays) -> None:
    """Let a node lead back to the root."""
    found["child"][found["child"][0]] = 0


def two_parents(found: Arrays) -> None:
    """Let two nodes lead to the same one."""
    inner = np.flatnonzero(found["child"] > np.arange(len(found["child"])))
    found["child"][inner[1]] = found["child"][inner[2]]


def change(name: str, place: int, value: float) -> Callable[[Arrays], None]:
    """Return what writes one number."""

    def write(found: Arrays) -> None:
        found[name][place] = value

    return write


SPOILT: dict[str, tuple[Callable[[Arrays], object], str]] = {
    "a cycle": (a_cycle, "before it or beyond"),
    "two parents": (two_parents, "two places"),
    "a child beyond the end": (change("child", 0, 1 << 40), "before it or beyond"),
    "a negative child": (change("child", 0, -1), "before it or beyond"),
    "a column that is not there": (change("feature", 0, COLUMNS), "not one of the 5"),
    "a threshold that is no number": (change("threshold", 0, np.nan), "no finite number"),
    "a value that is no number": (change("value", 0, np.inf), "no finite number"),
    "a scale that is no number": (change("scale", 0, np.nan), "no finite number"),
    "a root that is not there": (change("roots", 0, 1 << 40), "not there"),
    "a model that is not there": (change("rows", 0, 6), "not there"),
    "a forest that is not there": (change("forest", 0, 2), "not there"),
    "two forests for one model": (change("rows", 0, 2), "two to one"),
    "forests that overlap": (change("first", 1, 0), "ascending"),
    "no first forest": (change("first", 0, 1), "ascending"),
    "an array too few": (lambda found: found.pop("scale"), "exactly"),
    "another kind of number": (lambda found: found.update(child=found["child"].astype(np.int32)), "list of int64"),
    "lists of different length": (lambda found: found.update(value=found["value"][1:]), "equally long"),
    "no trees": (lambda found: found.update(roots=found["roots"][:0]), "left out"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_what_cannot_be_walked_is_refused(what: str) -> None:
    """Arrays with a fault anywhere are refused in words; those without it are taken."""
    spoil, words = SPOILT[what]
    found = arrays()
    assert boosted_of(found, 3, COLUMNS).depth > 2
    spoil(found)
    with pytest.raises(ArtifactRefused, match=words):
        boosted_of(found, 3, COLUMNS)


def test_a_tree_without_end_is_refused() -> None:
    """A tree that is deeper than anything training grows is refused, however few nodes it has."""
    depth = boosted.DEEPEST + 1
    child = np.arange(2 * depth + 1)
    child[0:-1:2] = np.arange(1, 2 * depth, 2)
    child[2::2] = [n + 1 if n + 1 < 2 * depth else n for n in range(2, 2 * depth + 1, 2)]
    leaf = child == np.arange(len(child))
    found: Arrays = {
        "feature": np.zeros(len(child), dtype=np.int64),
        "child": child.astype(np.int64),
        "roots": np.zeros(1, dtype=np.int64),
        "first": np.zeros(1, dtype=np.int64),
        "rows": np.zeros(1, dtype=np.int64),
        "forest": np.zeros(1, dtype=np.int64),
        "threshold": np.where(leaf, 1e100, 0.0),
        "value": np.zeros(len(child)),
        "scale": np.ones(1),
    }
    with pytest.raises(ArtifactRefused, match="deeper than 64"):
        boosted_of(found, 1, 1)


def stumps(trees: int, levels: int) -> Arrays:
    """Return a forest of so many trees, each a chain of so many levels."""
    size = 2 * levels + 1
    nodes = np.arange(size)
    child = np.where((nodes % 2 == 0) & (nodes < size - 1), nodes + 1, nodes)
    leaf = child == nodes
    one = np.zeros(size, np.int64), np.where(leaf, 1e100, 0.5), child, np.where(leaf, 1.0, 0.0)
    whole = {"rows": np.array([0]), "forest": np.array([0]), "scale": np.array([1.0])}
    return boosted.joined([[one] * trees]) | whole


@pytest.mark.parametrize(("trees", "levels", "walked"), [(10_000, 10, True), (10_001, 10, False), (2_000, 60, False)])
def test_trees_that_would_hold_a_decision_up_are_refused(trees: int, levels: int, walked: bool) -> None:
    """Trees times levels are bounded, for every decision walks them all; the message says what to do."""
    if walked:
        assert boosted_of(stumps(trees, levels), 1, 1).sums_of(np.array([[0.0]])).tolist() == [[trees]]
    else:
        with pytest.raises(ArtifactRefused, match=rf"{trees:,} trees of {levels} levels .* fewer --forests"):
            boosted_of(stumps(trees, levels), 1, 1)
