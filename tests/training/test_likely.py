"""Claims about what is learned and measured: figures are of rows that were not seen, and a model has a bounded size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.models.test_predictions import predictions_of
from tests.predicting import DAY_MS, START_MS, write_predicting
from training.predicting import together
from training.predicting.history import Bought, History, moments_of
from training.predicting.likely import fit_likely
from training.predicting.together import affinity, metrics_of
from training.rows import EventRow


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


@pytest.mark.parametrize(("after_ms", "label"), [(0, "happens"), (30 * DAY_MS - 1, "happens"), (30 * DAY_MS, "stays")])
def test_what_happens_within_is_up_to_the_end_of_the_time(tmp_path: Path, after_ms: int, label: str) -> None:
    """The moment itself belongs to what comes after it, the end of the horizon does not."""
    churn = predictions_of(write_predicting(tmp_path))[0]
    happened = [("visit", START_MS), ("notice", START_MS + 1 + after_ms), ("visit", START_MS + 90 * DAY_MS)]
    rows = [EventRow(f"{n}", "c", kind, at_ms, {}) for n, (kind, at_ms) in enumerate(happened)]
    assert moments_of(History.of(rows), churn, 0)[0].label == label


def test_what_a_customer_has_already_is_no_hit() -> None:
    """Figures count what was new to the customer: whoever buys the same again tells nothing of what goes with it."""
    past = [Bought(f"c{n}", n, item, ()) for n in range(20) for item in ("pan", "pot")]
    again = [Bought(f"c{n}", 100 + n, "pan", ("pan",)) for n in range(10)]
    new = [Bought(f"d{n}", 200 + n, "pot", ("pan",)) for n in range(5)]
    figures = metrics_of([*past, *again[:5], *new, *again[5:]], 1)
    assert (figures["rows"], figures["hits"]) == (5, 1.0)


def test_an_affinity_keeps_the_items_that_most_customers_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model does not grow with the shop: of more items than it may have, those with most customers stay."""
    monkeypatch.setattr(together, "MOST_ITEMS", 3)
    having = {"ant": 5, "bee": 9, "cat": 7, "dog": 6}
    rows = [Bought(f"c{n}", n, item, ()) for item, count in having.items() for n in range(count)]
    model = affinity(rows)
    assert model.items == ("bee", "cat", "dog")
    assert model.likeness.shape == (3, 3)
