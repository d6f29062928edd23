"""What was wanted where, as the processes of the service tell it and the ERP reads it."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from datetime import timedelta

import msgspec

from service.core.supplies import DemandTold, Wanted
from service.store import keys
from service.store.calls import Calls
from service.store.connection import pack
from service.store.retention import Retention, milliseconds

log = logging.getLogger(__name__)

MOST_KEPT = 100_000
READ_AT_ONCE = 100
_A_DAY = timedelta(days=1)
_CURSOR = re.compile(r"(0|[1-9][0-9]{0,14})-(0|[1-9][0-9]{0,14})-([1-9][0-9]{0,14})", re.ASCII)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[Wanted, ...]).decode


def is_cursor(text: str) -> bool:
    """Tell whether a text has the form of a cursor."""
    return _CURSOR.fullmatch(text) is not None


class DemandStore:
    """Keeps the demand of about a day. Raises a `StoreError` when the store does not do what it is asked."""

    def __init__(self, calls: Calls, retention: Retention) -> None:
        self._calls = calls
        self._kept_ms = milliseconds(retention.demand)

    async def tell(self, process: str, number: int, wanted: Sequence[Wanted], deadline_s: float | None = None) -> None:
        """Add what one process counted; a number that it has told before changes nothing, so repeating is safe."""
        told = (process, number, _encode(wanted), MOST_KEPT, self._kept_ms, milliseconds(_A_DAY))
        await self._calls.function(
            "demand_tell", keys.demand_keys(process), told, about=process.encode(), length=2, deadline_s=deadline_s
        )

    async def told(self, cursor: str, deadline_s: float | None = None) -> tuple[DemandTold, ...]:
        """Return what was told after a cursor, the oldest first, at most 100 entries; an empty cursor is the beginning.

        The first says whether something between the cursor and it is gone. What cannot be read is passed over, and is
        gone. Raises ValueError for what is no cursor.
        """
        after, number = _after(cursor)
        found: list[DemandTold] = []
        while not found:
            packed = pack("XRANGE", keys.demand_log_key(), after, "+", "COUNT", READ_AT_ONCE)
            entries = await self._calls.call(packed, deadline_s)
            if not entries:
                break
            for at, fields in entries:
                told = _told(at.decode(), dict(zip(fields[::2], fields[1::2], strict=True)), number)
                if told is not None:
                    found.append(told)
                    number = int(told.cursor.rpartition("-")[2])
            after = f"({entries[-1][0].decode()}"
        return tuple(found)


def _after(cursor: str) -> tuple[str, int | None]:
    """Return where to read on, and the number of the entry that was read last."""
    if not cursor:
        return "-", None
    if not is_cursor(cursor):
        raise ValueError("this is no cursor")
    at, _, number = cursor.rpartition("-")
    return f"({at}", int(number)


def _told(at: str, fields: dict[bytes, bytes], before: int | None) -> DemandTold | None:
    try:
        number, wanted = int(fields[b"n"]), _decode(fields[b"w"])
    except (KeyError, ValueError, msgspec.DecodeError):
        log.warning("an entry of the demand cannot be read: %s", at)
        return None
    gap = before is not None and number != before + 1
    return DemandTold(f"{at}-{number}", int(at.partition("-")[0]), wanted, gap)
