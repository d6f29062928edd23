"""What docs/access.md says that each role may do is what it may, as far as people who look and moments go."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.rpc.access.roles import METHODS
from service.rpc.access.who import Role

PAGE = Path(__file__).parents[3] / "docs" / "access.md"
WORDS = {
    "tact.v1.JourneyService/SearchCustomers": "find customers",
    "tact.v1.JourneyService/GetJourney": "journeys",
    "tact.v1.InsightService/GetStrategy": "read the strategy",
    "tact.v1.InsightService/GetInsight": "insight",
    "tact.v1.TriggerService/Subscribe": "hear what is [due]",
    "tact.v1.TriggerService/ListDeadMoments": "moments that nobody could finish",
    "tact.v1.DecisionService/Watch": "watch,",
}


@pytest.mark.parametrize("role", list(Role))
def test_a_role_may_what_its_row_says(role: Role) -> None:
    """A method of the list has its words in the rows of its roles, and in no other."""
    (row,) = (line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{role}` |"))
    told = {method for method, words in WORDS.items() if words in row}
    assert told == {method for method in WORDS if role in METHODS[method]}
