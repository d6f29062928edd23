"""`fit`: from events and decisions to an artefact, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.progress import Progress

from models.artifacts import NAME, Manifest, Parity

from .dataset import Dataset, blinds, dataset
from .errors import TrainingRefused
from .fitting import Examples, Fitted, Fitting
from .folding import LARGEST_DIFFERENCE, folded, largest_difference, probes
from .metrics import joined, measured
from .packing import packed_arrays, packed_estimators, write_artifact
from .progress import started
from .rows import read_decisions, read_events
from .strategy import Declared, read_strategy

LIBRARIES = ("numpy", "scikit-learn", "scipy", "skops")


@dataclass(frozen=True, slots=True)
class Order:
    """What to train: from which strategy and files, under which name, and where the artefact goes."""

    strategy: Path
    events: Path
    decisions: Path
    out: Path
    name: str | None
    seed: int


@dataclass(frozen=True, slots=True)
class Models:
    """Fitted models by action id, and why the other actions have none."""

    said: Mapping[str, Fitted]
    silent: Mapping[str, Fitted]
    left_out: Mapping[str, str]


def fit(order: Order, bars: Progress) -> tuple[Path, Manifest]:
    """Train one version and return its folder and manifest; raise `TrainingRefused` where nothing can be made."""
    declared = read_strategy(order.strategy)
    name = usable_name(order.name or declared.name)
    data = _read(order, declared, bars)
    models = _fitted(declared, data, order.seed, bars)
    said = {action: fitted.estimator for action, fitted in models.said.items()}
    silent = {action: fitted.estimator for action, fitted in models.silent.items()}
    arrays = folded(said, silent, len(declared.space.columns), declared.space.hash)
    rows = probes(said, declared.space.columns, order.seed)
    difference = largest_difference(arrays, said, silent, rows)
    if not difference <= LARGEST_DIFFERENCE:
        raise TrainingRefused(f"arrays and estimators differ by {difference:.1e}; nothing was written")
    draft = Manifest(
        format=1,
        name=name,
        version="",
        strategy=declared.digest,
        features=declared.space.features,
        columns=declared.space.columns,
        feature_hash=declared.space.hash,
        actions=arrays.actions,
        baselines=tuple(sorted(silent)),
        left_out=dict(models.left_out),
        rows=data.rows,
        seed=order.seed,
        metrics=_metrics(models),
        parity=Parity(rows=len(rows), largest_difference=difference),
        libraries={library: version(library) for library in LIBRARIES},
        files={},
    )
    return write_artifact(order.out, draft, packed_arrays(arrays), packed_estimators(said, silent))


def usable_name(name: str) -> str:
    """Return a name that an artefact can bear; raise `TrainingRefused` for another."""
    if not NAME.fullmatch(name):
        raise TrainingRefused(f"the name {name!r} is not of lower-case letters, digits, '.', '_' and '-'; give --name")
    return name


def _read(order: Order, declared: Declared, bars: Progress) -> Dataset:
    sizes = {path: size_of(path) for path in (order.events, order.decisions)}
    reading = {path: started(bars, f"reading {path.name}", size, "MB", 1_000_000) for path, size in sizes.items()}
    return dataset(
        declared,
        read_events(order.events, declared.schema, reading[order.events]),
        read_decisions(order.decisions, declared.schema, reading[order.decisions]),
        lambda count: started(bars, "seeing as of then", count, "decisions"),
    )


def size_of(path: Path) -> int:
    """Return the size of an input file in bytes; raise `TrainingRefused` where it cannot be read."""
    try:
        return path.stat().st_size
    except OSError as error:
        raise TrainingRefused(f"{path} cannot be read ({error.strerror})") from None


def _fitted(declared: Declared, data: Dataset, seed: int, bars: Progress) -> Models:
    lacks = {action: _lack(data.said.get(action)) for action in declared.actions}
    learnable = [action for action, lack in lacks.items() if not lack]
    if not learnable:
        raise TrainingRefused(f"no action has enough rows: {'; '.join(f'{a}: {lack}' for a, lack in lacks.items())}")
    compared = [action for action in learnable if not _lack(data.silent.get(action))]
    fitting = Fitting(blinds(declared.schema, declared.space), seed)
    advance = started(bars, "fitting", len(learnable) + len(compared), "models")
    said, silent = {}, {}
    for action in learnable:
        said[action] = fitting.fit(data.said[action])
        advance(1)
    for action in compared:
        silent[action] = fitting.fit(data.silent[action])
        advance(1)
    return Models(said, silent, {action: lack for action, lack in lacks.items() if lack})


def _lack(examples: Examples | None) -> str:
    return "no rows" if examples is None else examples.lack()


def _metrics(models: Models) -> dict[str, Any]:
    """Return the figures on held-out rows, of all models together and of each."""
    sides = {"said": models.said, "silent": models.silent}
    return {side: _side(fitted) for side, fitted in sides.items() if fitted}


def _side(models: Mapping[str, Fitted]) -> dict[str, Any]:
    held_out = [fitted.held_out for fitted in models.values() if fitted.held_out]
    return {
        "all": measured(joined(held_out)).plain() if held_out else None,
        "actions": {action: _one(fitted) for action, fitted in models.items()},
    }


def _one(fitted: Fitted) -> dict[str, Any]:
    return {"C": fitted.strength, **(measured(fitted.held_out).plain() if fitted.held_out else {})}
