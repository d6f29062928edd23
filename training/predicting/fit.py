"""`predict`: from an event history to one predictor for each prediction of a strategy."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import skops.io
from rich.progress import Progress
from sklearn.pipeline import Pipeline

from models.artifacts import ESTIMATORS, FOLDED, MANIFEST, Parity, version_of
from models.features import FeatureSpace
from models.predictions import Prediction, PredictionKind
from models.predictor_artifacts import PredictorManifest, PredictorRows, read_predictor
from models.predictors import Affinity, Linear, meaning

from ..dataset import blinds
from ..errors import TrainingRefused
from ..fit import LIBRARIES, usable_name
from ..folding import LARGEST_DIFFERENCE
from ..learning.source import size_of
from ..packing import publish
from ..progress import started
from ..rows import EventRow, read_events
from .consents import agreed
from .declared import Declared, read_declared
from .history import HAPPENS, History, bought, moments_of, seen, written
from .likely import fit_likely, folded
from .proof import difference_of, probes
from .together import affinity, metrics_of


@dataclass(frozen=True, slots=True)
class Order:
    """What to train: from which strategy and files, which fields (none: all), and where the artefacts go."""

    strategy: Path
    events: Path
    consents: Path | None
    out: Path
    fields: tuple[str, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class Made:
    """One predictor: its folder and what is in it."""

    place: Path
    manifest: PredictorManifest


@dataclass(frozen=True, slots=True)
class Draft:
    """A model, what it was folded from and how it was made."""

    model: Linear | Affinity
    estimator: Pipeline | None
    features: FeatureSpace | None
    rows: PredictorRows
    metrics: dict[str, Any]


def predict(order: Order, bars: Progress) -> tuple[tuple[Made, ...], dict[str, str]]:
    """Train a version of each predictor; return them, and why a field has none.

    Raises `TrainingRefused` where no field gets one.
    """
    declared = read_declared(order.strategy)
    wanted = _wanted(declared, order.fields)
    reading = started(bars, f"reading {order.events.name}", size_of(order.events), "MB", 1_000_000)
    events = list(read_events(order.events, declared.schema, reading))
    made: list[Made] = []
    refused: dict[str, str] = {}
    for prediction in wanted:
        try:
            history = History.of(_permitted(declared, prediction, events, order.consents))
            draft = _draft(declared, prediction, history, order.seed, bars)
            made.append(_written(order, declared, prediction, draft))
        except TrainingRefused as lack:
            refused[prediction.field] = str(lack)
    if not made:
        raise TrainingRefused("; ".join(f"{field}: {why}" for field, why in refused.items()))
    return tuple(made), refused


def _wanted(declared: Declared, fields: Sequence[str]) -> tuple[Prediction, ...]:
    known = {prediction.field: prediction for prediction in declared.predictions}
    strange = [field for field in fields if field not in known]
    if strange:
        raise TrainingRefused(f"{strange[0]} is not predicted by this strategy; its predictions are {', '.join(known)}")
    return tuple(known[field] for field in fields) or declared.predictions


def _permitted(
    declared: Declared, prediction: Prediction, events: list[EventRow], consents: Path | None
) -> Iterable[EventRow]:
    """Return the events of customers who agreed to what the prediction is for, as far as consents are given."""
    if consents is None:
        return events
    purpose = declared.schema.fields[declared.schema.index[prediction.field]].purpose
    who = agreed(consents, {level for level, allows in declared.purposes.items() if purpose in allows})
    return [event for event in events if event.customer in who]


def _draft(declared: Declared, prediction: Prediction, history: History, seed: int, bars: Progress) -> Draft:
    if prediction.kind is PredictionKind.BOUGHT_WITH:
        rows = bought(declared.schema, prediction, history)
        span = [row.at_ms for row in rows]
        return Draft(affinity(rows), None, None, _rows(history, span), metrics_of(rows, prediction.keep))
    asked = moments_of(history, prediction, seed)
    space = FeatureSpace.of(declared.schema, prediction.features)
    advance = started(bars, f"seeing {prediction.field}", len(asked), "moments")
    x = seen(declared.schema, space, history, asked, advance)
    dark = blinds(declared.schema, space)
    likely = fit_likely(x, [one.label for one in asked], _labels(declared, prediction), dark, seed)
    rows_made = _rows(history, [one.at_ms for one in asked])
    return Draft(folded(likely), likely.estimator, space, rows_made, likely.metrics)


def _labels(declared: Declared, prediction: Prediction) -> tuple[str, ...]:
    if prediction.kind is PredictionKind.CHANCE:
        return HAPPENS
    return declared.schema.fields[declared.schema.index[prediction.field]].bounds.values


def _rows(history: History, span: Sequence[int]) -> PredictorRows:
    return PredictorRows(
        events=history.size,
        customers=len(history.events),
        moments=len(span),
        first=written(min(span)),
        last=written(max(span)),
    )


def _written(order: Order, declared: Declared, prediction: Prediction, draft: Draft) -> Made:
    parity = _parity(draft, order.seed)
    files = dict(_files(draft))
    name = usable_name(f"{declared.name}-{prediction.field.rpartition('.')[2].replace('_', '-')}")
    manifest = PredictorManifest(
        format=1,
        predicts=prediction.kind,
        name=name,
        version="",
        strategy=declared.digest,
        field=prediction.field,
        features=prediction.features or (prediction.basket,),
        columns=draft.features.columns if draft.features else (),
        meaning=meaning(declared.schema, prediction),
        labels=draft.model.items if isinstance(draft.model, Affinity) else draft.model.classes,
        rows=draft.rows,
        seed=order.seed,
        metrics=draft.metrics,
        parity=parity,
        libraries={library: version(library) for library in LIBRARIES},
        files={file: sha256(content).hexdigest() for file, content in files.items()},
    )
    manifest = msgspec.structs.replace(manifest, version=version_of(manifest))
    text = json.dumps(msgspec.to_builtins(manifest), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    place = order.out / name / manifest.version.rpartition("@")[2]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        publish(place, {MANIFEST: text.encode(), **files}, read_predictor)
    except OSError as error:
        raise TrainingRefused(f"cannot write below {order.out} ({error.strerror}); choose another --out") from None
    return Made(place, manifest)


def _parity(draft: Draft, seed: int) -> Parity | None:
    if draft.estimator is None or draft.features is None or isinstance(draft.model, Affinity):
        return None
    rows = probes(draft.estimator, draft.features.columns, seed)
    difference = difference_of(draft.model, draft.estimator, rows)
    if not difference <= LARGEST_DIFFERENCE:
        raise TrainingRefused(f"arrays and estimator differ by {difference:.1e}; nothing was written")
    return Parity(rows=len(rows), largest_difference=difference)


def _files(draft: Draft) -> Iterator[tuple[str, bytes]]:
    model, stream = draft.model, BytesIO()
    arrays = ("likeness",) if isinstance(model, Affinity) else ("weights", "bias")
    np.savez(stream, allow_pickle=False, **{name: np.ascontiguousarray(getattr(model, name)) for name in arrays})
    yield FOLDED, stream.getvalue()
    if draft.estimator is not None:
        yield ESTIMATORS, skops.io.dumps({"estimator": draft.estimator})
