"""Outcomes are recorded first and remembered then: again where that failed, and never for what was not recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from service.core.loader import load_strategy
from service.core.records import Came, OutcomeRecord, OutcomeStatus
from service.core.strategy import Strategy
from service.core.words import Spoken, Words
from service.errors import CustomerErased, StoreError
from service.policy.remembering import Remembering
from tests.strategies import write_strategy

SHOWN, CLICKED, ACCEPTED, REFUSED, NOT_NOW, NEVER = 1, 2, 3, 4, 5, 6
DECISION = "0a3f29c1e58b7d6402aa91c3f5"


@dataclass
class Recorded:
    """A store of outcomes that answers with a status and says what it was told."""

    status: OutcomeStatus = OutcomeStatus.STORED
    told: list[Any] = field(default_factory=list)
    strategy: str = ""
    reserved: bool = False

    async def recorded(self, outcome: OutcomeRecord, deadline_s: float | None = None) -> Came:
        """Record an outcome."""
        self.told.append(("recorded", outcome.kind))
        return Came(self.status, "ada", self.strategy, self.reserved)


@dataclass
class Remembered:
    """A memory that writes into the same list, and fails as often as it is told to."""

    told: list[Any]
    failures: Sequence[Exception] = ()

    async def remember(self, customer: str, decision_id: str, action: str, *rest: object) -> None:
        """Remember, or fail."""
        if self.failures:
            failure, *self.failures = self.failures
            raise failure
        self.told.append(("remembered", customer, decision_id, action, *rest))


@dataclass(frozen=True)
class Kept:
    """The words of versions that are kept."""

    words: Mapping[str, Words] = field(default_factory=dict)

    async def of(self, version: str, deadline_s: float | None) -> Words | None:
        """Return the words of a version."""
        return self.words.get(version)


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
    remembering = Remembering(Recorded(status, told), Remembered(told), strategy, Kept())
    assert await remembering.record_outcome(outcome(kind, at_ms=17), 0.5) is status
    heard = ("remembered", "ada", DECISION, "fibre-upgrade", kind, 17, "internet", ("upsell",), 0.5)
    assert told == [("recorded", kind), heard]


@pytest.mark.parametrize("status", [OutcomeStatus.UNKNOWN_DECISION, OutcomeStatus.CONFLICT])
async def test_what_was_not_recorded_is_not_remembered(strategy: Strategy, status: OutcomeStatus) -> None:
    """An unknown decision and a contradiction leave the memory as it is."""
    told: list[Any] = []
    remembering = Remembering(Recorded(status, told), Remembered(told), strategy, Kept())
    assert await remembering.record_outcome(outcome(REFUSED)) is status
    assert told == [("recorded", REFUSED)]


@pytest.mark.parametrize("kind", [SHOWN, CLICKED])
async def test_what_was_seen_is_remembered_only_where_its_decision_reserved_a_use_for_it(
    strategy: Strategy, kind: int
) -> None:
    """Where none was reserved, telling of it costs nothing more; where one was it counts, though no cap of the strategy
    in force counts what was shown or clicked.
    """
    told: list[Any] = []
    await Remembering(Recorded(told=told), Remembered(told), strategy, Kept()).record_outcome(outcome(kind))
    assert told == [("recorded", kind)]
    reserved = Recorded(told=told, reserved=True)
    await Remembering(reserved, Remembered(told), strategy, Kept()).record_outcome(outcome(kind))
    assert [name for name, *_ in told] == ["recorded", "recorded", "remembered"]


THEN = Spoken("offer", ("of-then",), (), "group-of-then")


@pytest.mark.parametrize("kind", [REFUSED, NOT_NOW, NEVER])
@pytest.mark.parametrize(
    ("action", "decided", "spoken", "filed"),
    [
        ("gone", "before@1", THEN, ("group-of-then", ("of-then",))),
        ("fibre-upgrade", "before@1", THEN, ("group-of-then", ("of-then",))),
        ("fibre-upgrade", "before@1", Spoken("offer", ("of-then",), (), ""), ("", ("of-then",))),
        ("fibre-upgrade", "before@1", Spoken("offer", ("of-then",), ()), ("internet", ("of-then",))),
        ("fibre-upgrade", "forgotten@1", THEN, ("internet", ("upsell",))),
        ("fibre-upgrade", "", THEN, ("internet", ("upsell",))),
        ("gone", "forgotten@1", THEN, ("", ())),
    ],
    ids=["withdrawn", "moved", "of-no-group", "words-without-groups", "not-kept", "unreadable", "unknown-to-all"],
)
async def test_a_no_is_filed_under_what_was_refused_as_it_was_then(
    strategy: Strategy, kind: int, action: str, decided: str, spoken: Spoken, filed: tuple[str, tuple[str, ...]]
) -> None:
    """The group and the intents are those of the version that decided; of now where its words are not kept."""
    told: list[Any] = []
    kept = Kept({"before@1": Words((), {action: spoken})})
    remembering = Remembering(Recorded(told=told, strategy=decided), Remembered(told), strategy, kept)
    await remembering.record_outcome(outcome(kind, action), 0.5)
    assert told[-1] == ("remembered", "ada", DECISION, action, kind, None, *filed, 0.5)


async def test_a_no_to_what_the_strategy_in_force_decided_asks_for_no_words(strategy: Strategy) -> None:
    """No further call of the store is made for it, nor for an answer that is no refusal."""
    told: list[Any] = []
    kept = Kept({name: Words((), {"fibre-upgrade": THEN}) for name in (strategy.version, "before@1")})
    for decided, kind in ((strategy.version, REFUSED), ("before@1", ACCEPTED)):
        recorded = Recorded(told=told, strategy=decided)
        await Remembering(recorded, Remembered(told), strategy, kept).record_outcome(outcome(kind))
        assert told[-1][-3:] == ("internet", ("upsell",), None)


async def test_a_call_that_could_not_remember_fails_and_repeating_it_remembers(strategy: Strategy) -> None:
    """Whoever hears that it failed repeats the call, and then it counts, though it was recorded before."""
    told: list[Any] = []
    memory = Remembered(told, failures=[StoreError("gone")])
    remembering = Remembering(Recorded(told=told), memory, strategy, Kept())
    with pytest.raises(StoreError):
        await remembering.record_outcome(outcome(REFUSED))
    assert await remembering.record_outcome(outcome(REFUSED)) is OutcomeStatus.STORED
    assert [name for name, *_ in told] == ["recorded", "recorded", "remembered"]


async def test_of_an_erased_customer_nothing_is_remembered_and_nothing_fails(strategy: Strategy) -> None:
    """An outcome that arrives after the erasure is recorded nowhere else, and is no error."""
    told: list[Any] = []
    erased = Remembered(told, failures=[CustomerErased("gone")])
    remembering = Remembering(Recorded(told=told), erased, strategy, Kept())
    assert await remembering.record_outcome(outcome(NEVER)) is OutcomeStatus.STORED
    assert told == [("recorded", NEVER)]


async def test_an_action_that_the_strategy_has_no_longer_is_remembered_by_its_id(strategy: Strategy) -> None:
    """An answer to what an earlier strategy said counts, without a group and intents."""
    told: list[Any] = []
    await Remembering(Recorded(told=told), Remembered(told), strategy, Kept()).record_outcome(
        outcome(NEVER, "fax-machine"), 0.5
    )
    assert told[-1] == ("remembered", "ada", DECISION, "fax-machine", NEVER, None, "", (), 0.5)
