"""A mapping file: how somebody else's columns become a table of decisions. docs/log.md shows one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from models.context import ValueType
from models.decision_table import COLUMNS, KINDS, REQUIRED, Kind
from models.documents import DocumentsRefused
from models.records import Record, record_of
from models.shapes import Choice, Misfit, Text, described
from models.trees import Budget, Leaf, Node, Problem, grow
from models.trees import Mapping as Nodes
from service.logs.cells import Cell, Given, Unit

_MOST_NODES = 20_000
_LARGEST = 1_000_000
_TAKEN = {
    one.name: one.kind for one in COLUMNS if one.kind in (Kind.TEXT, Kind.REAL, Kind.WHOLE, Kind.MOMENT, Kind.TEXTS)
}
_WAYS = 'write `column: NAME`, `value: …`, `text: "call-{row}"` or `from: TIME` with `every: 1h`'


@dataclass(frozen=True, slots=True)
class Came:
    """One kind of outcome: a row has it when the column holds one of these texts."""

    kind: str
    column: str
    holds: frozenset[str]
    at: Cell | None
    after_ms: int
    amount: Cell | None


@dataclass(frozen=True, slots=True)
class Plan:
    """How rows are read. `separator` is that of CSV files; `fields` are the features with their types."""

    separator: str
    columns: Mapping[str, Cell]
    features: Mapping[str, Cell]
    fields: Mapping[str, ValueType]
    outcomes: tuple[Came, ...]


@dataclass(frozen=True, slots=True)
class _Separator:
    """One character between the cells of a CSV file."""

    wanted: str = 'write one character in quotes, such as ";", or tab'

    def read(self, node: Node) -> str:
        """Return the character."""
        text = node.text if isinstance(node, Leaf) else ""
        text = "\t" if text in ("tab", "\\t") else text
        if len(text) != 1 or text in '"\n\r':
            raise Misfit(f"is {described(node)}; {self.wanted}")
        return text


@dataclass(frozen=True, slots=True)
class _Word:
    """A text as it is written, which may be empty, a number, or whatever YAML reads otherwise."""

    wanted: str = "write a text"

    def read(self, node: Node) -> str:
        """Return the text."""
        if not isinstance(node, Leaf):
            raise Misfit(f"is {described(node)}; {self.wanted}")
        return node.text


@dataclass(frozen=True, slots=True)
class _Moment:
    """A moment with its time zone, in milliseconds."""

    wanted: str = "write a moment with its time zone, such as 2026-01-31T12:00:00Z"

    def read(self, node: Node) -> int:
        """Return the moment."""
        try:
            at = datetime.fromisoformat(node.text if isinstance(node, Leaf) else "")
        except ValueError:
            raise Misfit(f"is {described(node)}; {self.wanted}") from None
        if at.tzinfo is None:
            raise Misfit(f"is {described(node)}; {self.wanted}")
        return int(at.astimezone(UTC).timestamp() * 1000)


def read_mapping(path: Path) -> Plan:
    """Read a mapping file; raise `DocumentsRefused` with every problem, each with its line."""
    problems: list[Problem] = []
    try:
        content = path.read_bytes()
        text = content[: _LARGEST + 1].decode().removeprefix("\ufeff")
    except OSError as error:
        raise DocumentsRefused([Problem(str(path), 1, f"cannot be read ({error.strerror})")]) from None
    except UnicodeDecodeError:
        raise DocumentsRefused([Problem(str(path), 1, "is not UTF-8; save it as UTF-8")]) from None
    if len(content) > _LARGEST:
        raise DocumentsRefused([Problem(str(path), 1, f"is larger than {_LARGEST:,} bytes")])
    root = grow(str(path), text, Budget(_MOST_NODES), problems)
    plan = _Reading(root, problems).plan() if root is not None else None
    if plan is None or problems:
        raise DocumentsRefused(problems)
    return plan


@dataclass(slots=True)
class _Reading:
    root: Nodes
    problems: list[Problem]
    missing: frozenset[str] = field(default_factory=lambda: frozenset({""}))

    def plan(self) -> Plan:
        record = Record(self.root, "mapping", self.problems)
        csv = record.record("csv", "form of CSV files", "")
        separator = csv.value("separator", _Separator(), ",", ",") if csv else ","
        if csv:
            csv.rest_is_refused()
        self.missing |= set(record.texts("missing", _Word()))
        columns = record.record(
            "columns", "list of columns", "write the columns of the table, each with where it is from"
        )
        features = record.record("features", "list of features", "")
        made = self._columns(columns) if columns else {}
        fields, cells = self._features(features) if features else ({}, {})
        outcomes = tuple(
            filter(None, (self._outcome(one) for node in record.items("outcomes", "write a list", False)
                          if (one := record_of(node, "outcome", self.problems))))
        )  # fmt: skip
        record.rest_is_refused()
        return Plan(separator, made, cells, fields, outcomes)

    def _columns(self, record: Record) -> dict[str, Cell]:
        found: dict[str, Cell] = {}
        for name, kind in _TAKEN.items():
            if record.has(name) and (cell := self._cell(record, name, kind)):
                found[name] = cell
            elif name in REQUIRED and name not in record.node.nodes:
                record.refuse(f"the table has no `{name}`, which is required; {_WAYS}")
        record.rest_is_refused()
        return found

    def _features(self, record: Record) -> tuple[dict[str, ValueType], dict[str, Cell]]:
        fields: dict[str, ValueType] = {}
        cells: dict[str, Cell] = {}
        for name, node in record.node.nodes.items():
            record.allow(name)
            one = record_of(node, f"feature `{name}`", self.problems)
            if one is None:
                continue
            kind = one.value("type", Choice(ValueType), ValueType.STRING, ValueType.STRING)
            fields[name], cells[name] = kind, self._told(one, KINDS[kind])
        return fields, cells

    def _outcome(self, record: Record) -> Came | None:
        kind = record.text("kind", None, Text("name the kind, such as accepted", longest=128))
        when = record.record("when", "condition", 'write `when: {column: y, is: ["yes"]}`')
        column = when.text("column") if when else ""
        holds = frozenset(when.texts("is", _Word(), required=True)) if when else frozenset()
        if when:
            when.rest_is_refused()
        at = self._cell(record, "at", Kind.MOMENT) if record.has("at") else None
        after_ms = record.duration("after", 0)
        amount = self._cell(record, "amount", Kind.REAL) if record.has("amount") else None
        record.rest_is_refused()
        return Came(kind, column, holds, at, after_ms, amount) if when else None

    def _cell(self, record: Record, name: str, kind: Kind) -> Cell | None:
        """Return where the values of a column come from; a plain text names a column of the file."""
        node = record.node.nodes[name]
        if isinstance(node, Leaf):
            return Cell(kind, Given(column=node.text), self.missing)
        one = record_of(node, f"column `{name}`", self.problems)
        return self._told(one, kind) if one else None

    def _told(self, one: Record, kind: Kind) -> Cell:
        ways = [way for way in ("column", "value", "text", "from") if one.has(way)]
        if len(ways) != 1:
            one.refuse(f"the {one.what} says {'no way' if not ways else ' and '.join(ways)}; {_WAYS}, one of them")
        given = Given(
            column=one.value("column", _Word(), "", ""),
            value=one.value("value", _Word(), "", "") if "value" in ways else None,
            text=one.value("text", _Word(), "", ""),
            from_ms=one.value("from", _Moment(), 0, 0),
            every_ms=one.duration("every", 1000) if "from" in ways else 0,
        )
        missing = self.missing | set(one.texts("missing", _Word()))
        unit = one.value("unit", Choice(Unit), Unit.TEXT, Unit.TEXT)
        pattern = one.value("format", _Word(), "", "")
        separator = one.value("separator", _Separator(), "|", "|")
        cell = Cell(kind, given, missing, self._values(one), unit, pattern, separator)
        one.rest_is_refused()
        return cell

    def _values(self, one: Record) -> Mapping[str, str] | None:
        """Return what the texts of the file mean, where that is told."""
        values = one.record("values", "list of values", "")
        if values is None:
            return None
        return {text: values.value(text, _Word(), None, "") for text in values.node.nodes}
