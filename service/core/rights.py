"""What is kept about one customer, and what an erasure removed. Frozen values only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from msgspec import Struct
from msgspec.structs import astuple

from service.core.decision import Committed
from service.core.memory import Contact, Promised, Refusal
from service.core.plan import Entry
from service.core.records import ConsentRecord, Happened


class KeptReservation(Struct, frozen=True):
    """A contact that counts for a counter: reserved at a moment until its hold ends (ms), waiting for an outcome of
    kind `on`; or there for good, then `at_ms` is when that outcome came, and the other two are 0. `mark` finds it.
    """

    counter: str
    at_ms: int
    ends_ms: int
    on: int
    mark: bytes


class Kept(Struct, frozen=True):
    """Everything that stands in keys of one id's own, whatever the consent allows to be used.

    `groups` has the packed field states by the name they stand under, `counters` the times (ms) of use by cap counter,
    `elsewhere` those under other ids of the person as (origin, counter, times), `origin` the random name of this id's
    own, empty for one that was never linked; `aliases` the ids that are linked to this one with the moments,
    `alias_of` the id that this one is linked to, if it is; `event_ids` how many ids of events are remembered,
    `changed` whether predictions wait to be made anew. `erased_ms` is set for an erased customer of whom nothing is
    kept. `log_end` and `out_end` are where the streams of the customer's bucket ended. `remnants` is what stands
    there and cannot be read, by its name. `refusals`, `promised`, `reserved` and `last` are what is remembered of what
    was said and answered. `happened` are the events that are kept for the journey.
    """

    now_ms: int
    erased_ms: int | None
    consent: ConsentRecord | None
    changes: tuple[ConsentRecord, ...]
    groups: Mapping[str, bytes]
    counters: Mapping[str, tuple[int, ...]]
    elsewhere: tuple[tuple[str, str, tuple[int, ...]], ...]
    origin: str
    aliases: tuple[tuple[str, int], ...]
    alias_of: str
    event_ids: int
    changed: bool
    log_end: str
    out_end: str
    remnants: Mapping[str, bytes]
    refusals: tuple[Refusal, ...] = ()
    promised: tuple[Promised, ...] = ()
    reserved: tuple[KeptReservation, ...] = ()
    last: Contact | None = None
    happened: tuple[Happened, ...] = ()

    @property
    def remembered(self) -> int:
        """Return how much is remembered of what was said and answered."""
        return len(self.refusals) + len(self.promised) + len(self.reserved) + (self.last is not None)


class KeptDecision(Struct, frozen=True):
    """One logged decision. `entry` and `committed` are unset when it cannot be read; `raw` is what is logged then."""

    logged_ms: int
    entry: Entry | None
    committed: Committed | None
    raw: bytes = b""


class KeptOutcome(Struct, frozen=True):
    """One recorded outcome: `kind` as in the public contract, when it happened and when it arrived (ms), its worth."""

    decision_id: str
    action: str
    kind: int
    at_ms: int
    arrived_ms: int
    amount: float


class Erased(Struct, frozen=True):
    """What an erasure removed, a number a kind, and since when (ms) the customer stays suppressed.

    `decisions` are entries of the log, `repeatable` those of them that could still be repeated under their key,
    `outcome_records` what stood beside decisions to know an outcome that is repeated, `holds` units of supply that were
    given back, `remembered` refusals, promises, reserved contacts and the latest contact, `happened` events of the
    journey, `moments` what triggers knew of.
    """

    identities: tuple[str, ...]
    erased_ms: int
    fields: int
    consents: int
    counters: int
    event_ids: int
    change_marks: int
    decisions: int
    repeatable: int
    outcomes: int
    outcome_records: int
    links: int
    holds: int
    remembered: int
    happened: int = 0
    moments: int = 0

    @classmethod
    def total(cls, parts: Sequence[Self]) -> Self:
        """Add up what was removed under several ids."""
        numbers = zip(*[astuple(part)[2:] for part in parts], strict=True)
        identities = tuple(one for part in parts for one in part.identities)
        return cls(identities, max(part.erased_ms for part in parts), *map(sum, numbers))
