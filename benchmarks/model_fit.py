"""Make a model of the real format for any number of actions in seconds: `python -m benchmarks.model_fit`.

What `tact train` spends its time on is choosing: learners, strengths, pools, calibration, proof on held-out rows. To
measure the serving of a model none of that matters, only its form. So here all actions are learned at once. The world
draws what each of them would have come to for every customer; one logistic regression is fitted on all of it, and one
Newton step from there, with the same Hessian for all, gives each action weights of its own. With `--trees`, what is
said is scored by as many forests as `tact train` lets serve, of the size that it chooses, each calibrated for each
action. Estimators, arrays and manifest are written, folded and compared by the functions that `tact train` uses.

Of more than `MOST_LEARNED` actions so many have models, evenly over the list, and the others are as cold as any action
that hardly anybody was told: an artefact holds 256 MB of estimators, which are some 4,500 actions with baselines.
Serving multiplies rows of zeros for the cold ones, so a decision costs the same, and takes their declared propensity.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.progress import Progress
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from benchmarks.model import MOST_LEARNED
from models.artifacts import BOOSTED, Manifest, Parity
from training.fit import LIBRARIES
from training.fitting import Blind
from training.folding import Estimators, both, folded, largest_difference, probes
from training.forests import Calibrated
from training.learning.learn import FORESTS
from training.learning.learners import Showing, Trees
from training.learning.pools import Pool
from training.learning.source import Read, Source, read
from training.packing import packed_arrays, packed_estimators, packed_part, write_artifact
from training.strategy import Declared, read_strategy

Floats = npt.NDArray[np.float64]

SEED = 7
COLD = "left cold: an artefact has no room for the estimators of so many actions"
STRENGTH = 0.1
BASE_SAID, BASE_SILENT = -1.2, -2.7
SHAPE = (50, 8, 0.1, 40)  # trees, leaves, rate, rows of a leaf: what `tact train` tries on as few rows


def fit(strategy: Path, source: Source, out: Path, *, trees: bool) -> Path:
    """Make a model and return its folder."""
    with threadpool_limits(1), config_context(skip_parameter_validation=True), Progress(disable=True) as bars:
        declared = read_strategy(strategy)
        found = read(source, declared, bars)
        x, rng = found.decisions.x, np.random.default_rng(SEED)
        actions = learned(declared.actions)
        tastes = rng.normal(0.0, 0.6, len(actions))
        silent = _lines(x, actions, tastes, BASE_SILENT, rng)
        lines = _lines(x, actions, tastes, BASE_SAID, rng)
        said = _forests(x, actions, tastes, rng) if trees else lines
        return _written(declared, found, said, silent, out)


def learned(actions: Sequence[str]) -> tuple[str, ...]:
    """Return the actions that get models: all, or of too many `MOST_LEARNED`, evenly over the list."""
    most = min(MOST_LEARNED, len(actions))
    return tuple(actions[place * len(actions) // most] for place in range(most))


def _outcomes(x: Floats, taste: Floats, base: float, rng: np.random.Generator) -> Floats:
    """Draw what came of it (rows, actions): some columns pull all actions, and each action has its taste."""
    columns = rng.choice(x.shape[1], 8, replace=False)
    scale = x[:, columns].std(axis=0)
    pull = (x[:, columns] - x[:, columns].mean(axis=0)) @ (0.4 / np.where(scale > 0, scale, 1.0))
    chances = 1 / (1 + np.exp(-(base + pull[:, None] + taste[None, :])))
    return np.asarray(rng.random(chances.shape) < chances, dtype=np.float64)


def _lines(
    x: Floats, actions: Sequence[str], tastes: Floats, base: float, rng: np.random.Generator
) -> dict[str, Pipeline]:
    happened = _outcomes(x, tastes, base, rng)
    anyone = happened[np.arange(len(x)), rng.integers(0, len(actions), len(x))]
    shared = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=1000)).fit(x, anyone)
    scaler, logistic = shared[0], shared[-1]
    scaled = np.column_stack((scaler.transform(x), np.ones(len(x))))
    weights = np.append(logistic.coef_[0], logistic.intercept_)
    chance = 1 / (1 + np.exp(-(scaled @ weights)))
    penalty = np.append(np.full(x.shape[1], 1 / STRENGTH), 1e-9)
    hessian = scaled.T @ (scaled * (chance * (1 - chance))[:, None]) + np.diag(penalty)
    gradient = scaled.T @ (happened - chance[:, None]) - (penalty * weights)[:, None]
    steps = weights[:, None] + np.linalg.solve(hessian, gradient)
    return {action: _line(scaler, logistic, steps[:, place]) for place, action in enumerate(actions)}


def _line(scaler: StandardScaler, logistic: LogisticRegression, weights: Floats) -> Pipeline:
    """Return a pipeline with weights of its own, the intercept last; all share one scaler, so skops writes it once."""
    line = LogisticRegression(C=STRENGTH)
    line.coef_, line.intercept_ = np.ascontiguousarray(weights[None, :-1]), weights[-1:].copy()
    line.classes_, line.n_iter_, line.n_features_in_ = logistic.classes_, logistic.n_iter_, len(weights) - 1
    return make_pipeline(scaler, line)


def _forests(x: Floats, actions: Sequence[str], tastes: Floats, rng: np.random.Generator) -> dict[str, Calibrated]:
    """Return a calibrated forest for each action; neighbours in the list share one."""
    groups = np.array_split(np.arange(len(actions)), min(FORESTS, len(actions)))
    found: dict[str, Calibrated] = {}
    nobody: tuple[Blind, ...] = ()
    for number, places in enumerate(groups):
        chosen = rng.choice(places, len(x))
        happened = _outcomes(x, tastes, BASE_SAID, rng)[np.arange(len(x)), chosen]
        pool = Pool("some", tuple(places.tolist()), np.arange(len(x)), chosen, happened)
        forest = Trees(*SHAPE, SEED + number).fit(x, pool, Showing(nobody, SEED))
        level = float(tastes[places].mean())
        for place in places.tolist():
            found[actions[place]] = Calibrated.by(forest.estimator, 1.0, float(tastes[place]) - level)
    return found


def _written(declared: Declared, found: Read, said: Estimators, silent: Estimators, out: Path) -> Path:
    arrays = folded(said, silent, len(declared.space.columns), declared.space.hash)
    few = dict(list(said.items())[:50]), dict(list(silent.items())[:50])
    rows = probes(both(*few), declared.space.columns, SEED)
    draft = Manifest(
        format=2,
        name="measured",
        version="",
        strategy=declared.digest,
        features=declared.space.features,
        columns=declared.space.columns,
        feature_hash=declared.space.hash,
        actions=arrays.actions,
        baselines=tuple(sorted(silent)),
        left_out={action: COLD for action in declared.actions if action not in said},
        rows=found.rows,
        seed=SEED,
        metrics={},
        parity=Parity(rows=len(rows), largest_difference=largest_difference(arrays, *few, rows)),
        libraries={library: version(library) for library in LIBRARIES},
        files={},
        outcome=declared.outcomes.predicted,
        influenced=declared.outcomes.influenced,
        warnings=("A model to measure with: nothing was held out to prove that it is any good.",),
    )
    more = {BOOSTED: packed_part(arrays.boosted.arrays())} if arrays.boosted else {}
    place, _ = write_artifact(out, draft, packed_arrays(arrays), packed_estimators(said, silent), more)
    return place


def main() -> None:
    """Read the command line, make the model and print where it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("strategy", "events", "decisions", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--trees", action="store_true", help="forests for what is said; baselines are lines")
    asked = parser.parse_args()
    print(fit(asked.strategy, Source(events=asked.events, decisions=asked.decisions), asked.out, trees=asked.trees))


if __name__ == "__main__":
    main()
