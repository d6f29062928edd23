"""Claims about leaks: each sign is seen where it is, and honest features are left in peace."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.context import Attribute, ContextSchema, Field, Purpose, ValueType
from models.features import FeatureSpace
from training.decisions import Decisions, Floats
from training.learning.leaks import columns_of, leaks

from ...training.learning.world import COLUMNS, drawn

ROWS = 3000


def space() -> FeatureSpace:
    """Return the space of three numbers, whose columns are those of the world."""
    fields = tuple(
        Field(name, ValueType.DOUBLE, Purpose.SERVICE, "", None, None, Attribute(name, ValueType.DOUBLE), key)
        for key, name in enumerate(("a", "b", "c"))
    )
    made = FeatureSpace.of(ContextSchema.of((), fields), ("a", "b", "c"))
    assert made.columns == COLUMNS
    return made


def found(decisions: Decisions, delay_ms: Floats | None = None) -> list[str]:
    """Return what is suspected."""
    return list(leaks(decisions, space(), np.full(len(decisions), np.nan) if delay_ms is None else delay_ms))


def with_c(decisions: Decisions, values: Floats, unknown: Floats | None = None) -> Decisions:
    """Return the decisions with other values of c."""
    x = decisions.x.copy()
    x[:, 4] = values
    if unknown is not None:
        x[:, 4][unknown > 0.5] = 0.0
        x[:, 5] = unknown
    return replace(decisions, x=x)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), bent=st.booleans())
def test_honest_features_are_left_in_peace(seed: int, bent: bool) -> None:
    """Features that foretell the outcome well, as in the world, are not called leaks."""
    assert found(drawn(seed, (200, ROWS), bent=bent)) == []


def test_a_feature_that_says_the_outcome_is_named() -> None:
    """A column that is the outcome with a little noise is too good to be true, and is the only one named."""
    decisions = drawn(1, (0, ROWS))
    noise = np.random.default_rng(0).normal(size=ROWS) * 0.2
    (sentence,) = found(with_c(decisions, decisions.happened[:, 1] + noise))
    assert sentence.startswith("c may be a leak: ")
    assert "too good to be true" in sentence
    assert "leave it out unless it is known before the decision" in sentence


def test_a_feature_as_good_as_all_others_is_named() -> None:
    """A column that ranks well, and alone better than all others together, is named with both figures."""
    decisions = drawn(2, (0, ROWS))
    noise = np.random.default_rng(0).normal(size=ROWS) * 0.7
    (sentence,) = found(with_c(decisions, decisions.happened[:, 1] + noise))
    assert sentence.startswith("c may be a leak: alone it ranks with an AUC of 0.8")
    assert "all others together with 0.80" in sentence


def columns(seed: int, noises: tuple[float, float], scale: float = 1.0) -> Decisions:
    """Return decisions whose b and c are the outcome with noise of these sizes, the same in both where it is equal."""
    decisions = drawn(seed, (0, ROWS))
    rng, x, y = np.random.default_rng(seed), decisions.x.copy(), decisions.happened[:, 1]
    noise = rng.normal(size=ROWS)
    x[:, 2], x[:, 4] = (y + noises[0] * noise) * scale, y + noises[1] * noise
    return replace(decisions, x=x)


def flipped(y: Floats, share: float, seed: int) -> Floats:
    """Return outcomes of which a share is wrong."""
    return np.where(np.random.default_rng(seed).random(len(y)) < share, 1.0 - y, y)


def test_every_leak_is_named_beside_a_better_one() -> None:
    """Two columns that are too good to be true are both named, numbers or flags, and the honest one is not."""
    for rows in (columns(1, (0.25, 0.2)), columns(2, (0.2, 0.25))):
        assert [sentence.split(" ")[0] for sentence in found(rows)] == ["b", "c"]
    decisions = drawn(3, (0, ROWS))
    y, x = decisions.happened[:, 1], decisions.x.copy()
    x[:, 2], x[:, 4] = flipped(y, 0.03, 0), flipped(y, 0.015, 1)
    named = found(replace(decisions, x=x))
    assert [sentence.split(" ")[0] for sentence in named] == ["b", "c"]
    assert all("too good to be true" in sentence for sentence in named)


def test_a_leak_that_is_there_twice_is_named_twice() -> None:
    """A column in two units hides neither: its copy is none of the others that it is compared with."""
    named = found(columns(2, (0.7, 0.7), scale=60.0))
    assert [sentence.split(" ")[0] for sentence in named] == ["b", "c"]
    assert "all others but what goes with it (c) together with" in named[0]


@pytest.mark.parametrize(("happens", "words"), [(0.0, "never happens"), (1.0, "always happens")])
def test_values_that_decide_the_outcome_are_named(happens: float, words: str) -> None:
    """A tenth of the values with which the outcome never, or always, happens: chance does not do that."""
    decisions = drawn(3, (0, ROWS))
    y, rng = decisions.happened[:, 1], np.random.default_rng(0)
    values = rng.random(ROWS)
    values[(y == happens) & (rng.random(ROWS) < 0.3)] -= 2.0
    (sentence,) = found(with_c(decisions, values))
    assert sentence.startswith("c may be a leak: ")
    assert words in sentence


def test_a_feature_that_is_known_only_afterwards_is_named() -> None:
    """A column that is known where the outcome happened, and hardly elsewhere, is named with both shares."""
    decisions = drawn(4, (0, ROWS))
    y, rng = decisions.happened[:, 1], np.random.default_rng(0)
    unknown = np.where(y > 0.5, rng.random(ROWS) < 0.02, rng.random(ROWS) < 0.95).astype(float)
    (sentence,) = found(with_c(decisions, rng.normal(size=ROWS), unknown))
    assert "it is known in 97% of the rows with the outcome and in 5% of those without" in sentence


def test_a_feature_that_moves_with_the_time_of_the_outcome_is_named() -> None:
    """A column that rises with the time until the outcome cannot have been known before it."""
    decisions = drawn(5, (0, ROWS))
    rng = np.random.default_rng(0)
    delay = np.where(decisions.happened[:, 1] > 0.5, rng.exponential(1e6, ROWS), np.nan)
    values = np.where(np.isnan(delay), rng.exponential(1e6, ROWS), delay + rng.normal(size=ROWS) * 1e5)
    (sentence,) = found(with_c(decisions, values), delay)
    assert "it moves with the time until the outcome (rank correlation +0.9" in sentence
    assert found(decisions, delay) == []


def test_too_few_rows_raise_no_suspicion() -> None:
    """Of a hundred rows nothing is said, whatever they look like."""
    decisions = drawn(6, (0, 100))
    assert found(with_c(decisions, decisions.happened[:, 1])) == []


def test_every_column_belongs_to_its_feature() -> None:
    """Columns are told apart by the flag that ends each feature."""
    assert columns_of(space()) == {"a": (0, 1), "b": (2, 3), "c": (4, 5)}
