"""Logged decisions as a simulation takes them: what was known and seen, and what was said, apart from any strategy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from msgspec import Struct

from models.decision_table import NOTHING
from service.core.memory import Promised, Refusal
from service.evaluating.cells import LogRefused, Unreadable, whole_moment
from service.evaluating.rows import see_needed

SEEN = "seen"
_ANSWERS = {"refused": 4, "not_now": 5, "never": 6}


class Given(Struct, frozen=True, array_like=True):
    """A promise as it was remembered, and whether it held: its digest of material facts is not logged."""

    promised: Promised
    held: bool


class Beside(Struct, frozen=True, array_like=True):
    """What a decision was made from beside the values of fields, as `Seen` in service/core/plan.py has it."""

    permitted: bool = True
    used: Mapping[str, tuple[int, ...]] = {}
    refusals: tuple[Refusal, ...] = ()
    promises: tuple[Given, ...] = ()
    off: tuple[str, ...] = ()
    everything_off: bool = False
    trigger: str = ""


class LoggedRow(Struct, frozen=True, array_like=True):
    """One placement of one logged decision: `action` is empty where nothing was said, `known` holds values by field.

    `draw` and `beside` are None where the log does not tell them.
    """

    decision_id: str
    placement: str
    channel: str
    customer: str
    level: str
    at_ms: int
    action: str
    draw: float | None
    known: Mapping[str, Any]
    beside: Beside | None


class Logged(Struct, frozen=True):
    """One logged decision: its rows, one a placement; all of them tell the same but for placement, action and draw."""

    rows: tuple[LoggedRow, ...]

    @property
    def head(self) -> LoggedRow:
        """The first row."""
        return self.rows[0]


def row_of(where: str, cells: Mapping[str, Any], fields: Mapping[str, str]) -> LoggedRow:
    """Return a row from the cells of a table by column; `fields` names the columns of fields.

    Raises `LogRefused`, which says `where` it stands.
    """
    see_needed(where, cells)
    seen = cells.get(SEEN)
    try:
        beside = None if seen is None else _beside(seen)
        draw = None if seen is None or seen.get("draw") is None else float(seen["draw"])
    except (KeyError, TypeError, ValueError, AttributeError, Unreadable) as wrong:
        raise LogRefused(f"{where}: `{SEEN}` cannot be read ({type(wrong).__name__}); export the log again") from None
    return LoggedRow(
        cells["decision_id"],
        cells.get("placement") or "",
        cells.get("channel") or "",
        cells["customer_id"],
        cells.get("level") or "",
        cells["at"],
        "" if cells["action"] == NOTHING else cells["action"],
        draw if draw is None or 0.0 <= draw < 1.0 else None,
        {field: value for column, field in fields.items() if (value := cells.get(column)) is not None},
        beside,
    )


def decisions_of(rows: Sequence[LoggedRow]) -> Iterator[tuple[Logged, ...]]:
    """Yield the decisions of each customer in the order of time; a row that stands there twice counts once."""
    ordered = sorted(rows, key=lambda row: (row.customer, row.at_ms, row.decision_id))
    for _, own in groupby(ordered, key=lambda row: row.customer):
        found = []
        for _, same in groupby(own, key=lambda row: row.decision_id):
            once = {row.placement: row for row in same}
            found.append(Logged(tuple(once.values())))
        yield tuple(found)


def _beside(seen: Mapping[str, Any]) -> Beside:
    return Beside(
        permitted=seen.get("permitted") is not False,
        used={one["counter"]: tuple(sorted(map(_ms, one["at"]))) for one in seen.get("used") or ()},
        refusals=tuple(_refusal(one) for one in seen.get("refusals") or ()),
        promises=tuple(_given(one) for one in seen.get("promises") or ()),
        off=tuple(seen.get("off") or ()),
        everything_off=seen.get("everything_off") is True,
        trigger=seen.get("trigger") or "",
    )


def _refusal(one: Mapping[str, Any]) -> Refusal:
    mark = bytes.fromhex(one.get("mark") or "")
    group, intents = one.get("group") or "", tuple(one.get("intents") or ())
    return Refusal(one["action"], group, intents, _ANSWERS[one["kind"]], _ms(one["at"]), mark)


def _given(one: Mapping[str, Any]) -> Given:
    decision = one.get("decision_id") or ""
    promised = Promised(one["key"], one["action"], _ms(one["given"]), _ms(one["until"]), decision, b"")
    return Given(promised, one["held"] is True)


def _ms(moment: Any) -> int:  # noqa: ANN401  a moment as Parquet, CSV or a program has it
    if isinstance(moment, datetime):
        return round(moment.timestamp() * 1000)
    return whole_moment(moment) if isinstance(moment, str) else int(moment)
