"""The rows that training reads: events, logged decisions and moments, one JSON object a line, plain or gzip.

Events and moments may also stand in CSV files, with a column `attributes.NAME` an attribute and `context.FIELD` a
field that came with a request; an empty cell is a value that is not there.

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

from models import bounds
from models.bounds import EventForm
from models.context import Attribute, ContextSchema, Scalar, Source

from .errors import InputRefused
from .progress import Advance
from .tables import cells_of, kind_of, part_of, plain, whole
from .values import Misfit, fits, happened_ms, typed

_LONGEST_LINE = 1 << 20
_MOST_PROBLEMS = 20
_REPORTED_EVERY = 500
_SHOWN = 48

_Line = TypeVar("_Line")
_Row = TypeVar("_Row")
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class _EventLine(msgspec.Struct, forbid_unknown_fields=True):
    event_id: str
    customer_id: str
    type: str
    occurred_at: Any
    attributes: dict[str, Any] = {}


class _DecisionLine(msgspec.Struct, forbid_unknown_fields=True):
    decision_id: _Id
    customer_id: str
    at: Any
    channel: str
    action: _Id
    probability: Annotated[float, msgspec.Meta(gt=0, le=1)]
    context: dict[str, Any] = {}
    outcomes: dict[str, Literal[0, 1]] = {}
    amount: float | None = None


class _MomentLine(msgspec.Struct):
    """Other keys are ignored, so that a file of decisions will do."""

    customer_id: str
    at: Any
    context: dict[str, Any] = {}


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
    whether its outcome happened. `probability` is that of the action, `amount` what it was worth, where that is told.
    """

    id: str
    customer: str
    at_ms: int
    action: str
    context: Mapping[int, Scalar]
    outcomes: Mapping[str, int]
    probability: float = 1.0
    amount: float | None = None


@dataclass(frozen=True, slots=True)
class MomentRow:
    """One moment (ms) of one customer; `context` is what came with the request then, by the field's index."""

    customer: str
    at_ms: int
    context: Mapping[int, Scalar]


def read_events(path: Path, schema: ContextSchema, advance: Advance) -> Iterator[EventRow]:
    """Yield the events of a file in its order; raise `InputRefused` at its end, or earlier when many are bad."""
    forms = bounds.event_forms(schema)
    return _rows(path, _Reader(_EventLine, lambda line: _event(line, forms), _event_cells(schema)), advance)


def read_moments(path: Path, schema: ContextSchema, advance: Advance) -> Iterator[MomentRow]:
    """Yield the moments of a file in its order; raise `InputRefused` at its end, or earlier when many are bad."""
    return _rows(path, _Reader(_MomentLine, lambda line: _moment(line, schema), _moment_cells(schema)), advance)


def read_decisions(path: Path, schema: ContextSchema, advance: Advance) -> Iterator[DecisionRow]:
    """Yield the decisions of a file in its order; raise `InputRefused` at its end, or earlier when many are bad."""
    return _rows(path, _Reader(_DecisionLine, lambda line: _decision(line, schema)), advance)


def read_rows(path: Path, kind: type[_Line], convert: Callable[[_Line], _Row], advance: Advance) -> Iterator[_Row]:
    """Yield the rows of any file of JSON lines; `convert` raises `Misfit` for one that is bad. As `read_events`."""
    return _rows(path, _Reader(kind, convert), advance)


def _event(line: _EventLine, forms: Mapping[str, EventForm]) -> EventRow:
    form = forms.get(line.type)
    if form is None:
        raise Misfit(f"the event {line.type[:_SHOWN]!r} is not declared; declared are {bounds.listed(forms)}")
    fits("event_id", bounds.wrong_name(line.event_id, bounds.EVENT_ID_BYTES))
    fits("customer_id", bounds.wrong_name(line.customer_id, bounds.CUSTOMER_BYTES))
    values = {name: _attribute(name, value, form, line.type) for name, value in line.attributes.items()}
    absent = [name for name in form.required if name not in values]
    if absent:
        raise Misfit(f"the event {line.type!r} lacks {', '.join(absent)}")
    return EventRow(line.event_id, line.customer_id, line.type, happened_ms("occurred_at", line.occurred_at), values)


def _attribute(name: str, value: object, form: EventForm, event: str) -> Scalar:
    declared = form.attributes.get(name)
    if declared is None:
        raise Misfit(f"the event {event!r} has no attribute {name[:_SHOWN]!r}; it has {bounds.listed(form.attributes)}")
    scalar = _named(name, value, declared)
    if name in form.summed:
        fits(repr(name), bounds.wrong_summed(scalar))
    return scalar


def _decision(line: _DecisionLine, schema: ContextSchema) -> DecisionRow:
    said = "" if line.action == "nothing" else line.action
    strange = [action for action in line.outcomes if action != said] if said else []
    if strange:
        raise Misfit(f"the outcome of {strange[0]!r} stands in a row that says {said!r}; only its own may")
    context = dict(_requested(name, value, schema) for name, value in line.context.items())
    fits("customer_id", bounds.wrong_name(line.customer_id, bounds.CUSTOMER_BYTES))
    at_ms = happened_ms("at", line.at)
    return DecisionRow(
        line.decision_id, line.customer_id, at_ms, said, context, line.outcomes, line.probability, line.amount
    )


def _moment(line: _MomentLine, schema: ContextSchema) -> MomentRow:
    context = dict(_requested(name, value, schema) for name, value in line.context.items())
    fits("customer_id", bounds.wrong_name(line.customer_id, bounds.CUSTOMER_BYTES))
    return MomentRow(line.customer_id, happened_ms("at", line.at), context)


def _requested(name: str, value: object, schema: ContextSchema) -> tuple[int, Scalar]:
    index = schema.index.get(name)
    if index is None or schema.fields[index].source is not Source.REQUEST:
        raise Misfit(f"{name[:_SHOWN]!r} is no field that comes with a request; declare it with `source: request`")
    return index, _named(name, value, schema.fields[index].bounds)


def _named(name: str, value: object, declared: Attribute) -> Scalar:
    try:
        return typed(value, declared)
    except Misfit as misfit:
        raise Misfit(f"{name!r}: {misfit}") from None


_Cells = Mapping[str, str]


def _event_cells(schema: ContextSchema) -> Callable[[_Cells], dict[str, Any]]:
    """Return what turns the cells of an event into the object that its JSON line would hold."""
    types = {event.id: {a.name: a.type for a in event.attributes} for event in schema.events.values()}

    def object_of(cells: _Cells) -> dict[str, Any]:
        own = types.get(cells.get("type", ""), {})
        given = part_of(cells, "attributes.")
        attributes = {name: plain(cell, own[name]) if name in own else cell for name, cell in given.items()}
        head = {name: cell for name, cell in cells.items() if not name.startswith("attributes.")}
        return {**head, "occurred_at": whole(head.get("occurred_at", "")), "attributes": attributes}

    return object_of


def _moment_cells(schema: ContextSchema) -> Callable[[_Cells], dict[str, Any]]:
    """Return what turns the cells of a moment into the object that its JSON line would hold."""
    types = {field.id: field.type for field in schema.fields}

    def object_of(cells: _Cells) -> dict[str, Any]:
        given = part_of(cells, "context.")
        context = {name: plain(cell, types[name]) if name in types else cell for name, cell in given.items()}
        return {**cells, "at": whole(cells.get("at", "")), "context": context}

    return object_of


class _Reader(Generic[_Line, _Row]):
    """Turns a line of JSON, or the cells of a row, into a row."""

    def __init__(
        self,
        kind: type[_Line],
        convert: Callable[[_Line], _Row],
        object_of: Callable[[_Cells], dict[str, Any]] | None = None,
    ) -> None:
        self._decoder = msgspec.json.Decoder(kind)
        self._kind = kind
        self._convert = convert
        self.object_of = object_of

    def read(self, line: bytes | _Cells | Misfit) -> _Row:
        if isinstance(line, bytes):
            return self._convert(self._decoder.decode(line))
        if isinstance(line, Misfit):
            raise line
        return self._convert(msgspec.convert(self.object_of(line) if self.object_of else line, self._kind))


def _rows(path: Path, reader: _Reader[_Line, _Row], advance: Advance) -> Iterator[_Row]:
    problems: list[str] = []
    if kind_of(path) == ".csv" and reader.object_of is None:
        raise InputRefused([f"{path.name}: these rows are read from JSON lines only; name a .jsonl or .jsonl.gz file"])
    for number, line in _raw_rows(path, advance):
        try:
            yield reader.read(line)
        except (Misfit, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            problems.append(f"{path.name}:{number}: {error}")
            if len(problems) == _MOST_PROBLEMS:
                raise InputRefused([*problems, "and maybe more: mend these first"]) from None
    if problems:
        raise InputRefused(problems)


def _raw_rows(path: Path, advance: Advance) -> Iterator[tuple[int, bytes | _Cells | Misfit]]:
    """Yield number and content of every row that is not blank."""
    if kind_of(path) == ".csv":
        yield from cells_of(path.name, lines_of(path, advance))
    else:
        yield from ((number, line) for number, line in lines_of(path, advance) if line.strip())


def lines_of(path: Path, advance: Advance) -> Iterator[tuple[int, bytes]]:
    """Yield number and bytes of every line."""
    number = reported = 0
    try:
        with path.open("rb") as raw:
            stream = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw
            place = raw.tell if raw.seekable() else lambda: 0  # a pipe does not say how much was read
            for number, line in enumerate(iter(lambda: stream.readline(_LONGEST_LINE + 1), b""), 1):
                if number % _REPORTED_EVERY == 0:
                    advance(place() - reported)
                    reported = place()
                if len(line) > _LONGEST_LINE:
                    raise InputRefused([f"{path.name}:{number}: the line is longer than {_LONGEST_LINE:,} bytes"])
                yield number, line
            advance(place() - reported)
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputRefused([f"{path.name}:{number + 1}: cannot be read ({why})"]) from None
