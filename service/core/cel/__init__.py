"""Conditions in CEL: checked by Google's library when a strategy is loaded, compiled once, three truth values."""

from service.core.cel.check import Checked, ConditionRefused, check_condition
from service.core.cel.emit import Conditions, Program

__all__ = ["Checked", "ConditionRefused", "Conditions", "Program", "check_condition"]
