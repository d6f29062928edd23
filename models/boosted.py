"""Gradient-boosted trees as arrays: walked in double precision by numpy, exactly as scikit-learn walks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .packed import BOOSTED, STEEPEST, ArtifactRefused

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

DEEPEST = 64
MOST_NODES = 1 << 21
MOST_VISITS = 100_000
"""How many nodes a decision may visit, trees times the depth of the deepest: 1 ms (60,000 were measured at 0.44 ms)."""

WHOLE = ("feature", "child", "roots", "first", "rows", "forest")
REAL = ("threshold", "value", "scale")
ARRAYS = WHOLE + REAL
"""The members of `boosted.npz`: whole numbers are int64, real ones float64, and all have one dimension."""

_BATCH = 4_000_000  # positions held at once when many rows are walked


@dataclass(frozen=True, slots=True, eq=False)
class Boosted:
    """Forests, and which models add which forest to the logit of their linear part.

    Nodes: at node i a row x goes to `child[i]` where `x[feature[i]] <= threshold[i]`, else to `child[i] + 1`. A leaf is
    its own child, has the threshold 1e100, and adds `value[i]`. `roots` (trees,) are the nodes where trees begin,
    `first` (forests,) the places in `roots` where forests begin, ascending from 0. No tree is deeper than `depth`.

    Models: model `rows[j]` adds `scale[j]` times the sum of `forest[j]`. A row below the number of actions is that
    action's model; one above it, less the number of actions, the action's baseline. One forest may serve many models.

    >>> import numpy as np
    >>> whole = lambda *numbers: np.array(numbers, dtype=np.int64)
    >>> one = boosted_of({
    ...     "feature": whole(1, 0, 0), "child": whole(1, 1, 2), "roots": whole(0), "first": whole(0),
    ...     "rows": whole(0), "forest": whole(0), "threshold": np.array([0.5, 1e100, 1e100]),
    ...     "value": np.array([0.0, -1.0, 2.0]), "scale": np.array([1.0])}, actions=1, columns=2)
    >>> one.sums_of(np.array([[9.0, 0.5], [9.0, 0.6]])).tolist()
    [[-1.0], [2.0]]
    """

    feature: Whole
    threshold: Floats
    child: Whole
    value: Floats
    roots: Whole
    first: Whole
    rows: Whole
    forest: Whole
    scale: Floats
    depth: int

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what `boosted_of` takes."""
        return {name: getattr(self, name) for name in ARRAYS}

    @property
    def walked_by(self) -> tuple[npt.NDArray[Any], ...]:
        """The arrays as models/kernel.py takes them."""
        nodes = (self.feature, self.threshold, self.child, self.value)
        return (*nodes, self.roots, self.first, self.rows, self.forest, self.scale)

    def sums_of(self, x: Floats) -> Floats:
        """Return the sum of every forest for many rows: (rows, columns) to (rows, forests)."""
        size = max(1, _BATCH // max(1, len(self.roots)))
        parts = [self._walked(x[begin : begin + size]) for begin in range(0, len(x), size)]
        return np.concatenate(parts) if parts else np.empty((0, len(self.first)))

    def _walked(self, x: Floats) -> Floats:
        at = np.broadcast_to(self.roots, (len(x), len(self.roots)))
        for _ in range(self.depth):
            beyond = np.take_along_axis(x, self.feature[at], axis=1) > self.threshold[at]
            at = self.child[at] + beyond
        return np.asarray(np.add.reduceat(self.value[at], self.first, axis=1))

    def placed(self, places: Mapping[int, int], factor: float) -> Boosted | None:
        """Return only what the models in `places` need, at their new rows, scaled by a factor; None where none does."""
        kept = [j for j, row in enumerate(self.rows.tolist()) if row in places]
        if not kept:
            return None
        used = sorted({int(self.forest[j]) for j in kept})
        ends = [*self.first[1:].tolist(), len(self.roots)]
        trees = [self.roots[self.first[f] : ends[f]] for f in used]
        firsts = np.cumsum([0, *(len(t) for t in trees[:-1])])
        return Boosted(
            self.feature,
            self.threshold,
            self.child,
            self.value,
            np.concatenate(trees),
            firsts.astype(np.int64),
            np.array([places[int(self.rows[j])] for j in kept], dtype=np.int64),
            np.array([used.index(int(self.forest[j])) for j in kept], dtype=np.int64),
            self.scale[kept] * factor,
            self.depth,
        )


def boosted_of(arrays: Mapping[str, npt.NDArray[Any]], actions: int, columns: int) -> Boosted:
    """Return the forests that arrays from anywhere describe; raise `ArtifactRefused` for what cannot be walked."""
    _refuse_other_kinds(arrays)
    _refuse_bad_nodes(arrays, columns)
    _refuse_bad_models(arrays, actions)
    depth, trees = _depth(arrays["child"], arrays["roots"]), len(arrays["roots"])
    if trees * max(1, depth) > MOST_VISITS:
        raise _refused(f"{trees:,} trees of {depth} levels are too many for a decision; train with fewer --forests")
    return Boosted(**{name: arrays[name] for name in ARRAYS}, depth=depth)


def _refused(what: str) -> ArtifactRefused:
    return ArtifactRefused(f"{BOOSTED} cannot be walked: {what}")


def _refuse_other_kinds(arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    if arrays.keys() != set(ARRAYS):
        raise _refused(f"forests are described by exactly {', '.join(ARRAYS)}")
    for name in ARRAYS:
        wanted = np.int64 if name in WHOLE else np.float64
        if arrays[name].dtype != wanted or arrays[name].ndim != 1:
            raise _refused(f"{name} must be a list of {np.dtype(wanted).name}")
    for names in (("feature", "child", "threshold", "value"), ("rows", "forest", "scale")):
        if len({len(arrays[name]) for name in names}) > 1:
            raise _refused(f"{', '.join(names)} must be equally long")
    if not 0 < len(arrays["child"]) <= MOST_NODES:
        raise _refused(f"forests have 1 to {MOST_NODES:,} nodes, not {len(arrays['child']):,}")
    if not len(arrays["roots"]) or not len(arrays["first"]) or not len(arrays["rows"]):
        raise _refused("forests without trees, or that no model uses, are left out")


def _refuse_bad_nodes(arrays: Mapping[str, npt.NDArray[Any]], columns: int) -> None:
    child, nodes = arrays["child"], len(arrays["child"])
    leaf = child == np.arange(nodes)
    if not ((child > np.arange(nodes)) | leaf).all() or not (child[~leaf] < nodes - 1).all():
        raise _refused("a node's child stands before it or beyond the end")
    if not ((arrays["feature"] >= 0) & (arrays["feature"] < columns)).all():
        raise _refused(f"a node looks at a column that is not one of the {columns}")
    if not (np.abs(arrays["threshold"]) <= STEEPEST).all() or not (arrays["threshold"][leaf] == STEEPEST).all():
        raise _refused("a threshold is no finite number, or a leaf has another than 1e100")
    if not (np.abs(arrays["value"]) <= STEEPEST).all():
        raise _refused("a leaf's value is no finite number")
    roots = arrays["roots"]
    if not ((roots >= 0) & (roots < nodes)).all():
        raise _refused("a tree begins at a node that is not there")
    parents = np.bincount(np.concatenate((child[~leaf], child[~leaf] + 1, roots)), minlength=nodes)
    if not (parents == 1).all():
        raise _refused("a node belongs to no tree, or to two places of one")


def _refuse_bad_models(arrays: Mapping[str, npt.NDArray[Any]], actions: int) -> None:
    first, trees = arrays["first"], len(arrays["roots"])
    if first[0] != 0 or not (np.diff(first) > 0).all() or first[-1] >= trees:
        raise _refused("forests must begin at ascending trees, the first at the first")
    rows, forest = arrays["rows"], arrays["forest"]
    if not ((rows >= 0) & (rows < 2 * actions)).all() or len(np.unique(rows)) < len(rows):
        raise _refused("a forest is added to a model that is not there, or two to one")
    if not ((forest >= 0) & (forest < len(first))).all():
        raise _refused("a model adds a forest that is not there")
    if not (np.abs(arrays["scale"]) <= STEEPEST).all():
        raise _refused("a scale is no finite number")


def _depth(child: Whole, roots: Whole) -> int:
    at = roots
    for depth in range(DEEPEST + 1):
        inner = at[child[at] > at]
        if not len(inner):
            return depth
        at = np.concatenate((child[inner], child[inner] + 1))
    raise _refused(f"a tree is deeper than {DEEPEST} levels")


def joined(forests: Sequence[Sequence[tuple[Whole, Floats, Whole, Floats]]]) -> dict[str, npt.NDArray[Any]]:
    """Return the node arrays, roots and firsts of forests whose trees are (feature, threshold, child, value).

    Within a tree the root is node 0 and children are counted from there.
    """
    trees = [tree for forest in forests for tree in forest]
    sizes = [len(tree[0]) for tree in trees]
    roots = np.cumsum([0, *sizes[:-1]]).astype(np.int64)
    return {
        "feature": np.concatenate([tree[0] for tree in trees]),
        "threshold": np.concatenate([tree[1] for tree in trees]),
        "child": np.concatenate([tree[2] + root for tree, root in zip(trees, roots.tolist(), strict=True)]),
        "value": np.concatenate([tree[3] for tree in trees]),
        "roots": roots,
        "first": np.cumsum([0, *(len(forest) for forest in forests[:-1])]).astype(np.int64),
    }
