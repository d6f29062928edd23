"""What was learned as estimators of scikit-learn, whose probabilities are the calibrated ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..folding import Estimator
from ..forests import Calibrated
from .learn import Learning, Model
from .learners import Forest, Line, calibrated_line


def estimators_of(learning: Learning, actions: Sequence[str]) -> tuple[dict[str, Estimator], dict[str, Estimator]]:
    """Return the estimators by action, for saying it and for saying nothing; `actions` are the names by code."""
    codes = {action: code for code, action in enumerate(actions)}
    return _side(learning.said, codes), _side(learning.silent, codes)


def _side(models: Mapping[str, Model], codes: Mapping[str, int]) -> dict[str, Estimator]:
    return {action: _estimator(models[action], codes[action]) for action in sorted(models)}


def _estimator(model: Model, code: int) -> Estimator:
    slope, offset = model.platt.slope, model.platt.offset
    if isinstance(model.fit, Forest):
        return Calibrated.by(model.fit.estimator, slope, offset - slope * model.fit.shift)
    if isinstance(model.fit, Line):
        return calibrated_line(model.fit.of(code), slope, offset)
    raise TypeError(f"{type(model.fit).__name__} cannot serve")
