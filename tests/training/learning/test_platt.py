"""Claims about calibration: it finds the line that was there, and holds still where there is little to go by."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.learning import platt as module
from training.learning.platt import OFFSET_HOLDS, SLOPE_HOLDS, Platt, log_losses, platt, probability


def test_the_example_in_the_documentation_runs() -> None:
    """What the class documentation shows is what happens."""
    assert doctest.testmod(module).failed == 0


@settings(max_examples=25, deadline=None)
@given(slope=st.floats(0.3, 3.0), offset=st.floats(-2.0, 2.0), seed=st.integers(0, 1000))
def test_a_known_line_is_found(slope: float, offset: float, seed: int) -> None:
    """From many rows the slope and offset come back that made them, drawn to 1 and 0 as declared, within the noise."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=20_000)
    chance = probability(slope * logits + offset)
    found = platt(logits, (rng.random(20_000) < chance).astype(float))
    design, holds = np.column_stack((logits, np.ones(20_000))), np.diag([SLOPE_HOLDS, OFFSET_HOLDS])
    spread = np.linalg.inv((design * (chance * (1.0 - chance))[:, None]).T @ design + holds)
    drawn = spread @ holds @ (np.array([slope, offset]) - (1.0, 0.0))
    error = np.array([found.slope, found.offset]) - (slope, offset) + drawn
    assert (np.abs(error) < 6.0 * np.sqrt(np.diag(spread))).all()


def test_few_rows_move_little() -> None:
    """Without rows nothing moves; five rows that all happened move the level by less than one, and keep the order."""
    assert platt(np.zeros(0), np.zeros(0)) == Platt(1.0, 0.0)
    found = platt(np.linspace(-1.0, 1.0, 5), np.ones(5))
    assert 0.0 < found.offset < 1.0
    assert 0.8 < found.slope < 1.2


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), spread=st.floats(0.0, 300.0), share=st.floats(0.0, 1.0))
def test_extreme_logits_and_one_sided_outcomes_give_numbers(seed: int, spread: float, share: float) -> None:
    """However wild the logits, the line is finite and rises, so the order of forecasts never turns."""
    rng = np.random.default_rng(seed)
    found = platt(rng.normal(size=200) * spread, (rng.random(200) < share).astype(float))
    assert 0.0 < found.slope <= 10.0
    assert np.isfinite(found.offset)


def test_losses_of_extreme_logits_are_finite_and_right() -> None:
    """The log loss of a sure and wrong forecast is its logit, of a sure and right one nothing."""
    losses = log_losses(np.array([700.0, 700.0, 0.0]), np.array([0.0, 1.0, 1.0]))
    assert losses.tolist() == pytest.approx([700.0, 0.0, np.log(2.0)])
