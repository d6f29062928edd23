"""`fit`: from logged decisions to an artefact, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.progress import Progress
from sklearn import config_context
from threadpoolctl import threadpool_limits

from models.artifacts import BOOSTED, NAME, VALUES, Manifest, Parity
from models.features import FeatureRefused, FeatureSpace
from models.propensity import Folded
from models.values import arrays_of_values

from .dataset import blinds
from .drift.unseen import UNSEEN, unseen_of
from .errors import AskedWrongly, TrainingRefused
from .folding import EXACT, LARGEST_DIFFERENCE, Estimators, both, folded, largest_difference, probes
from .forests import Calibrated
from .learning.arrays import estimators_of
from .learning.leaks import leaks
from .learning.learn import FORESTS, Learning, Model, Plan, learn
from .learning.learners import Logistic
from .learning.source import Read, Source, read
from .metrics import joined, measured
from .packing import packed_arrays, packed_estimators, packed_part, write_artifact
from .progress import Advance, started
from .strategy import Declared, read_strategy
from .uplift.serving import NOT_VALUED, Valued, valued_for

LIBRARIES = ("numpy", "scikit-learn", "scipy", "skops")


@dataclass(frozen=True, slots=True)
class Order:
    """What to train: for which strategy, from what, under which name, and where the artefact goes.

    `features` replaces those of the strategy, for trying out: what is made of others than the strategy's cannot serve.
    `forests` bounds how many forests of boosted trees may serve; with 0 none are tried.
    """

    strategy: Path
    source: Source
    out: Path
    name: str | None = None
    seed: int = 0
    features: tuple[str, ...] = ()
    forests: int = FORESTS


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What was read and learned, and the version that was made of it."""

    declared: Declared
    read: Read
    learning: Learning
    folded: Folded
    place: Path
    manifest: Manifest
    remarks: tuple[str, ...] = field(default=())
    worths: Valued = NOT_VALUED


def fit(order: Order, bars: Progress) -> Trained:
    """Train one version; raise `TrainingRefused` where nothing can be made."""
    # Trees on a few thousand rows wait for each other's threads longer than they grow; and of thousands of small fits
    # every other second would go into asking whether their parameters are right.
    with threadpool_limits(1), config_context(skip_parameter_validation=True):
        return _fit(order, bars)


def _fit(order: Order, bars: Progress) -> Trained:
    declared = _declared(order)
    name = usable_name(order.name or declared.name)
    found = read(order.source, declared, bars)
    plan = _plan(order, declared)
    learning = _learned(found, plan, started(bars, "learning", 4 * len(declared.actions), "models"))
    said, silent = estimators_of(learning, found.decisions.actions)
    arrays = folded(said, silent, len(declared.space.columns), declared.space.hash)
    warnings = tuple(leaks(found.decisions, declared.space, found.delay_ms))
    worths = valued_for(declared, found.decisions, plan.blinds, order.seed)
    draft = Manifest(
        format=2,
        name=name,
        version="",
        actions=arrays.actions,
        baselines=tuple(sorted(silent)),
        rows=found.rows,
        seed=order.seed,
        parity=_parity(arrays, said, silent, declared.space.columns, order.seed),
        libraries={library: version(library) for library in LIBRARIES},
        files={},
        warnings=warnings,
        **_of_strategy(declared),
        **_of_learning(declared, learning, worths),
    )
    more = _more_parts(arrays, worths)
    place, manifest = write_artifact(order.out, draft, packed_arrays(arrays), packed_estimators(said, silent), more)
    arrays = replace(arrays, version=manifest.version, values=worths.values)
    return Trained(declared, found, learning, arrays, place, manifest, (*found.remarks, *warnings), worths)


def _plan(order: Order, declared: Declared) -> Plan:
    dark, window_ms = blinds(declared.schema, declared.space), declared.outcomes.target.within_ms or 0
    propensities = {action.id: action.propensity for action in declared.outcomes.actions}
    return Plan(groups_of(declared), dark, order.seed, order.forests, window_ms=window_ms, declared=propensities)


def _learned(found: Read, plan: Plan, advance: Advance) -> Learning:
    learning = learn(found.decisions, plan, advance)
    if not learning.said:
        lacks = "; ".join(f"{action}: {lack}" for action, lack in learning.left_out.items())
        raise TrainingRefused(f"no action has enough rows: {lacks}")
    return learning


def _more_parts(arrays: Folded, worths: Valued) -> dict[str, bytes]:
    """Return the parts of the artefact that only some models have: trees, and what saying something earns."""
    trees = {BOOSTED: packed_part(arrays.boosted.arrays())} if arrays.boosted else {}
    return trees | ({VALUES: packed_part(arrays_of_values(worths.values))} if worths.values else {})


def _of_strategy(declared: Declared) -> dict[str, Any]:
    """Return what a manifest says of the strategy."""
    return {
        "strategy": declared.digest,
        "features": declared.space.features,
        "columns": declared.space.columns,
        "feature_hash": declared.space.hash,
        "outcome": declared.outcomes.predicted,
        "influenced": declared.outcomes.influenced,
    }


def _of_learning(declared: Declared, learning: Learning, worths: Valued) -> dict[str, Any]:
    """Return what a manifest says of how it was learned and how good it is."""
    return {
        "left_out": dict(learning.left_out),
        "metrics": _metrics(learning) | worths.metrics,
        "worth": dict(declared.outcomes.worth) if worths.values else {},
        "valued": worths.actions,
        "learning": _told(learning) | {UNSEEN: unseen_of(learning)} | worths.told,
    }


def usable_name(name: str) -> str:
    """Return a name that an artefact can bear; raise `TrainingRefused` for another."""
    if not NAME.fullmatch(name):
        raise AskedWrongly(f"the name {name!r} is not of lower-case letters, digits, '.', '_' and '-'; give --name")
    return name


def groups_of(declared: Declared) -> dict[str, str]:
    """Return the group of every action that is in one."""
    return {action.id: action.group for action in declared.outcomes.actions if action.group}


def _declared(order: Order) -> Declared:
    declared = read_strategy(order.strategy)
    if not order.features:
        return declared
    try:
        return replace(declared, space=FeatureSpace.of(declared.schema, order.features))
    except FeatureRefused as refused:
        raise AskedWrongly(f"--features: {refused}") from None


def _parity(arrays: Folded, said: Estimators, silent: Estimators, columns: tuple[str, ...], seed: int) -> Parity:
    """Compare arrays and estimators; raise `TrainingRefused` where they do not say the same."""
    rows = probes(both(said, silent), columns, seed)
    difference = largest_difference(arrays, said, silent, rows)
    grown = [{a: one for a, one in side.items() if isinstance(one, Calibrated)} for side in (said, silent)]
    exact = largest_difference(arrays, grown[0], grown[1], rows)
    if not difference <= LARGEST_DIFFERENCE or not exact <= EXACT:
        raise TrainingRefused(f"arrays and estimators differ by {difference:.1e}; nothing was written")
    return Parity(rows=len(rows), largest_difference=difference)


def _metrics(learning: Learning) -> dict[str, Any]:
    """Return the figures on held-out rows, of all models together and of each."""
    sides = {"said": learning.said, "silent": learning.silent}
    return {side: _side(models) for side, models in sides.items() if models}


def _side(models: Mapping[str, Model]) -> dict[str, Any]:
    held_out = [model.held_out for model in models.values() if model.held_out]
    return {
        "all": measured(joined(held_out)).plain() if held_out else None,
        "actions": {action: _one(model) for action, model in models.items()},
    }


def _one(model: Model) -> dict[str, Any]:
    learner = model.choice.learner
    strength = {"C": learner.strength} if isinstance(learner, Logistic) else {}
    return strength | (measured(model.held_out).plain() if model.held_out else {})


def _told(learning: Learning) -> dict[str, Any]:
    """Return how each model was chosen and calibrated, and what cold actions borrow."""
    sides = {"said": learning.said, "silent": learning.silent}
    return {side: {action: _how(model) for action, model in models.items()} for side, models in sides.items()}


def _how(model: Model) -> dict[str, Any]:
    choice = model.choice
    told = {
        "learner": choice.learner.name,
        "from": choice.pool,
        "rows": model.rows,
        "outcomes": model.outcomes,
        "slope": model.platt.slope,
        "offset": model.platt.offset,
        "log_loss_forward_levelled": dict(choice.losses),
    }
    return told | ({"borrows": f"{choice.cold}, so it borrows from {choice.lender}"} if choice.cold else {})
