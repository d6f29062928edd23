"""Supply and demand of the contract to core values and back."""

from __future__ import annotations

import re
from collections.abc import Collection

from service.core.supplies import DemandTold, SupplyFate, SupplyReport, SupplyStatus
from service.errors import Violation
from service.rpc import checks
from service.rpc.checks import Findings, Refused
from tact.v1 import supply_pb2 as pb

MAX_NAME_BYTES = 64
MAX_AVAILABLE = 1_000_000_000
MAX_ITEMS = 64
LONGEST_HELD_MS = 366 * 86_400_000
_VIOLATIONS_A_REPORT = 4
_CLOCKS_DIFFER_MS = 300_000
_CURSOR = re.compile(r"(0|[1-9][0-9]{0,14})-(0|[1-9][0-9]{0,14})-([1-9][0-9]{0,14})", re.ASCII)
_STATUS = {SupplyStatus.STORED: pb.SUPPLY_STATUS_STORED, SupplyStatus.REPEATED: pb.SUPPLY_STATUS_REPEATED}
_REFUSED = {
    SupplyStatus.OLDER: "is before that of the report in force; nothing changed. Count again and report that.",
    SupplyStatus.CONFLICT: "is that of the report in force, which says something else. Report what is counted later.",
}


def report_of(report: pb.SupplyReport, now_ms: int) -> SupplyReport:
    """Check a report and return it; raise `InvalidArgument` with every bad field."""
    found = Findings(_VIOLATIONS_A_REPORT)
    checks.check_id(found, "item", report.item, MAX_NAME_BYTES)
    checks.check_id(found, "place", report.place, MAX_NAME_BYTES)
    if not 0 <= report.available <= MAX_AVAILABLE:
        found.add("available", f"is out of range; it must be from 0 to {MAX_AVAILABLE:,}.")
    observed_ms = 0
    if report.HasField("observed_at"):
        observed_ms = checks.check_past(found, "observed_at", report.observed_at, now_ms)
    else:
        found.add("observed_at", "is required: when the units were counted.")
    expires_ms = _expires(found, report, now_ms, observed_ms)
    found.end()
    return SupplyReport(report.item, report.place, report.available, observed_ms, expires_ms)


def _expires(found: Findings, report: pb.SupplyReport, now_ms: int, observed_ms: int) -> int:
    if not report.HasField("expires_at"):
        found.add("expires_at", "is required: until when the number holds.")
        return 0
    try:
        at = checks.moment_ms(report.expires_at)
        if at <= now_ms:
            raise Refused("is over; send a report that still holds.")
        if at <= observed_ms:
            raise Refused("is not after observed_at.")
        if at > now_ms + LONGEST_HELD_MS:
            raise Refused("is more than 366 days away; report again before that.")
    except Refused as refused:
        found.add("expires_at", str(refused))
        return 0
    return at


def result_of(fate: SupplyFate) -> pb.SupplyResult:
    """Return what became of a report as the contract writes it."""
    if fate.status in _REFUSED:
        return refused_report((Violation("observed_at", _REFUSED[fate.status]),))
    return pb.SupplyResult(
        status=_STATUS[fate.status], free=fate.free, held=fate.held, accepted_since=fate.accepted_since
    )


def refused_report(violations: tuple[Violation, ...]) -> pb.SupplyResult:
    """Return the answer to a report that was bad."""
    return pb.SupplyResult(status=pb.SUPPLY_STATUS_REFUSED, violations=checks.violation_messages(violations))


def check_watch(request: pb.WatchDemandRequest, now_ms: int) -> None:
    """Raise `InvalidArgument` for a cursor that is none, and for items that cannot be."""
    found = Findings()
    if request.cursor and not _CURSOR.fullmatch(request.cursor):
        found.add("cursor", "is no cursor: send back that of the last message, or leave it out.")
    elif request.cursor and int(request.cursor.partition("-")[0]) > now_ms + _CLOCKS_DIFFER_MS:
        found.add("cursor", "is of a moment that has not come: send back that of the last message, or leave it out.")
    if len(request.items) > MAX_ITEMS:
        found.add("items", f"has {len(request.items)} entries; name {MAX_ITEMS} at most, or none for all.")
    else:
        for position, item in enumerate(request.items):
            checks.check_id(found, f"items[{position}]", item, MAX_NAME_BYTES)
    found.end()


def demand_message(told: DemandTold, items: Collection[str], *, gap: bool) -> pb.WatchDemandResponse | None:
    """Return what was told of the items (none named: of all), or None when nothing was."""
    wanted = [one for one in told.wanted if not items or one.item in items]
    if not wanted:
        return None
    demands = [
        pb.Demand(
            item=one.item,
            place=one.place,
            kind=pb.DemandKind.ValueType(one.kind),
            count=one.count,
            units=one.units,
        )
        for one in wanted
    ]
    at = checks.timestamp(told.at_ms)
    return pb.WatchDemandResponse(cursor=told.cursor, demands=demands, counted_at=at, gap=gap)
