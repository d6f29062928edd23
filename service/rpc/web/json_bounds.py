"""JSON of far more values than a message can hold, found before protobuf reads it, which takes it 10 µs for each.

128 KiB of JSON can hold 43,000 empty texts and a batch 170,000 empty entries. The values are counted by a reader in C.
"""

from __future__ import annotations

from typing import Any

import msgspec

from service.errors import InvalidArgument, Undecodable, Violation
from service.rpc.checks import MAX_BATCH
from service.rpc.flooding import UNKNOWN_FIELDS

LEAST_BYTES = 2
"""How long a value is at least where protobuf writes it: its number and kind, and its length or itself."""
FEW = 1_024
"""How many values are read without being counted, in 10 ms."""
NO_JSON = "cannot be read as JSON; look for a missing bracket or comma, or a name that stands twice"


def check_values(raw: bytes, most_bytes: int, entries: tuple[str, ...] = ()) -> None:
    """Raise `Undecodable` where a message has more values than its longest form holds, or more `entries` of a batch.

    `entries` are the names under which these may stand. Says nothing of a few too many: who reads them sees these.
    """
    if raw.count(b",") + raw.count(b"[") + raw.count(b"{") <= FEW:
        return
    try:
        message = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise Undecodable.of([Violation("", NO_JSON)]) from None
    if isinstance(message, dict):
        for name in entries:
            _check_entries(name, message.get(name))
    if _has_more(message, most_bytes // LEAST_BYTES):
        told = f"the message has more than {most_bytes // LEAST_BYTES:,} values, and so more than {most_bytes:,} bytes"
        raise Undecodable.of([Violation("", told)])


def _check_entries(name: str, found: Any) -> None:  # noqa: ANN401 - any JSON
    if isinstance(found, list) and len(found) > MAX_BATCH + UNKNOWN_FIELDS:
        raise InvalidArgument.of([Violation(name, f"has more than {MAX_BATCH:,} entries; send 1 to {MAX_BATCH:,}.")])


def _has_more(message: Any, most: int) -> bool:  # noqa: ANN401 - any JSON
    """Tell whether there are more values than so many, the members of lists and objects, at any depth."""
    left, lying = most, [message]
    while lying:
        one = lying.pop()
        members = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        left -= len(members)
        if left < 0:
            return True
        lying.extend(member for member in members if isinstance(member, (dict, list)))
    return False
