"""The worth of every action by one boosted model of all: what trees see that lines do not. It does not serve."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..decisions import Decisions

Floats = npt.NDArray[np.float64]

_ROUNDS, _RATE, _LEAVES, _FEWEST, _SHRINKAGE = 200, 0.05, 8, 100, 50.0


def boosted_uplift(decisions: Decisions, x: Floats, seed: int = 0) -> Floats:
    """Learn E[worth | x, action] from decisions by one model; return its uplift over nothing for rows x, (n, actions).

    The action is told to the model as one column an action. An action that was never said gets NaN.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    known = decisions.part(~np.isnan(decisions.worth))
    model = HistGradientBoostingRegressor(
        max_iter=_ROUNDS,
        learning_rate=_RATE,
        max_leaf_nodes=_LEAVES,
        min_samples_leaf=_FEWEST,
        l2_regularization=_SHRINKAGE,
        early_stopping=False,
        random_state=seed,
    )
    codes = np.eye(len(decisions.actions))
    model.fit(np.concatenate((codes[known.action], known.x), axis=1), known.worth)
    told = [model.predict(np.concatenate((np.broadcast_to(code, (len(x), len(code))), x), axis=1)) for code in codes]
    worth = np.stack(told, axis=1)
    worth[:, ~np.isin(np.arange(len(codes)), known.action)] = np.nan
    return np.asarray(worth - worth[:, [0]])
