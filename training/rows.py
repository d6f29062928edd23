"""The rows that training reads: events and logged decisions, one JSON object a line, plain or gzip.

Files are read as streams, a line at a time. Every bad row is named with file and line; reading goes on until there are
enough of them to be worth mending.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Generic, Literal, TypeVar, cast

import msgspec

from models.context import Attribute, ContextSchema, Scalar, Source

from .errors import InputRefused
from .progress import Advance
from .values import Misfit, moment_ms, typed

_LONGEST_LINE = 1 << 20
_MOST_PROBLEMS = 20
_REPORTED_EVERY = 500

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class _EventLine(msgspec.Struct, forbid_unknown_fields=True):
    event_id: _Id
    customer_id: _Id
    type: str
    occurred_at: Any
    attributes: dict[str, Any] = {}


class _DecisionLine(msgspec.Struct, forbid_unknown_fields=True):
    decision_id: _Id
    customer_id: _Id
    at: Any
    channel: str
    action: _Id
    probability: Annotated[float, msgspec.Meta(gt=0, le=1)]
    context: dict[str, Any] = {}
    outcomes: dict[str, Literal[0, 1]] = {}
    amount: float | None = None


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event of one customer, typed as the strategy declares it."""

    id: str
    customer: str
    type: str
    at_ms: int
    attributes: Mapping[str, Scalar]


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """One logged decision; `action` is empty when nothing was said.

    `context` maps a field's index in the schema to the value that came with the request. `outcomes` says, an action id,
    whether its outcome happened.
    """

    id: str
    customer: str
    at_ms: int
    action: str
    context: Mapping[int, Scalar]
    outcomes: Mapping[str, int]


def read_events(path: Path, schema: ContextSchema, advance: Advance) -> Iterator[EventRow]:
    """Yield the events of a file in its order; raise `InputRefused` at its end, or earlier when many are bad."""
    return _rows(path, _Reader(_EventLine, lambda line: _event(line, schema)), advance)


def read_decisions(path: Path, schema: ContextSchema, advance: Advance) -> Iterator[DecisionRow]:
    """Yield the decisions of a file in its order; raise `InputRefused` at its end, or earlier when many are bad."""
    return _rows(path, _Reader(_DecisionLine, lambda line: _decision(line, schema)), advance)


def _event(line: _EventLine, schema: ContextSchema) -> EventRow:
    declared = schema.events.get(line.type)
    if declared is None:
        raise Misfit(f"the event {line.type!r} is not declared; declared are {', '.join(sorted(schema.events))}")
    attributes = {attribute.name: attribute for attribute in declared.attributes}
    values = {name: _attribute(name, value, attributes, line.type) for name, value in line.attributes.items()}
    absent = [name for name, attribute in attributes.items() if not attribute.optional and name not in values]
    if absent:
        raise Misfit(f"the event {line.type!r} lacks {', '.join(absent)}")
    return EventRow(line.event_id, line.customer_id, line.type, moment_ms(line.occurred_at), values)


def _attribute(name: str, value: object, attributes: Mapping[str, Attribute], event: str) -> Scalar:
    if name not in attributes:
        raise Misfit(f"the event {event!r} has no attribute {name!r}; it has {', '.join(attributes) or 'none'}")
    return _named(name, value, attributes[name])


def _decision(line: _DecisionLine, schema: ContextSchema) -> DecisionRow:
    said = "" if line.action == "nothing" else line.action
    strange = [action for action in line.outcomes if action != said] if said else []
    if strange:
        raise Misfit(f"the outcome of {strange[0]!r} stands in a row that says {said!r}; only its own may")
    context = dict(_requested(name, value, schema) for name, value in line.context.items())
    return DecisionRow(line.decision_id, line.customer_id, moment_ms(line.at), said, context, line.outcomes)


def _requested(name: str, value: object, schema: ContextSchema) -> tuple[int, Scalar]:
    index = schema.index.get(name)
    if index is None or schema.fields[index].source is not Source.REQUEST:
        raise Misfit(f"{name!r} is no field that comes with a request; declare it with `source: request`")
    return index, _named(name, value, schema.fields[index].bounds)


def _named(name: str, value: object, declared: Attribute) -> Scalar:
    try:
        return typed(value, declared)
    except Misfit as misfit:
        raise Misfit(f"{name!r}: {misfit}") from None


_Line = TypeVar("_Line")
_Row = TypeVar("_Row")


class _Reader(Generic[_Line, _Row]):
    """Turns a line of JSON into a row."""

    def __init__(self, kind: type[_Line], convert: Callable[[_Line], _Row]) -> None:
        self._decoder = msgspec.json.Decoder(kind)
        self._convert = convert

    def read(self, line: bytes) -> _Row:
        return self._convert(self._decoder.decode(line))


def _rows(path: Path, reader: _Reader[_Line, _Row], advance: Advance) -> Iterator[_Row]:
    problems: list[str] = []
    for number, line in _lines(path, advance):
        try:
            yield reader.read(line)
        except (Misfit, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            problems.append(f"{path.name}:{number}: {error}")
            if len(problems) == _MOST_PROBLEMS:
                raise InputRefused([*problems, "and maybe more: mend these first"]) from None
    if problems:
        raise InputRefused(problems)


def _lines(path: Path, advance: Advance) -> Iterator[tuple[int, bytes]]:
    """Yield number and bytes of every line that is not blank."""
    number = reported = 0
    try:
        with path.open("rb") as raw:
            stream = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw
            for number, line in enumerate(iter(lambda: stream.readline(_LONGEST_LINE + 1), b""), 1):
                if number % _REPORTED_EVERY == 0:
                    advance(raw.tell() - reported)
                    reported = raw.tell()
                if len(line) > _LONGEST_LINE:
                    raise InputRefused([f"{path.name}:{number}: the line is longer than {_LONGEST_LINE:,} bytes"])
                if line.strip():
                    yield number, line
            advance(raw.tell() - reported)
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputRefused([f"{path.name}:{number + 1}: cannot be read ({why})"]) from None
