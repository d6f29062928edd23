"""Trained predictors as arrays: what a model says of one customer, computed without scikit-learn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from models.context import ContextSchema, Scalar
from models.features import FeatureSpace
from models.predictions import Prediction, PredictionKind

Floats = npt.NDArray[np.float64]


class Predictor(Protocol):
    """Says the value of one predicted field."""

    @property
    def prediction(self) -> Prediction:
        """What is predicted."""

    @property
    def version(self) -> str:
        """Return the version of the model, kept beside what it says."""

    def value(self, values: Sequence[Scalar | None], now_ms: int) -> Scalar | None:
        """Return what the model says; None where it says nothing.

        `values` holds one value a field of the schema, in the schema's order; None is unknown.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """A logistic model of one class or several: `weights` has the shape (classes, columns), `bias` (classes,).

    A prediction of kind `chance` has two classes, of which the second is that it happens.

    >>> import numpy as np
    >>> model = Linear(("quiet", "leaves"), np.array([[0.0], [1.0]]), np.array([0.0, -1.0]))
    >>> model.probabilities(np.array([1.0])).tolist()
    [0.5, 0.5]
    """

    classes: tuple[str, ...]
    weights: Floats
    bias: Floats

    def probabilities(self, x: Floats) -> Floats:
        """Return the probability of each class, of shape (classes,) for a row (columns,) or (rows, classes)."""
        odds = x @ self.weights.T + self.bias
        shares = np.exp(odds - odds.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        return cast(Floats, shares)


@dataclass(frozen=True, slots=True, eq=False)
class Affinity:
    """What customers have together: `likeness` of shape (items, items), 0 for pairs that say nothing.

    >>> import numpy as np
    >>> model = Affinity(("case", "phone", "tv"), np.array([[0.0, 0.8, 0.1], [0.8, 0.0, 0.0], [0.1, 0.0, 0.0]]))
    >>> model.with_these(("case",), keep=2)
    ('phone', 'tv')
    """

    items: tuple[str, ...]
    likeness: Floats

    def with_these(self, basket: Sequence[str], keep: int) -> tuple[str, ...]:
        """Return up to `keep` items that go with a basket and are not in it, best first, equals by name."""
        place = {item: i for i, item in enumerate(self.items)}
        rows = sorted({place[item] for item in basket if item in place})
        total = self.likeness[rows].sum(axis=0)
        total[rows] = 0.0
        best = sorted(np.flatnonzero(total > 0.0).tolist(), key=lambda i: (-total[i], self.items[i]))
        return tuple(self.items[i] for i in best[:keep])


@dataclass(frozen=True, slots=True, eq=False)
class LinearPredictor:
    """A chance or a class, from the features of one schema."""

    prediction: Prediction
    version: str
    model: Linear
    space: FeatureSpace

    def value(self, values: Sequence[Scalar | None], now_ms: int) -> Scalar | None:
        """See Predictor."""
        shares = self.model.probabilities(self.space.encode(values, now_ms))
        if self.prediction.kind is PredictionKind.CHANCE:
            return float(shares[1])
        return self.model.classes[int(shares.argmax())]


@dataclass(frozen=True, slots=True, eq=False)
class AffinityPredictor:
    """What goes with the basket that a customer has."""

    prediction: Prediction
    version: str
    model: Affinity
    basket: int

    def value(self, values: Sequence[Scalar | None], now_ms: int) -> Scalar | None:
        """See Predictor; nothing is said of a basket that is unknown."""
        basket = values[self.basket]
        return self.model.with_these(basket, self.prediction.keep) if isinstance(basket, tuple) else None


def meaning(schema: ContextSchema, prediction: Prediction) -> str:
    """Return a hash of the declarations that a model of this prediction is made for."""
    target = schema.fields[schema.index[prediction.field]]
    said: list[object] = [asdict(prediction), target.type, target.bounds.values]
    if prediction.basket:
        basket = schema.fields[schema.index[prediction.basket]]
        said += [basket.fold and asdict(basket.fold), basket.max_age_ms]
    else:
        said.append(FeatureSpace.of(schema, prediction.features).hash)
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def bound(model: Linear | Affinity, prediction: Prediction, version: str, schema: ContextSchema) -> Predictor:
    """Return the predictor of a model that was made for this prediction."""
    if isinstance(model, Affinity):
        return AffinityPredictor(prediction, version, model, schema.index[prediction.basket])
    return LinearPredictor(prediction, version, model, FeatureSpace.of(schema, prediction.features))
