"""What is told of admission: to Prometheus, and to a collector."""

from __future__ import annotations

from service.rpc.admission.admission import Admission
from service.rpc.admission.classes import CallClass
from service.telemetry.families import Family, Kind, Labels, Point


def families(admission: Admission) -> tuple[Family, ...]:
    """Return the numbers of now: the limit, and by class who is in work, waits, was admitted and was shed, and why."""
    shed = tuple(
        Point((("class", kind.label), ("reason", reason.value)), number)
        for (kind, reason), number in admission.shed.items()
    )
    limit = (Point((), admission.limit),)
    return (
        Family("tact.admission.limit", Kind.GAUGE, "{decision}", "How many decisions may be made at once.", limit),
        _by_class("working", Kind.GAUGE, "Decisions that are being made, by class.", admission.working),
        _by_class("waiting", Kind.GAUGE, "Decisions that wait for a place, by class.", admission.waiting),
        _by_class("admitted", Kind.COUNTER, "Decisions that had a place and gave it back.", tuple(admission.admitted)),
        Family("tact.admission.shed", Kind.COUNTER, "{decision}", "Decisions that were not begun, and why.", shed),
    )


def _by_class(name: str, kind: Kind, says: str, numbers: tuple[int, ...]) -> Family:
    points = tuple(Point(_label(one), numbers[one]) for one in CallClass)
    return Family(f"tact.admission.{name}", kind, "{decision}", says, points)


def _label(kind: CallClass) -> Labels:
    return (("class", kind.label),)
