"""Decisions whose truth is known: a logit that is a line, or a pattern that no line can follow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.decisions import NOTHING, Decisions, Floats

COLUMNS = ("a", "a?", "b", "b?", "c", "c?")


def chance(x: Floats, code: int, *, bent: bool) -> Floats:
    """Return the true probability (rows,) of an action's outcome; codes differ in level."""
    a, b = x[:, 0], x[:, 2]
    logit = (2.5 * np.sign(a) * np.sign(b) if bent else 1.2 * a - 0.8 * b) - 1.0 + 0.5 * code
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))


def drawn(seed: int, rows: Sequence[int], *, bent: bool = False, customers: int = 0, rare: float = 0.0) -> Decisions:
    """Draw decisions, so many of nothing and of each action, in random order; after nothing all is known.

    With `rare` the outcomes happen that much seldomer, as a shift of the logit.
    """
    rng = np.random.default_rng(seed)
    action = rng.permutation(np.repeat(np.arange(len(rows)), rows))
    size, places = len(action), np.arange(len(action))
    x = np.zeros((size, len(COLUMNS)))
    x[:, ::2] = rng.normal(size=(size, 3))
    happened = np.full((size, len(rows)), np.nan)
    for code in range(1, len(rows)):
        true = chance(x, code, bent=bent)
        true = 1.0 / (1.0 + np.exp(-(np.log(true / (1.0 - true)) - rare)))
        said, quiet = action == code, action == 0
        happened[said, code] = rng.random(said.sum()) < true[said]
        happened[quiet, code] = rng.random(quiet.sum()) < true[quiet] / 2.0
    return Decisions(
        customer=rng.integers(0, customers or size, size),
        at_ms=places * 60_000,
        columns=COLUMNS,
        x=x,
        actions=(NOTHING, *(f"offer-{code}" for code in range(1, len(rows)))),
        action=action,
        probability=np.ones(size),
        allowed=np.ones((size, len(rows)), dtype=np.bool_),
        happened=happened,
        worth=np.full(size, np.nan),
    )
