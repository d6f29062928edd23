"""The arms that need no strategy: nothing, random, and the best single action.

The best single action is always the same one where it may be said, and nothing elsewhere.

Which one is best is chosen for the customers of each part by what all other customers tell, so that its value is not
that of the luckiest of many.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..decisions import Decisions
from .refusals import MOST_LACKING
from .tally import could_be_said
from .worths import PARTS, Worths

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Whole = npt.NDArray[np.int64]

FEWEST_SAID = 100
"""How often the log must have said an action for it to be a candidate."""


class BestSingle:
    """Adds up what always saying each action is worth (doubly robust), and then tells the best one for each part."""

    def __init__(self, actions: Sequence[str], worths: Worths) -> None:
        self._actions = tuple(actions)
        self._worths = worths
        self._sums = np.zeros((PARTS, len(actions)))
        self._lacking = np.zeros(len(actions))
        self._said = np.zeros(len(actions))
        self._rows = np.zeros(PARTS)

    def add(self, rows: Decisions, permitted: Flags, q: Floats) -> None:
        """Add rows: which actions may be said there, (n, actions), and what each would earn, (n, actions)."""
        known = ~np.isnan(rows.worth)
        rows, permitted, q = rows.part(known), permitted[known], q[known]
        if not len(rows):
            return
        part = self._worths.part_of(rows.customer)
        values = np.where(permitted, q, q[:, :1])
        here = np.arange(len(rows))
        correction = (rows.worth - q[here, rows.action]) / rows.probability
        values[here, rows.action] += np.where(permitted[here, rows.action], correction, 0.0)
        silent = rows.action == 0
        values[silent] += np.where(permitted[silent], 0.0, correction[silent, None])
        np.add.at(self._sums, part, values)
        self._rows += np.bincount(part, minlength=PARTS)
        possible = could_be_said(rows)
        self._lacking += (permitted & ~possible).sum(axis=0) + (~permitted & ~possible[:, :1]).sum(axis=0)
        self._said += np.bincount(rows.action, minlength=len(self._actions))

    def best(self) -> Whole | None:
        """Return the best action for each part, (parts,), as codes; None where the log carries none of them."""
        rows = max(float(self._rows.sum()), 1.0)
        carried = (self._lacking / rows <= MOST_LACKING) & (self._said >= FEWEST_SAID)
        carried[0] = False
        if not carried.any():
            return None
        others = (self._sums.sum(axis=0) - self._sums) / np.maximum(rows - self._rows, 1.0)[:, None]
        return np.asarray(np.where(carried, others, -np.inf).argmax(axis=1), dtype=np.int64)

    def policy(self, rows: Decisions, permitted: Flags, best: Whole) -> Floats:
        """Return the policy that says the best action of each row's part, (n, actions)."""
        chosen = best[self._worths.part_of(rows.customer)]
        here = np.arange(len(rows))
        policy = np.zeros(permitted.shape)
        policy[here, np.where(permitted[here, chosen], chosen, 0)] = 1.0
        return policy


def evenly(permitted: Flags) -> Floats:
    """Return the policy that says any action that may be said, each as likely, (rows, actions); nothing where none."""
    some = permitted.astype(np.float64)
    some[:, 0] = ~permitted[:, 1:].any(axis=1)
    return np.asarray(some / some.sum(axis=1, keepdims=True))


def always_nothing(rows: int, actions: int) -> Floats:
    """Return the policy that never says anything, (rows, actions)."""
    policy = np.zeros((rows, actions))
    policy[:, 0] = 1.0
    return policy
