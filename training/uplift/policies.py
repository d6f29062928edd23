"""Policies made of what actions are worth: the best that is worth more than saying nothing, else nothing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def best(worth: Floats, allowed: Flags) -> Floats:
    """Return the policy (n, actions) that says what is worth most over nothing, given these worths (n, actions).

    Where no allowed action is worth more than 0 it says nothing, so that nobody is woken to their own or our loss. NaN
    is never said. Column 0 is nothing.
    """
    open_to = np.where(allowed & ~np.isnan(worth), worth, -np.inf)
    open_to[:, 0] = 0.0
    return certain(open_to.argmax(axis=1), worth.shape[1])


def likeliest(chances: Floats, allowed: Flags) -> Floats:
    """Return the policy that says whatever is likeliest to be taken, given chances (n, actions); NaN is never said."""
    open_to = np.where(allowed & ~np.isnan(chances), chances, -np.inf)
    open_to[:, 0] = np.where(np.isinf(open_to[:, 1:]).all(axis=1), 0.0, -np.inf)
    return certain(open_to.argmax(axis=1), chances.shape[1])


def certain(codes: npt.NDArray[np.intp], actions: int) -> Floats:
    """Return the policy that surely says these actions, (n,) to (n, actions)."""
    policy = np.zeros((len(codes), actions))
    policy[np.arange(len(codes)), codes] = 1.0
    return policy
