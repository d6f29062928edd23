"""Conditions in CEL: checked by Google's library when a strategy is loaded, compiled once, three truth values."""

from service.core.cel.check import Checked, ConditionRefused, check_condition
from service.core.cel.columns import Rows
from service.core.cel.emit import Conditions, Program, Truth
from service.core.cel.masks import Masks

__all__ = ["Checked", "ConditionRefused", "Conditions", "Masks", "Program", "Rows", "Truth", "check_condition"]
