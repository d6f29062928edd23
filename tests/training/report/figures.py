"""One of each figure, from plain arrays; and each with nothing to draw."""

from __future__ import annotations

from functools import cache

import numpy as np

from training.report.figures import (
    Curve,
    Estimate,
    Figure,
    Forecasts,
    Group,
    InTime,
    by_day,
    calibration,
    coverage_of_actions,
    drift,
    fairness,
    feature_effects,
    from_what_to_what,
    gains_and_lift,
    learning_curve,
    off_policy_arms,
    reference,
    uplift_and_qini,
)

NAMES = (
    "arms", "calibration", "coverage", "days", "drift", "effects", "fairness", "flows", "gains", "learning", "uplift",
)  # fmt: skip
HOSTILE = '<script>alert("1")</script> & $x$ http://example.com/'


@cache
def every() -> dict[str, Figure]:
    """Draw one of each."""
    rng = np.random.default_rng(0)
    chance = rng.beta(1, 8, 2000)
    outcome = (rng.random(2000) < chance).astype(float)
    share = np.linspace(0.0, 1.0, 11)
    in_time = InTime(np.arange(8), np.full(8, 0.1), np.linspace(0.1, 0.3, 8), np.full(8, 0.02), "batches")
    return {
        "calibration": calibration([Forecasts("a", chance, outcome), Forecasts(HOSTILE, chance**2, outcome)]),
        "gains": gains_and_lift([Forecasts("a", chance, outcome)]),
        "uplift": uplift_and_qini(
            [Curve("dr", share, 2 - share)], [Curve("dr", share, share, share - 1, share + 1)], "$"
        ),
        "arms": off_policy_arms([Estimate("strategy", 1.9, 1.5, 2.3), Estimate("none", None, words="no support")], "$"),
        "drift": drift([("age", 0.02), (HOSTILE, 2.2)], in_time, 0.25, ("age moved",)),
        "effects": feature_effects([Estimate(f"f{i}", i - 20.0) for i in range(40)], "log odds"),
        "flows": from_what_to_what([("a", HOSTILE, 3), ("a", "a", 90), *((f"b{i}", "c", i) for i in range(1, 20))]),
        "days": by_day("uses", ["2026-06-01", "2026-06-02"], {"before": [1, 2], HOSTILE: [2, 0]}, "uses"),
        "coverage": coverage_of_actions(["nothing", "a"], [("the log", [0.5, 0.5]), ("the strategy", [1.0, 0.0])]),
        "fairness": fairness([Group("young", 10, (("said", 0.3),)), Group("old", 20, (("said", 0.4),))], "age"),
        "learning": learning_curve([Curve("Tact", [0, 1, 2], [1, 2, 3]), reference("best", 3.0, [0, 2])], "$"),
    }


@cache
def none() -> dict[str, Figure]:
    """Draw each from nothing."""
    empty = np.empty(0)
    return {
        "calibration": calibration([Forecasts("a", empty, empty)]),
        "gains": gains_and_lift([Forecasts("a", np.array([0.5]), np.array([0.0]))]),
        "uplift": uplift_and_qini([], [], "$"),
        "arms": off_policy_arms([], "$"),
        "drift": drift([], InTime([], [], [], []), 0.25),
        "effects": feature_effects([], "log odds"),
        "coverage": coverage_of_actions([], []),
        "days": by_day("uses", [], {}, "uses"),
        "flows": from_what_to_what([("a", "a", 90)]),
        "fairness": fairness([], "age"),
        "learning": learning_curve([], "$"),
    }
