"""From how many rows a model was made, as its manifest tells it, and whether that can be true."""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

from .packed import MANIFEST, ArtifactRefused

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)


class Rows(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much data the model was made from, by kind of row, and the first and last moment decided (RFC 3339).

    A model made from a decision table counts 0 events: they were folded when the decision was made.
    """

    events: int
    events_repeated: int
    decisions: int
    decisions_repeated: int
    decisions_unlabelled: int
    decisions_of_other_actions: int
    first: str
    last: str


def check_rows(rows: Rows) -> None:
    """See that the counts are counts and the moments are moments; a model of no decision at all has none."""
    for name in rows.__struct_fields__:
        told = getattr(rows, name)
        if isinstance(told, int) and not 0 <= told < 1 << 53:
            raise ArtifactRefused(f"{MANIFEST} says {name} of its rows in a number that counts nothing")
        if isinstance(told, str) and told and not _is_moment(told):
            raise ArtifactRefused(
                f"{MANIFEST} says {name} of its rows in what is no moment, as in 2026-11-22T08:00:00Z"
            )


def _is_moment(text: str) -> bool:
    try:
        return _MOMENT.fullmatch(text) is not None and datetime.fromisoformat(text) is not None
    except ValueError:
        return False
