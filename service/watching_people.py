"""Hear of what was written that can change the answer for a customer: what watches wait for.

What concerns one person is noted with them in the store under a number that only grows, as long as somebody listens and
for some minutes after that; whoever comes back names the last number that they saw and misses nothing. What concerns
everybody (supply, switches, versions) is told to all who listen, without a number.

docs/decisions/0053-hearing.md has the reasons and the figures.
"""

from __future__ import annotations

from typing import Final, Protocol

from msgspec import Struct

EVENT: Final = "event"
"""An event was folded; `name` is its type, `id` its own."""
CONSENT: Final = "consent"
"""The consent is another one; `name` is its level."""
OUTCOME: Final = "outcome"
"""An answer of the customer counts: a refusal, or the use of a cap. `name` is the action, `id` the decision."""
DECISION: Final = "decision"
"""A decision was committed and said or reserved something; `name` is the first action that it said, `id` its own."""
PREDICTION: Final = "prediction"
"""A model said something new; `name` is the field, the first of several."""
IDENTITY: Final = "identity"
"""Ids were linked or unlinked. Who listens by an id is moved on to the person that it belongs to from then on."""
ERASED: Final = "erased"
"""The customer was erased. Nothing more comes, and nothing is kept that says that somebody listened."""
SUPPLY: Final = "supply"
"""A stock was reported, ran out, or there is some again; `name` is item@place, both as in a URL."""
SWITCH: Final = "switch"
"""Something was switched off or on again; `name` is the action, empty for everything."""
VERSION: Final = "version"
"""Another strategy or model is in force here; `name` is the version of the strategy, `id` of the model."""
TIME: Final = "time"
"""Time alone changed something; nobody but the watch itself can tell."""
UNKNOWN: Final = "unknown"
"""More was written than is remembered, or what was cannot be told: decide anew, whatever it was."""

COMMON: Final = frozenset({SUPPLY, SWITCH, VERSION})
"""The kinds that concern everybody; their `seq` is 0."""


class Heard(Struct, frozen=True):
    """Something was written: under which number of the person's, of which kind, what, and when (ms, the store's clock).

    Nothing in it is personal but the ids that callers gave to events and decisions.
    """

    seq: int
    kind: str
    name: str
    id: str
    at_ms: int


class Listening(Protocol):
    """One who listens for one person, until it is closed."""

    @property
    def person(self) -> str:
        """The id that everything is decided under: another one from the moment that the customer is linked."""
        ...

    @property
    def seq(self) -> int:
        """The number of the last thing that was written, as far as it was handed out; never falls."""
        ...

    @property
    def missed(self) -> tuple[Heard, ...] | None:
        """What was written after `since`, the oldest first; unset where that is too long ago, or another person's."""
        ...

    async def wait(self) -> tuple[Heard, ...]:
        """Wait until there is anything new and return all of it, the oldest first; what comes meanwhile is kept.

        One at a time may wait. Never raises a `StoreError`: after an outage comes what was missed, or `UNKNOWN`. More
        than is remembered between two calls becomes `UNKNOWN` too. After `ERASED`, or `close`, returns `()` at once.
        """
        ...

    def close(self) -> None:
        """Listen no longer; who waits is let go. Once is enough, more does no harm."""
        ...


class Ears(Protocol):
    """Listens to the store for all watches of a process."""

    async def listen(self, customer: str, since: int | None = None, deadline_s: float | None = None) -> Listening:
        """Listen for the person behind an id from now on; raise a `StoreError` where the store does not answer in time.

        `since` is the last number that was seen, unset where nothing was. When this returns, everything that is
        committed from then on is heard: decide after it, not before.
        """
        ...
