"""Actionable: what somebody could bring about, and so may be told of as what would change an answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from models.context import Scalar

WAIT_MS = 90 * 86_400_000
"""How far ahead is looked where a strategy does not say how long one may wait."""
LARGEST = (1 << 63) - 1
MOST_STEPS = 1_000
"""How many steps of a fact are looked at, at most."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A field of the context that can be brought about: it is made one of the values `to`, or it goes by whole steps.

    `step` is what is added each time, below zero what is taken away, and 0 where the field is made one of `to`. It goes
    no further than `least` and `most`, nor further than `MOST_STEPS` steps. `says` names what is done.
    """

    field: str
    says: str
    to: tuple[Scalar, ...] = ()
    step: float = 0.0
    least: float | None = None
    most: float | None = None

    def reachable(self, value: Scalar | None) -> Iterator[tuple[int, Scalar]]:
        """Yield what the field can become from a value, as (steps, value), the fewest steps first.

        What is unknown can be made something, and nothing can be added to it.
        """
        if not self.step:
            yield from ((1, to) for to in self.to if to != value or type(to) is not type(value))
            return
        if value is None or isinstance(value, bool) or not isinstance(value, int | float):
            return
        for steps in range(1, MOST_STEPS + 1):
            found = value + steps * (int(self.step) if isinstance(value, int) else self.step)
            beyond = (self.least is not None and found < self.least) or (self.most is not None and found > self.most)
            if beyond or found == value or not -LARGEST <= found <= LARGEST:
                return
            yield steps, found


@dataclass(frozen=True, slots=True)
class Actionable:
    """What a strategy calls actionable: these facts, and what can be brought about wherever it is not ruled out.

    One may wait for `wait_ms` at most, 0 for not at all. `consent` says whether a customer may be asked for a higher
    consent level, `permission` whether for the permission to be contacted.
    """

    facts: tuple[Fact, ...] = ()
    wait_ms: int = WAIT_MS
    consent: bool = True
    permission: bool = True


ACTIONABLE = Actionable()
"""What is actionable where a strategy does not say."""
