"""Read what happened in a case, and tell whether a trigger is due by that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from models.context import EventType, Scalar
from models.records import Record, record_of
from models.shapes import Misfit, nearest
from models.trees import shown
from service.cases.case import Happened
from service.cases.facts import shape_of
from service.core.due_ruling import Dues, Ruled
from service.core.snapshot import Snapshot
from service.core.strategy import Strategy
from service.core.triggers import ALL, NOTHING_BEGUN, Arm, Arming, Cell, Moment, armed, changed

DUE = "due"
NOT_ARMED = "not-armed"
WHY_NOT = (NOT_ARMED, *(ruled.replace("_", "-") for ruled in Ruled if ruled is not Ruled.SAY))
"""What a case may name as the reason for which a trigger is not due."""


def read_happened(record: Record, strategy: Strategy, now_ms: int) -> tuple[Happened, ...]:
    """Return what happened, in the order in which it is written: that is the order in which it came to be known."""
    nodes = record.items("happened", "write a list, each event after a dash", required=record.has("happened"))
    records = (record_of(node, "event that happened", record.problems) for node in nodes)
    found = (_happened(one, strategy, now_ms) for one in records if one)
    return tuple(one for one in found if one)


def _happened(record: Record, strategy: Strategy, now_ms: int) -> Happened | None:
    events = strategy.schema.events
    event = events.get(record.reference("event", list(events), "event"))
    ago_ms = record.duration("ago") if record.has("ago") else 0
    attributes = _attributes(record, event, now_ms)
    record.rest_is_refused()
    return Happened(event.id, ago_ms, attributes) if event else None


def _attributes(record: Record, event: EventType | None, now_ms: int) -> Mapping[str, Scalar]:
    """Return the attributes that are told; the others of an event do not matter to the case."""
    parts = record.record("with", "`with` mapping", "")
    if parts is None or event is None:
        return {}
    known, found = {one.name: one for one in event.attributes}, dict[str, Scalar]()
    for name, node in parts.node.nodes.items():
        if name not in known:
            parts.refuse(f"{event.id} has no attribute `{shown(name)}`; {nearest(name, list(known))}", name)
            continue
        try:
            found[name] = shape_of(known[name], known[name].type, name, now_ms).read(node)
        except Misfit as misfit:
            parts.refuse(f"`{name}` {misfit}", name)
    return found


class DueThen:
    """Tells of which triggers of a strategy the time has come."""

    def __init__(self, strategy: Strategy) -> None:
        self._arming = Arming(strategy.triggers)
        self._dues = Dues(strategy)

    def outcome(self, trigger: str, happened: Sequence[Happened], snapshot: Snapshot) -> str:
        """Return `DUE`, or why it is not: what became of the moment that came nearest to it."""
        rulings = [self._dues.ruled(moment, snapshot) for moment in self._moments(trigger, happened, snapshot.now_ms)]
        if any(ruling.ruled is Ruled.SAY for ruling in rulings):
            return DUE
        return rulings[-1].ruled.replace("_", "-") if rulings else NOT_ARMED

    def _moments(self, trigger: str, happened: Sequence[Happened], now_ms: int) -> Iterator[Moment]:
        cells: dict[str, Cell] = {}
        arms: dict[str, Arm] = {}
        for one in happened:
            for change in self._arming.changes(one.event, one.attributes, now_ms - one.ago_ms):
                if change.trigger != trigger:
                    continue
                cells[change.key] = changed(cells.get(change.key, NOTHING_BEGUN), change)
                if isinstance(change, Arm):
                    arms[change.key] = change
        of_all = cells.get(ALL, NOTHING_BEGUN)
        found = (armed(trigger, key, cells[key], arm, of_all) for key, arm in arms.items())
        return (moment for moment in found if moment)
