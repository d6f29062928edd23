"""All figures of a report, each made from plain arrays."""

from .bars import coverage_of_actions, fairness, feature_effects, off_policy_arms
from .curves import calibration, gains_and_lift, learning_curve, uplift_and_qini
from .flows import by_day, from_what_to_what
from .monitoring import InTime, drift
from .parts import Curve, Estimate, Figure, Forecasts, Group, reference

__all__ = [
    "Curve",
    "Estimate",
    "Figure",
    "Forecasts",
    "Group",
    "InTime",
    "by_day",
    "calibration",
    "coverage_of_actions",
    "drift",
    "fairness",
    "feature_effects",
    "from_what_to_what",
    "gains_and_lift",
    "learning_curve",
    "off_policy_arms",
    "reference",
    "uplift_and_qini",
]
