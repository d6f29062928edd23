"""A small world in which it is known what saying something changes, and logs of what was said in it by chance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.decisions import Decisions

Floats = npt.NDArray[np.float64]

ACTIONS = ("nothing", "gift", "nagging")
COLUMNS = ("age", "visits", "age?")


def truth(x: Floats) -> Floats:
    """Return what each action earns over nothing, (n, actions).

    The gift pays for those who visit; nagging loses with everybody, the more the older they are (sleeping dogs).
    """
    return np.stack((np.zeros(len(x)), 2.0 * x[:, 1] - 1.0, -0.5 - np.abs(x[:, 0])), axis=1)


def log(rows: int, seed: int, *, noise: float = 1.0, skewed: bool = False, people: int | None = None) -> Decisions:
    """Return decisions made by chance; where `skewed`, the more often with the gift the more somebody visits."""
    rng = np.random.default_rng(seed)
    customer = np.sort(rng.integers(people or rows, size=rows))
    x = np.concatenate((rng.standard_normal((rows, 2)), np.zeros((rows, 1))), axis=1)
    gift = 0.1 + 0.6 / (1.0 + np.exp(-2.0 * x[:, 1])) if skewed else np.full(rows, 0.3)
    chances = np.stack((1.0 - gift - 0.2, gift, np.full(rows, 0.2)), axis=1)
    action = (rng.random(rows)[:, np.newaxis] > chances.cumsum(axis=1)).sum(axis=1)
    here = np.arange(rows), action
    worth = 3.0 * x[:, 0] + truth(x)[here] + noise * rng.standard_normal(rows)
    happened = np.full((rows, len(ACTIONS)), np.nan)
    likely = 1.0 / (1.0 + np.exp(-(x[:, 0] + (action == 1) * x[:, 1])))
    outcome = (rng.random(rows) < likely).astype(np.float64)
    for code in range(1, len(ACTIONS)):
        happened[:, code] = np.where((action == code) | (action == 0), outcome, np.nan)
    return Decisions(
        customer, np.arange(rows) * 1000, COLUMNS, x, ACTIONS, action, chances[here],
        np.ones((rows, len(ACTIONS)), dtype=np.bool_), happened, worth,
    )  # fmt: skip


def changed(decisions: Decisions, **fields: object) -> Decisions:
    """Return decisions with other arrays in some places."""
    names = ("customer", "at_ms", "columns", "x", "actions", "action", "probability", "allowed", "happened", "worth")
    return Decisions(**({name: getattr(decisions, name) for name in names} | fields))
