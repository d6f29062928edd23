"""The store's supply against the plain rule, for any order of what can happen to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.supplies import SupplyReport
from service.store.supply import SupplyStore
from tests.folding import DETERMINISTIC
from tests.store.running import Running, running
from tests.store.test_supply import HOUR_MS, end_holds, granted, new_place, now_ms, take


@pytest.fixture(scope="module")
def store(store_url: str) -> Iterator[Running]:
    """Return a running store."""
    with running(store_url) as one:
        yield one


@dataclass(slots=True)
class Plain:
    """The rule that the store must follow, told plainly. Times are minutes ago."""

    available: int = 0
    counted: int | None = None
    held: dict[str, int] = field(default_factory=dict)
    accepted: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def free(self) -> int:
        """What can be granted."""
        since = [units for units, at in self.accepted.values() if self.counted is None or at <= self.counted]
        return max(0, self.available - sum(self.held.values()) - sum(since))

    def report(self, available: int, counted: int) -> None:
        """Put a later report in force."""
        if self.counted is None or counted < self.counted:
            self.available, self.counted = available, counted

    def grant(self, decision: str, units: int) -> bool:
        """Hold units."""
        if decision in self.held or decision in self.accepted:
            return True
        if self.counted is None or self.free < units:
            return False
        self.held[decision] = units
        return True

    def accept(self, decision: str, units: int, at: int) -> None:
        """Keep units. What was held until now counts until the next report, whenever it is said to be accepted."""
        if decision not in self.accepted:
            latest = at if decision not in self.held or self.counted is None else min(at, self.counted)
            self.accepted[decision] = (self.held.pop(decision, units), latest)

    def end(self) -> None:
        """Let all holds end."""
        self.held.clear()


DECISIONS = st.sampled_from([f"d{n}" for n in range(3)])
STEPS = st.one_of(
    st.tuples(st.just("report"), st.integers(0, 12), st.integers(1, 30)),
    st.tuples(st.just("grant"), DECISIONS, st.integers(1, 4)),
    st.tuples(st.just("accept"), DECISIONS, st.integers(1, 4), st.integers(1, 60)),
    st.tuples(st.just("give_back"), DECISIONS),
    st.tuples(st.just("end")),
)


def step_in_store(store: Running, supply: SupplyStore, place: str, start: int, step: tuple[object, ...]) -> object:
    """Take a step in the store; minutes are counted back from `start`."""
    match step:
        case ("report", int(available), int(minutes)):
            at = start - minutes * 60_000
            return store.wait(supply.report(SupplyReport("truck", place, available, at, start + HOUR_MS))).free
        case ("grant", str(decision), int(units)):
            return granted(store, take(place, units), decision)
        case ("accept", str(decision), int(units), int(minutes)):
            store.wait(supply.accept(take(place, units), decision, start - minutes * 60_000))
        case ("give_back", str(decision)):
            store.wait(supply.give_back(take(place), decision))
        case _:
            end_holds(store, place)
    return None


def step_in_mind(plain: Plain, step: tuple[object, ...]) -> object:
    """Take the same step in the plain rule."""
    match step:
        case ("report", int(available), int(minutes)):
            plain.report(available, minutes)
            return plain.free
        case ("grant", str(decision), int(units)):
            return plain.grant(decision, units)
        case ("accept", str(decision), int(units), int(minutes)):
            plain.accept(decision, units, minutes)
        case ("give_back", str(decision)):
            plain.held.pop(decision, None)
        case _:
            plain.end()
    return None


@settings(DETERMINISTIC, max_examples=80)
@given(steps=st.lists(STEPS, min_size=10, max_size=30))
def test_the_store_follows_the_plain_rule(store: Running, steps: list[tuple[object, ...]]) -> None:
    """Whatever is reported, granted, accepted, given back and ended in whatever order: step by step the plain rule."""
    place, start, plain = new_place(), now_ms(), Plain()
    for step in steps:
        before = plain.free
        assert step_in_store(store, store.store.supply, place, start, step) == step_in_mind(plain, step)
        stock = store.wait(store.store.supply.stock("truck", place))
        assert (stock.free if stock else 0) == (plain.free if plain.counted is not None else 0)
        assert step[0] != "accept" or plain.free <= before, "nothing that is accepted makes more of it"
