"""Cells of somebody else's table as values of a table of decisions."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

from models.decision_table import Kind

_NAMED = re.compile(r"\{([^{}]+)\}")
_SHOWN = 40


class Unfit(Exception):
    """A cell has no value of the wanted type: the message says what is there and what to do."""


class Unit(StrEnum):
    """How moments are written: as text, or as a number of these since 1970."""

    TEXT = "text"
    SECONDS = "s"
    MILLISECONDS = "ms"


@dataclass(frozen=True, slots=True)
class Given:
    """Where a value comes from: a column, a value that is the same in all rows, a text with `{row}` and `{columns}` in
    it, or a moment that is `every_ms` later in each row.
    """

    column: str = ""
    value: str | None = None
    text: str = ""
    from_ms: int = 0
    every_ms: int = 0


@dataclass(frozen=True, slots=True)
class Cell:
    """How one value of a row is read. `missing` are the texts of unknown values, `values` say what texts mean.

    `pattern` is that of `strptime`, in UTC; `separator` divides the texts of a list.
    """

    kind: Kind
    given: Given
    missing: frozenset[str] = frozenset({""})
    values: Mapping[str, str] | None = None
    unit: Unit = Unit.TEXT
    pattern: str = ""
    separator: str = "|"

    @property
    def columns(self) -> frozenset[str]:
        """The columns of the file that are read."""
        named = set(_NAMED.findall(self.given.text)) - {"row"}
        return frozenset(named | {self.given.column} if self.given.column else named)

    def of(self, row: Mapping[str, Any], number: int) -> Any:  # noqa: ANN401 - of the wanted type
        """Return the value of a row, None for an unknown one; raise `Unfit`."""
        given = self.given
        if given.every_ms:
            return given.from_ms + (number - 1) * given.every_ms
        if given.text:
            found: Any = _NAMED.sub(lambda name: str(number if name[1] == "row" else row[name[1]]), given.text)
        else:
            found = given.value if given.value is not None else row[given.column]
        if found is None or (isinstance(found, str) and found in self.missing) or found != found:
            return None
        if self.values is not None:
            text = found if isinstance(found, str) else str(found)
            if text not in self.values:
                raise Unfit(f"{_shown(found)} is none of `values`; add it there, or to `missing`")
            found = self.values[text]
        return _READERS[self.kind](found, self)


def _text(value: Any, cell: Cell) -> str:  # noqa: ANN401 - whatever stands in a file
    return value if isinstance(value, str) else str(value)


def _real(value: Any, cell: Cell) -> float:  # noqa: ANN401
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise Unfit(f"{_shown(value)} is no finite number; {_REMEDY}")
    return number


def _whole(value: Any, cell: Cell) -> int:  # noqa: ANN401
    try:
        number = int(value)
        if isinstance(value, bool) or number != float(value):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise Unfit(f"{_shown(value)} is no whole number; {_REMEDY}, or write `type: double`") from None
    return number


def _truth(value: Any, cell: Cell) -> bool:  # noqa: ANN401
    found = {"true": True, "false": False}.get(str(value).lower())
    if found is None:
        raise Unfit(f'{_shown(value)} is neither true nor false; say what it means: `values: {{"yes": true}}`')
    return found


def _moment(value: Any, cell: Cell) -> int:  # noqa: ANN401
    if isinstance(value, datetime):
        return _ms(value)
    if isinstance(value, date):
        return _ms(datetime(value.year, value.month, value.day, tzinfo=UTC))
    if cell.unit is not Unit.TEXT:
        return round(_real(value, cell) * (1000 if cell.unit is Unit.SECONDS else 1))
    try:
        text = str(value)
        return _ms(datetime.strptime(text, cell.pattern) if cell.pattern else datetime.fromisoformat(text))  # noqa: DTZ007 - UTC
    except ValueError:
        wanted = f"of the form {cell.pattern}" if cell.pattern else "such as 2026-01-31T12:00:00Z"
        raise Unfit(f"{_shown(value)} is no moment {wanted}; write its `format`, or its `unit`: s or ms") from None


def _texts(value: Any, cell: Cell) -> list[str]:  # noqa: ANN401
    return [str(one) for one in value] if isinstance(value, list) else str(value).split(cell.separator)


def _ms(at: datetime) -> int:
    """Return milliseconds; a moment without a time zone counts as UTC."""
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return round(at.timestamp() * 1000)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


_REMEDY = "name what stands for unknown under `missing`, or what texts mean under `values`"
_READERS: Mapping[Kind, Callable[[Any, Cell], Any]] = {
    Kind.TEXT: _text,
    Kind.REAL: _real,
    Kind.WHOLE: _whole,
    Kind.TRUTH: _truth,
    Kind.MOMENT: _moment,
    Kind.TEXTS: _texts,
}
