"""Where somebody who watches has got to, as a text that they send back to go on."""

from __future__ import annotations

import re

from msgspec import Struct

NOTHING_TOLD = bytes(8)
_CURSOR = re.compile(r"([0-9a-f]{24})-(0|[1-9][0-9]{0,15})-(0|[1-9][0-9]{0,15})-([0-9a-f]{16})", re.ASCII)


class Cursor(Struct, frozen=True):
    """The name of the watch, the number of its last answer, up to where was heard, and a digest of what was told."""

    name: str
    number: int
    seq: int
    told: bytes

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """Read what `str` gave; None where this is no such text."""
        found = _CURSOR.fullmatch(text)
        return cls(found[1], int(found[2]), int(found[3]), bytes.fromhex(found[4])) if found else None

    def __str__(self) -> str:
        return f"{self.name}-{self.number}-{self.seq}-{self.told.hex()}"
