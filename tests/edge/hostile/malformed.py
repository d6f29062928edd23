"""Malformed inputs without end: for any method, each surely against the contract, with how it must be refused.

What is wrong is known from how an input was made, never from the answer to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from google.protobuf.descriptor import Descriptor, FileDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from service.rpc.methods import CONTRACT
from tests.edge.hostile import wire
from tests.edge.hostile.fields import NO_RULES, RULES
from tests.edge.hostile.good import messages, named
from tests.edge.hostile.rules import Loose, free, within

_THEIRS: Any = (health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR)  # upb's types
_FILES: tuple[FileDescriptor, ...] = (*CONTRACT, *_THEIRS)
METHODS: tuple[MethodDescriptor, ...] = tuple(
    method
    for file in _FILES
    for service in file.services_by_name.values()
    for method in service.methods
    if method.full_name != "grpc.health.v1.Health.List"  # which is not served
)
ITEMS = {
    "DecideBatches": "requests",
    "RecordEvents": "events",
    "RecordEventsStream": "events",
    "RecordOutcomes": "outcomes",
    "RecordPredictions": "predictions",
    "ReportSupply": "reports",
}
"""The methods that answer each entry of a batch for itself, with the field of the entries."""

CUT_APART = frozenset({"DecideBatches", "RecordEvents", "RecordEventsStream"})
"""Those of them that do so also for an entry that cannot be decoded; the others refuse the whole batch then."""

BATCHES = {**ITEMS, "FinishChanges": "changes", "ListErased": "customer_ids", "Acknowledge": "acknowledgements",
           "ReleaseDeadMoments": "moments"}  # fmt: skip
MAPS = {"RecordEvents": "attributes", "RecordEventsStream": "attributes", "RecordPredictions": "values"}
"""The batches whose entries have a map."""

MOST_BYTES = 65_536
MOST_BATCH_BYTES = 524_288


@dataclass(frozen=True, slots=True)
class Malformed:
    """One input. `path` is what the refusal must name: unset where the bytes cannot be decoded, and then any will do.

    `for_item` says that not the call is refused but the item, `for_size` that it is too long for gRPC itself.
    """

    method: MethodDescriptor
    raw: bytes
    way: str
    path: str | None = None
    for_item: bool = False
    for_size: bool = False


def malformed(seed: int, count: int) -> Iterator[Malformed]:
    """Make so many inputs, for every method in turn; the same ones for the same seed and second."""
    rng, maker = Random(seed), Maker(messages())
    for place in range(count):
        yield maker.make(rng, METHODS[place % len(METHODS)])


class Maker:
    """Makes malformed inputs from good messages by the method's name."""

    def __init__(self, good: Mapping[str, Message]) -> None:
        self._good = good
        self._spoilers = {named(method): _spoilers(method.input_type) for method in METHODS}

    def make(self, rng: Random, method: MethodDescriptor) -> Malformed:
        """Spoil a good message of a method, by what it says or by its bytes."""
        draw = rng.random()
        if draw < 0.55 and self._spoilers[named(method)]:
            return self._said_wrongly(rng, method)
        if draw < 0.7 and (found := self._text_that_is_none(rng, method)):
            return found
        if draw < 0.705:
            return self._too_long(rng, method)
        if draw < 0.71 and (found := self._flooded(rng, method)):
            return found
        return self._undecodable(rng, method)

    def _new(self, method: MethodDescriptor) -> Message:
        copy = GetMessageClass(method.input_type)()
        copy.CopyFrom(self._good[named(method)])
        return copy

    def _said_wrongly(self, rng: Random, method: MethodDescriptor) -> Malformed:
        message = self._new(method)
        steps, field = rng.choice(self._spoilers[named(method)])
        holder, path = _reached(message, steps)
        rule = RULES[holder.DESCRIPTOR.name][field]
        path += rule(rng, holder, field)
        for_item = method.name == "DecideStream"
        if method.name in ITEMS:
            for_item, path = True, path.partition(".")[2]
        raw = message.SerializeToString()
        if rng.random() < 0.1:  # what a later version of the contract may add
            raw += wire.field(rng.randrange(1_000, 9_000), rng.randbytes(rng.randrange(60)))
        return Malformed(method, raw, f"{holder.DESCRIPTOR.name}.{field}", path, for_item)

    def _text_that_is_none(self, rng: Random, method: MethodDescriptor) -> Malformed | None:
        """Add a text that is not UTF-8, to the message or to its entry."""
        message, entries = self._new(method), ITEMS.get(method.name)
        inner = getattr(message, entries)[0] if entries else message
        texts = [field for field in inner.DESCRIPTOR.fields if field.type == field.TYPE_STRING]
        if not texts:
            return None
        field = rng.choice(texts)
        path = f"{field.name}[{len(getattr(inner, field.name))}]" if field.is_repeated else field.name
        raw = inner.SerializeToString() + wire.field(field.number, rng.choice(wire.NOT_UTF_8))
        if entries:
            raw = wire.field(method.input_type.fields_by_name[entries].number, raw)
        if entries and method.name not in CUT_APART:
            path = f"{entries}[0].{path}"
        return Malformed(method, raw, "not UTF-8", path, method.name in CUT_APART or method.name == "DecideStream")

    def _undecodable(self, rng: Random, method: MethodDescriptor) -> Malformed:
        good, entries = self._new(method), ITEMS.get(method.name)
        if entries and rng.random() < 0.5:
            raw = wire.undecodable(rng, getattr(good, entries)[0].SerializeToString())
            number = method.input_type.fields_by_name[entries].number
            for_item = method.name in CUT_APART
            return Malformed(method, wire.field(number, raw), "broken entry", None, for_item)
        raw = wire.undecodable(rng, good.SerializeToString())
        return Malformed(method, raw, "broken", None, for_item=method.name == "DecideStream")

    def _too_long(self, rng: Random, method: MethodDescriptor) -> Malformed:
        """Make a good message longer than is allowed by bytes that say nothing: by one byte, or by far."""
        good, beyond = self._new(method).SerializeToString(), rng.choice((1, 2, 1_000))
        if method.name in BATCHES:
            raw = wire.padded(good, MOST_BATCH_BYTES + beyond)
            return Malformed(method, raw, "too long", None, for_size=True)
        raw = wire.padded(good, MOST_BYTES + beyond)
        return Malformed(method, raw, "too long", "", for_item=method.name == "DecideStream")

    def _flooded(self, rng: Random, method: MethodDescriptor) -> Malformed | None:
        """Fill a list with as many empty entries as there is room for; none where the contract sets no bound."""
        lists = [field for field in method.input_type.fields if field.is_repeated]
        if not lists:
            return None
        if method.name in MAPS and rng.random() < 0.3:
            return self._flooded_map(method)
        field, good = rng.choice(lists), self._new(method).SerializeToString()
        room = (MOST_BATCH_BYTES if method.name in BATCHES else MOST_BYTES) - len(good) - 8
        if field.type == field.TYPE_ENUM:
            return Malformed(method, good + wire.field(field.number, b"\x01" * room), "flood", field.name)
        one = wire.field(field.number, b"")
        for_item = method.name == "DecideStream"
        return Malformed(method, good + one * (room // len(one)), "flood", f"{field.name}*", for_item)

    def _flooded_map(self, method: MethodDescriptor) -> Malformed:
        """Fill the map of the only entry of a batch with the empty name, over and over."""
        entries, name = ITEMS[method.name], MAPS[method.name]
        entry, outer = getattr(self._new(method), entries)[0], method.input_type.fields_by_name[entries]
        raw = entry.SerializeToString()
        empty = wire.field(entry.DESCRIPTOR.fields_by_name[name].number, b"")
        raw += empty * ((MOST_BATCH_BYTES - len(raw) - 16) // len(empty))
        return Malformed(method, wire.field(outer.number, raw), "flood", f"{name}*", for_item=True)


def _reached(message: Loose, steps: tuple[Any, ...]) -> tuple[Loose, str]:
    """Return the message within a message, and its path so far."""
    path = ""
    for step in steps:
        message, path = getattr(message, step.name), f"{path}{step.name}"
        if step.is_repeated:
            message, path = message[0], f"{path}[0]"
        path += "."
    return message, path


def _spoilers(descriptor: Descriptor, steps: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], str]]:
    """Return every field that has a rule, with the way to it."""
    found: list[tuple[tuple[Any, ...], str]] = []
    for field in descriptor.fields:
        if RULES[descriptor.name][field.name] not in (free, within):
            found.append((steps, field.name))
        inner = field.message_type
        if inner is not None and inner.full_name not in NO_RULES and inner.name in RULES:
            found += _spoilers(inner, (*steps, field))
    return found
