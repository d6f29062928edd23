"""Audit: who changed what, when and from where. Frozen values only."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class What(StrEnum):
    """What was changed."""

    STRATEGY = "strategy"
    MODEL = "model"
    CHALLENGER = "challenger"
    SWITCH = "switch"
    ERASURE = "erasure"
    CONSENT = "consent"


class Who(Struct, frozen=True):
    """Who changes something: as they call themselves, or whom the process runs for, and from where: the host that
    calls, or the machine and process that does it by itself.
    """

    by: str = ""
    origin: str = ""


NOBODY = Who()


class Audited(Struct, frozen=True):
    """One change: of `subject` (an action, a customer, a digest of one who was erased; empty where there is but one of
    the kind), from `before` to `after`, when (ms), by whom, from where, and why, in their words. `place` is where it
    stands in the record; empty for consents, which stand with their customers.
    """

    what: What
    subject: str
    before: str
    after: str
    at_ms: int
    who: Who
    because: str = ""
    place: str = ""


class AuditPage(Struct, frozen=True):
    """Some of the record, the oldest first, and whether these were all; of entries, those that cannot be read count as
    `unreadable`.
    """

    found: tuple[Audited, ...]
    last: str
    ends: bool
    unreadable: int = 0
