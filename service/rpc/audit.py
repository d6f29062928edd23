"""AuditService: who changed what, when and from where."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass

from service.core.audit import Audited, What
from service.core.chain_walk import Found
from service.core.chained import Link
from service.core.logged import is_place
from service.errors import Forbidden
from service.rpc import checks
from service.rpc.access.gate import at_hand
from service.rpc.access.who import Role
from service.rpc.checks import Findings, moment_ms, timestamp
from service.rpc.edge import Current, Edge
from service.rpc.wrapper import TimeToEnd
from tact.v1 import audit_pb2 as pb

MOST_KINDS = 16
KINDS = {What(name.removeprefix("AUDIT_KIND_").lower()): number for name, number in pb.AuditKind.items() if number}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of the record is asked for; moments (ms) are None for no bound."""

    after: str
    from_ms: int | None
    until_ms: int | None
    kinds: frozenset[What]
    customer: str
    anchor: Link | None
    digest: str = ""

    @classmethod
    def of(cls, request: pb.ReadAuditRequest, digest: Callable[[str], str]) -> Wanted:
        """Check a request and return what it asks; raise `InvalidArgument` with every bad field."""
        found, kinds = Findings(), set()
        named = {number: what for what, number in KINDS.items()}
        if request.after and not is_place(request.after):
            found.add("after", "is no position of the record; send one as it was told, or none.")
        if len(request.kinds) > MOST_KINDS:
            found.add("kinds", f"has {len(request.kinds)} entries; at most {MOST_KINDS} are allowed.")
        for place, number in enumerate(request.kinds[:MOST_KINDS]):
            if number in named:
                kinds.add(named[number])
            else:
                found.add(f"kinds[{place}]", f"{number} is no kind; see AuditKind.")
        if request.customer_id:
            checks.check_id(found, "customer_id", request.customer_id, checks.MAX_CUSTOMER_BYTES)
        bounds = [_moment(found, request, name) for name in ("from", "until")]
        anchor = Link.parse(request.head.encode()) if request.head else None
        if request.head and anchor is None:
            found.add("head", "is no head; send it as it was told.")
        found.end()
        wanted = frozenset(kinds) or frozenset(What) - {What.CONSENT}
        return cls(
            request.after, bounds[0], bounds[1], wanted, request.customer_id, anchor, digest(request.customer_id)
        )

    def takes(self, one: Audited) -> bool:
        """Tell whether a change is asked for."""
        early = self.from_ms is not None and one.at_ms < self.from_ms
        late = self.until_ms is not None and one.at_ms >= self.until_ms
        other = one.what is What.ERASURE and bool(self.customer) and one.subject != self.digest
        return one.what in self.kinds and not (early or late or other)


class Audits:
    """Answers the calls of AuditService."""

    def __init__(self, current: Current) -> None:
        self._current = current

    async def read_audit(self, request: pb.ReadAuditRequest, left: TimeToEnd) -> AsyncGenerator[pb.AuditItem, None]:
        """Tell what was changed, then whether the record is as it was written."""
        edge = self._current.edge
        wanted = Wanted.of(request, edge.stores.audit.digest)
        self._check(wanted)
        unreadable, more, after = 0, True, wanted.after
        while more:
            page = await edge.stores.audit.page(after, left())
            for one in filter(wanted.takes, page.found):
                yield pb.AuditItem(record=_record(one))
            unreadable, after, more = unreadable + page.unreadable, page.last, not page.ends
        if What.CONSENT in wanted.kinds:
            async for one in _consents(edge, wanted, left):
                yield pb.AuditItem(record=_record(one))
        yield pb.AuditItem(end=_end(await edge.stores.audit.verify(wanted.anchor, left()), unreadable))

    def _check(self, wanted: Wanted) -> None:
        """Raise `Forbidden` where somebody asks about customers who is not there for them."""
        about_customers = bool(wanted.customer) or What.CONSENT in wanted.kinds
        if self._current.access is None or not about_customers:
            return
        if at_hand().role is not Role.PRIVACY_OFFICER:
            raise Forbidden
        if wanted.customer:
            self._current.check(wanted.customer)


def _moment(found: Findings, request: pb.ReadAuditRequest, name: str) -> int | None:
    if not request.HasField(name):  # type: ignore[arg-type]  # `from` and `until` are both fields
        return None
    try:
        return moment_ms(getattr(request, name))
    except checks.Refused as refused:
        found.add(name, str(refused))
        return None


async def _consents(edge: Edge, wanted: Wanted, left: TimeToEnd) -> AsyncIterator[Audited]:
    if wanted.customer:
        for one in filter(wanted.takes, await edge.stores.audit.consents(wanted.customer, left())):
            yield one
        return
    told: set[str] = set()
    async for customer in edge.stores.audit.consenting(left()):
        if customer in told:
            continue
        told.add(customer)
        for one in filter(wanted.takes, await edge.stores.audit.consents(customer, left())):
            yield one


def _record(one: Audited) -> pb.AuditRecord:
    return pb.AuditRecord(
        position=one.place,
        at=timestamp(one.at_ms),
        kind=pb.AuditKind.ValueType(KINDS[one.what]),
        subject=one.subject,
        before=one.before,
        after=one.after,
        by=one.who.by,
        origin=one.who.origin,
        because=one.because,
    )


def _end(found: Found, unreadable: int) -> pb.AuditEnd:
    faults = [pb.AuditFault(position=str(fault.at), wrong=fault.wrong.says) for fault in found.faults]
    head = str(found.head) if found.head else ""
    return pb.AuditEnd(head=head, entries=found.entries, faults=faults, unreadable=unreadable)
