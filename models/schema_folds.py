"""Read how events fold into a field, and check that the fold fits the event's attribute and the field's type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from models.context import Attribute, EventType, Fold, FoldKind, Scalar, ValueType
from models.records import Record
from models.shapes import CATEGORY, Flag, Misfit, Number, Reference, Shape, Whole, a, described, listed, nearest
from models.trees import Leaf, Node, shown

MOST_KEPT = 1_024
NUMBERS = (ValueType.INT, ValueType.DOUBLE)

_KEYS = (ValueType.STRING, ValueType.INT)
_ORDERED = (*NUMBERS, ValueType.TIMESTAMP)
_SINGLE = (ValueType.BOOL, *_ORDERED, ValueType.STRING)


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a kind of fold needs: types of the attribute it folds, the type it gives (unset: the attribute's), keys."""

    attribute: tuple[ValueType, ...]
    gives: ValueType | None
    keys: tuple[str, ...] = ()
    keep: int = 0


_RULES = {
    FoldKind.LAST: _Rule(_SINGLE, None),
    FoldKind.FIRST: _Rule(_SINGLE, None),
    FoldKind.MIN: _Rule(_ORDERED, None),
    FoldKind.MAX: _Rule(_ORDERED, None),
    FoldKind.COUNT: _Rule((), ValueType.INT),
    FoldKind.SUM: _Rule(NUMBERS, ValueType.DOUBLE),
    FoldKind.OPEN: _Rule(_KEYS, ValueType.INT, ("closed_by", "closed_key"), keep=64),
    FoldKind.DISTINCT: _Rule(_KEYS, ValueType.INT, keep=64),
    FoldKind.RECENT: _Rule((ValueType.STRING,), ValueType.STRINGS, keep=64),
    FoldKind.WINDOW_COUNT: _Rule((), ValueType.INT, ("window",), keep=256),
    FoldKind.WINDOW_SUM: _Rule(NUMBERS, ValueType.DOUBLE, ("window",), keep=256),
    FoldKind.RATE: _Rule((), ValueType.DOUBLE, ("window", "per"), keep=256),
    FoldKind.DECAY: _Rule(NUMBERS, ValueType.DOUBLE, ("half_life",)),
    FoldKind.SINCE: _Rule((), ValueType.DOUBLE),
}


def read_fold(
    record: Record, gives: ValueType | None, events: Mapping[str, EventType]
) -> tuple[Fold | None, Attribute | None]:
    """Return how events fold into a field of type `gives`, and the attribute that is folded; None where it is wrong."""
    kind = _kind(record)
    event = events.get(record.reference("event", [e for e in events if e], "event"))
    rule = _RULES[kind] if kind else None
    record.allow(*([] if kind else ["attribute", "closed_key", "keep"]))
    attribute = _folded(record, kind, event) if kind else None
    where = read_where(record, event)
    window = record.duration("window") if _belongs(record, "window", kind) else 0
    half_life = record.duration("half_life") if _belongs(record, "half_life", kind) else 0
    per = record.duration("per") if _belongs(record, "per", kind) else 0
    keep = record.whole("keep", rule.keep, 1, MOST_KEPT) if rule and rule.keep else 64
    closing = _closing(record, attribute, event, events) if _belongs(record, "closed_by", kind) else None
    _refuse_foreign_keys(record, kind)
    record.rest_is_refused()
    if not kind or not rule or not event:
        return None, attribute
    result = rule.gives or (attribute.type if attribute else gives)
    if gives and result and gives is not result:
        record.refuse(f"a fold of kind {kind} gives {result}, and the field is of type {gives}; write `type: {result}`")
    closed_by, closed_key = closing or (None, None)
    name = attribute.name if attribute else None
    return Fold(kind, event.id, name, where, closed_by, closed_key, window, half_life, keep, per), attribute


def _kind(record: Record) -> FoldKind | None:
    return record.value("kind", _Kind(), None, None)


class _Kind:
    """A kind of fold of events; what a model says is none."""

    wanted = f"write {listed([kind for kind in FoldKind if kind is not FoldKind.MODEL])}"

    def read(self, node: Node) -> FoldKind:
        """See Shape."""
        if isinstance(node, Leaf) and node.text == FoldKind.MODEL:
            raise Misfit("is what a model says, and no events fold into that; write `source: model` in place of `fold`")
        if isinstance(node, Leaf) and node.text in set(FoldKind):
            return FoldKind(node.text)
        raise Misfit(f"is {described(node)}; {self.wanted}")


def _belongs(record: Record, key: str, kind: FoldKind | None) -> bool:
    """Say whether a kind of fold has a key; where the kind is unknown, whether the key is there."""
    return key in _RULES[kind].keys if kind else record.has(key)


def _refuse_foreign_keys(record: Record, kind: FoldKind | None) -> None:
    """Refuse what belongs to folds of other kinds."""
    if kind is None:
        return
    rule = _RULES[kind]
    own = {*rule.keys, *(["keep"] if rule.keep else [])}
    for key in ("window", "per", "half_life", "closed_by", "closed_key", "keep"):
        if key not in own and record.has(key):
            record.refuse(f"a fold of kind {kind} has no `{key}`; remove it", key)


def _folded(record: Record, kind: FoldKind, event: EventType | None) -> Attribute | None:
    types = _RULES[kind].attribute
    if not types:
        if record.has("attribute"):
            record.refuse(f"a fold of kind {kind} looks at no attribute; remove `attribute`", "attribute")
        return None
    if event is None:
        record.allow("attribute")
        return None
    attribute = _attribute_of(record, "attribute", event)
    if attribute and attribute.type not in types:
        wanted = f"name one of type {listed(types)}"
        record.refuse(f"kind {kind} cannot fold `{attribute.name}`, {a(attribute.type)}; {wanted}", "attribute")
        return None
    return attribute


def _attribute_of(record: Record, key: str, event: EventType) -> Attribute | None:
    known = {attribute.name: attribute for attribute in event.attributes}
    return known.get(record.reference(key, list(known), f"attribute of {event.id}"))


def _closing(
    record: Record, opening: Attribute | None, event: EventType | None, events: Mapping[str, EventType]
) -> tuple[str, str] | None:
    closer = events.get(record.reference("closed_by", [e for e in events if e], "event"))
    if closer is None:
        record.allow("closed_key")
        return None
    if event and closer.id == event.id:
        record.refuse("what opens also closes; name the event that ends what the other one began", "closed_by")
    attribute = _attribute_of(record, "closed_key", closer)
    if not attribute:
        return None
    if opening and attribute.type is not opening.type:
        remedy = f"name an attribute of type {opening.type}, so that they can be matched"
        record.refuse(f"`{attribute.name}` is {a(attribute.type)} and `{opening.name}` is not; {remedy}", "closed_key")
    return closer.id, attribute.name


def read_where(record: Record, event: EventType | None) -> tuple[tuple[str, Scalar], ...]:
    """Return the values that attributes of an event must have, each checked against the event."""
    where = record.record("where", "condition on attributes", "")
    if not where or not event:
        return ()
    known = {attribute.name: attribute for attribute in event.attributes}
    found: list[tuple[str, Scalar]] = []
    for name, node in where.node.nodes.items():
        if name not in known:
            message = f"`where` names `{shown(name)}`, which is no attribute of {event.id}; {nearest(name, known)}"
            where.refuse(message, name)
            continue
        try:
            found.append((name, _comparable(known[name]).read(node)))
        except Misfit as misfit:
            where.refuse(f"`{name}` {misfit}", name)
    return tuple(found)


def _comparable(attribute: Attribute) -> Shape[Scalar]:
    """Return the shape of values that can equal an attribute's."""
    if attribute.values:
        return Reference(attribute.values, f"value of {attribute.name}")
    shapes: dict[ValueType, Callable[[], Shape[Scalar]]] = {
        ValueType.BOOL: Flag,
        ValueType.INT: Whole,
        ValueType.DOUBLE: Number,
        ValueType.STRING: lambda: CATEGORY,
    }
    if attribute.type not in shapes:
        raise Misfit(f"is {a(attribute.type)}, which has no equals here; compare {listed(list(shapes))}")
    return shapes[attribute.type]()
