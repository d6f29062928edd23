"""Outcomes are recorded first and remembered then: again where that failed, and never for what was not recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from service.core.loader import load_strategy
from service.core.records import OutcomeRecord, OutcomeStatus
from service.core.strategy import Strategy
from service.errors import CustomerErased, StoreError
from service.policy.remembering import Remembering
from tests.strategies import edited, write_strategy

SHOWN, CLICKED, ACCEPTED, REFUSED, NOT_NOW, NEVER = 1, 2, 3, 4, 5, 6
DECISION = "0a3f29c1e58b7d6402aa91c3f5"


@dataclass
class Recorded:
    """A store of outcomes that answers with a status and says what it was told."""

    status: OutcomeStatus = OutcomeStatus.STORED
    told: list[Any] = field(default_factory=list)

    async def record_outcome(self, outcome: OutcomeRecord, deadline_s: float | None = None) -> OutcomeStatus:
        """Record an outcome."""
        self.told.append(("recorded", outcome.kind))
        return self.status


@dataclass
class Remembered:
    """A memory that writes into the same list, and fails as often as it is told to."""

    told: list[Any]
    customer: str | None = "ada"
    failures: Sequence[Exception] = ()

    async def whose(self, decision_id: str, deadline_s: float | None) -> str | None:
        """Return the customer."""
        assert decision_id == DECISION
        return self.customer

    async def remember(self, customer: str, decision_id: str, action: str, *rest: object) -> None:
        """Remember, or fail."""
        if self.failures:
            failure, *self.failures = self.failures
            raise failure
        self.told.append(("remembered", customer, decision_id, action, *rest))


@pytest.fixture
def strategy(tmp_path: Path) -> Strategy:
    """Return the small strategy."""
    return load_strategy(write_strategy(tmp_path / "strategy"))


def outcome(kind: int, action: str = "fibre-upgrade", at_ms: int | None = None) -> OutcomeRecord:
    """Return an outcome of the decision."""
    return OutcomeRecord(DECISION, action, kind, at_ms, 0.0)


@pytest.mark.parametrize("kind", [ACCEPTED, REFUSED, NOT_NOW, NEVER])
@pytest.mark.parametrize("status", [OutcomeStatus.STORED, OutcomeStatus.REPEATED])
async def test_an_answer_is_recorded_first_and_then_remembered_with_the_person(
    strategy: Strategy, kind: int, status: OutcomeStatus
) -> None:
    """The memory hears of it under the decision's customer, with the action's group and intents, also when repeated."""
    told: list[Any] = []
    remembering = Remembering(Recorded(status, told), Remembered(told), strategy)
    assert await remembering.record_outcome(outcome(kind, at_ms=17), 0.5) is status
    heard = ("remembered", "ada", DECISION, "fibre-upgrade", kind, 17, "internet", ("upsell",), 0.5)
    assert told == [("recorded", kind), heard]


@pytest.mark.parametrize("status", [OutcomeStatus.UNKNOWN_DECISION, OutcomeStatus.CONFLICT])
async def test_what_was_not_recorded_is_not_remembered(strategy: Strategy, status: OutcomeStatus) -> None:
    """An unknown decision and a contradiction leave the memory as it is."""
    told: list[Any] = []
    remembering = Remembering(Recorded(status, told), Remembered(told), strategy)
    assert await remembering.record_outcome(outcome(REFUSED)) is status
    assert told == [("recorded", REFUSED)]


@pytest.mark.parametrize("kind", [SHOWN, CLICKED])
async def test_what_was_seen_is_remembered_only_where_a_cap_counts_it(
    strategy: Strategy, tmp_path: Path, kind: int
) -> None:
    """Where no cap counts what was shown or clicked, telling of it costs nothing more; where one does, it is heard."""
    told: list[Any] = []
    await Remembering(Recorded(told=told), Remembered(told), strategy).record_outcome(outcome(kind))
    assert told == [("recorded", kind)]
    caps = edited("caps", "    within: 7d\n", "    within: 7d\n    counts: shown\n    hold: 30m\n")
    counting = load_strategy(write_strategy(tmp_path / "counting", caps=caps))
    await Remembering(Recorded(told=told), Remembered(told), counting).record_outcome(outcome(kind))
    assert [name for name, *_ in told] == ["recorded", "recorded", "remembered"]


async def test_a_call_that_could_not_remember_fails_and_repeating_it_remembers(strategy: Strategy) -> None:
    """Whoever hears that it failed repeats the call, and then it counts, though it was recorded before."""
    told: list[Any] = []
    memory = Remembered(told, failures=[StoreError("gone")])
    remembering = Remembering(Recorded(told=told), memory, strategy)
    with pytest.raises(StoreError):
        await remembering.record_outcome(outcome(REFUSED))
    assert await remembering.record_outcome(outcome(REFUSED)) is OutcomeStatus.STORED
    assert [name for name, *_ in told] == ["recorded", "recorded", "remembered"]


@pytest.mark.parametrize("gone", ["the customer", "the decision"])
async def test_of_an_erased_customer_nothing_is_remembered_and_nothing_fails(strategy: Strategy, gone: str) -> None:
    """An outcome that arrives after the erasure is recorded nowhere else, and is no error."""
    told: list[Any] = []
    erased = Remembered(told, failures=[CustomerErased("gone")])
    memory = erased if gone == "the customer" else Remembered(told, customer=None)
    assert (
        await Remembering(Recorded(told=told), memory, strategy).record_outcome(outcome(NEVER)) is OutcomeStatus.STORED
    )
    assert told == [("recorded", NEVER)]


async def test_an_action_that_the_strategy_has_no_longer_is_remembered_by_its_id(strategy: Strategy) -> None:
    """An answer to what an earlier strategy said counts, without a group and intents."""
    told: list[Any] = []
    await Remembering(Recorded(told=told), Remembered(told), strategy).record_outcome(
        outcome(NEVER, "fax-machine"), 0.5
    )
    assert told[-1] == ("remembered", "ada", DECISION, "fax-machine", NEVER, None, "", (), 0.5)
