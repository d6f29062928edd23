"""Open texts, and read the cells of a table in CSV as values of fields."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from models.context import Scalar, ValueType

_TRUTHS = {"true": True, "false": False}


class LogRefused(Exception):
    """A log cannot be read back; the message names the file and says what to do."""


class Unreadable(ValueError):
    """A cell is no value of its type; the message says what would be."""


def opened(file: Path) -> IO[str]:
    """Open a text, plain or gzip."""
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8-sig", newline="")
    return file.open(encoding="utf-8-sig", newline="")


def written(cell: str, kind: ValueType) -> Scalar:
    """Return the value that a cell writes; raise `Unreadable` for another text."""
    match kind:
        case ValueType.STRING:
            return cell
        case ValueType.BOOL:
            if cell.lower() not in _TRUTHS:
                raise Unreadable("is neither true nor false")
            return _TRUTHS[cell.lower()]
        case ValueType.TIMESTAMP:
            return whole_moment(cell)
        case ValueType.STRINGS:
            return texts(cell)
        case ValueType.INT | ValueType.DOUBLE:
            return _number(cell, kind)


def whole_moment(cell: str) -> int:
    """Return a moment in milliseconds since 1970, from RFC 3339."""
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError:
        raise Unreadable("is no moment such as 2026-06-01T09:00:00Z") from None
    if moment.tzinfo is None:
        raise Unreadable("names no time zone; write it as in 2026-06-01T09:00:00Z")
    return round(moment.timestamp() * 1000)


def _number(cell: str, kind: ValueType) -> int | float:
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or (kind is ValueType.INT and number != int(number)):
        raise Unreadable("is no whole number" if kind is ValueType.INT else "is no number")
    return int(number) if kind is ValueType.INT else number


def texts(cell: str) -> tuple[str, ...]:
    """Return a list of texts, from JSON."""
    try:
        found = json.loads(cell)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise Unreadable("is no list of texts in JSON")
    return tuple(found)


def parts(cell: str) -> Mapping[str, Any]:
    """Return the parts of a struct, from JSON."""
    try:
        found = json.loads(cell)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Unreadable("is no object in JSON")
    return found
