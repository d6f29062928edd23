"""Claims about what is learned and measured: figures are of rows that were not seen, and a model has a bounded size."""

from __future__ import annotations

import numpy as np
import pytest

from training.predicting import together
from training.predicting.history import Bought
from training.predicting.likely import fit_likely
from training.predicting.together import affinity


@pytest.mark.parametrize("classes", [2, 3])
def test_figures_are_of_a_model_that_had_not_seen_the_latest_fifth(classes: int) -> None:
    """What only shows in the latest fifth is learned by the model that is returned, not by the one that is measured."""
    rng = np.random.default_rng(classes)
    labels = ("a", "b", "c")[:classes]
    happened = rng.integers(0, classes, size=1_000)
    x = rng.normal(size=(1_000, 1 + classes))
    x[:800, 1:] = 0.0
    x[800:, 1:] = np.eye(classes)[happened[800:]]
    likely = fit_likely(x, [labels[one] for one in happened], labels, (), 0)
    metrics = likely.metrics
    assert metrics["rows"] == 200
    assert metrics["log_loss"] > 0.95 * metrics["log_loss_of_the_rate"]
    assert (likely.estimator.predict(x[800:]) == happened[800:]).mean() > 0.95


def test_an_affinity_keeps_the_items_that_most_customers_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model does not grow with the shop: of more items than it may have, those with most customers stay."""
    monkeypatch.setattr(together, "MOST_ITEMS", 3)
    having = {"ant": 5, "bee": 9, "cat": 7, "dog": 6}
    rows = [Bought(f"c{n}", n, item, ()) for item, count in having.items() for n in range(count)]
    model = affinity(rows)
    assert model.items == ("bee", "cat", "dog")
    assert model.likeness.shape == (3, 3)
