"""The audit record: who changed which strategy, model, switch and consent, and who was erased, only ever added to.

Changes by operators and processes stand in one stream, chained as the log is (`chain.py`), so that whoever notes its
head elsewhere finds what was changed afterwards. A switch and its entry are written at once. Consents stand with their
customers: the last 100 changes of each, which go with an erasure, of which the record keeps a keyed digest.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeAlias

from service.core.audit import NOBODY, Audited, AuditPage, What, Who
from service.core.chain_walk import Found, Limits, Wrong
from service.core.chained import Gone, Link
from service.core.logged import NO_PLACE
from service.core.records import ConsentRecord
from service.store import keys
from service.store.calls import Calls
from service.store.chain import NEWEST, ChainStore
from service.store.connection import pack
from service.store.consents import consent_of
from service.store.kept import pairs
from service.store.suppression import Suppression

InForce: TypeAlias = tuple[tuple[str, str, str], Who]
"""The versions of the strategy, the model and the challenger that come into force, and who puts them there."""

VERSIONS = (What.STRATEGY, What.MODEL, What.CHALLENGER)
READ_AT_ONCE = 200
SCANNED_AT_ONCE = 1_000
STREAM = keys.audit_key()
PLACES = (STREAM, keys.head_key(STREAM))


class AuditStore:
    """Adds to the record and reads it. Raises a `StoreError` when the store does not do what it is asked."""

    def __init__(self, calls: Calls, suppression: Suppression, in_force: InForce | None = None) -> None:
        self._calls = calls
        self._suppression = suppression
        self._in_force = in_force

    async def note_in_force(self, deadline_s: float | None = None) -> None:
        """Note, once, what this store is put in force with, as far as something else was in force last."""
        if self._in_force is None:
            return
        versions, who = self._in_force
        told = [part for what, version in zip(VERSIONS, versions, strict=True) for part in (what.value, version)]
        await self._calls.function(
            "audit_in_force", (*PLACES, keys.in_force_key()), (who.by, who.origin, *told),
            about=STREAM, length=2, deadline_s=deadline_s,
        )  # fmt: skip
        self._in_force = None

    def digest(self, customer: str) -> str:
        """Return the keyed digest that the record has of a customer who was erased; empty without a key."""
        return self._suppression.digest(customer).hex() if self._suppression.has_key else ""

    async def note_erasure(self, customer: str, what: str, who: Who, deadline_s: float | None = None) -> None:
        """Note what becomes of an erasure: of a keyed digest of the customer, which tells nobody who it was."""
        told = (What.ERASURE.value, self.digest(customer), "", what, who.by, who.origin)
        await self._calls.function("audit_add", PLACES, told, about=STREAM, length=2, deadline_s=deadline_s)

    async def page(self, after: str = "", deadline_s: float | None = None) -> AuditPage:
        """Return the next of the record after a place; an empty place is the beginning."""
        reply = await self._calls.function(
            "log_page", (STREAM,), (after or NO_PLACE, READ_AT_ONCE), about=STREAM, length=2, deadline_s=deadline_s
        )
        entries = [(at.decode(), pairs(flat)) for at, flat in reply[1]]
        found = tuple(filter(None, (_audited(at, fields) for at, fields in entries)))
        last = entries[-1][0] if entries else after
        return AuditPage(found, last, len(entries) < READ_AT_ONCE, len(entries) - len(found))

    async def consents(self, customer: str, deadline_s: float | None = None) -> tuple[Audited, ...]:
        """Return how the consent of one id changed, the oldest first, as far as the last 100 changes go."""
        packed = await self._calls.call(pack("LRANGE", keys.history_key(customer), 0, -1), deadline_s)
        changes = list(filter(None, map(consent_of, packed)))
        before = ["", *(_level(one) for one in changes)]
        return tuple(
            Audited(
                What.CONSENT, customer, was, _level(one), one.arrived_ms or one.given_ms, Who(one.source, one.origin)
            )
            for was, one in zip(before, changes, strict=False)
        )

    async def consenting(self, deadline_s: float | None = None) -> AsyncIterator[str]:
        """Yield every id of which a consent is kept; one may come twice."""
        cursor, pattern = b"0", keys.histories()
        while True:
            command = pack("SCAN", cursor, "MATCH", pattern, "COUNT", SCANNED_AT_ONCE)
            cursor, found = await self._calls.call(command, deadline_s)
            for key in found:
                yield keys.customer_in(key)
            if cursor == b"0":
                return

    async def verify(self, anchor: Link | None = None, deadline_s: float | None = None) -> Found:
        """Follow the chain of the record to its beginning; an `anchor` is a head that was noted elsewhere.

        Nothing is ever erased from it, and it never was without links: what looks like that was done by somebody else.
        """
        chain = ChainStore(self._calls)
        found, before = await chain.check(STREAM, Limits(anchor=anchor), deadline_s), NEWEST
        while before and (found.erased or found.unchained):
            page = await chain.page_of(STREAM, before, deadline_s)
            for item in page.items:
                if isinstance(item, Gone):
                    found.add(item.at, Wrong.MISSING)
                elif item.link is None:
                    found.add(item.at, Wrong.UNLINKED)
            before = page.before
        return found


def _audited(at: str, fields: Mapping[bytes, Any]) -> Audited | None:
    try:
        subject, before, after, by, origin, why = (fields.get(name, b"").decode() for name in b"s f t b o y".split())
        what, at_ms = What(fields[b"w"].decode()), int(at.partition("-")[0])
    except (KeyError, ValueError):
        return None
    return Audited(what, subject, before, after, at_ms, Who(by, origin) if by or origin else NOBODY, why, at)


def _level(consent: ConsentRecord) -> str:
    return " + ".join((consent.level, *consent.channels))
