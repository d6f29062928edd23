"""What of an evaluation is told as the value of a simulation: of which policies, and over which."""

from __future__ import annotations

from typing import Any

import pytest

from service.simulating.running import SimulationFailed
from service.simulating.valuing import in_value, valued


def arm(number: float, over: float) -> dict[str, Any]:
    """Return what an evaluation tells of an arm."""
    return {"refusal": "", "values": {"dr": {"value": number}, "ips": {"value": -1.0}}, "over_log": {"value": over}}


FOUND: dict[str, Any] = {
    "method": "dr", "rows": 9, "notes": [], "logged": {"value": 1.0},
    "arms": {"strategy": arm(3.0, 2.0), "against": arm(7.0, 6.0), "nothing": arm(0.0, -1.0)},
    "differences": [{"than": "random", "value": 11.0}, {"than": "against", "value": -4.0}],
}  # fmt: skip


def test_the_value_is_over_what_was_said() -> None:
    """Without another strategy a value stands beside what the log earned, and over it."""
    told = in_value(FOUND, compared=False)
    assert (told["strategy"]["value"], told["before"]["value"], told["over_before"]["value"]) == (3.0, 1.0, 2.0)


def test_the_value_is_over_the_other_strategy() -> None:
    """With another strategy it stands beside that one's value, and over it, not over the log."""
    told = in_value(FOUND, compared=True)
    assert (told["strategy"]["value"], told["before"]["value"], told["over_before"]["value"]) == (3.0, 7.0, -4.0)
    assert in_value({**FOUND, "differences": []}, compared=True)["over_before"] is None


def test_a_training_without_an_answer_is_no_value() -> None:
    """A valuing that dies or refuses its words is a failure, not a log that does not tell."""
    with pytest.raises(SimulationFailed, match="valuing ended with 2"):
        valued(["evaluate", "--memory", "nonsense"], compared=False)
