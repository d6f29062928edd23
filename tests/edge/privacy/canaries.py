"""Marked values of the kinds that tell who somebody is, put into every field of a message that takes a text."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import Message

MARK = "zqx7canary"
"""In every canary, and nowhere else."""

NUMBER = "79055550173"
KINDS = {
    "e-mail": f"{MARK}@example.org",
    "telephone": f"+49{NUMBER}",
    "name": f"{MARK.title()} Müller",
    "ticket": f"My {MARK} router is broken, and I want my money back.",
    "token": f"eyJhbGciOiJub25lIn0.{MARK}.c2lnbmF0dXJl",
    "hidden": f"{MARK}\u202e\x00",
    "internal": f"internal {MARK}@example.org",
}
"""A canary of each kind; that of `internal` has the store fail with everything it knows."""

CLAIMS = base64.urlsafe_b64encode(json.dumps({"sub": MARK, "email": KINDS["e-mail"]}).encode()).decode().rstrip("=")
METADATA = (
    ("authorization", f"Bearer eyJhbGciOiJub25lIn0.{CLAIMS}.{MARK}"),
    ("baggage", f"user={MARK},mail={KINDS['e-mail'].replace('@', '%40')}"),
    ("tracestate", f"vendor={MARK}"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("x-customer", MARK),
    ("x-trace-bin", MARK.encode()),
)
"""What a caller sends beside its messages."""

SIGNS = (MARK.encode(), MARK.title().encode(), MARK.upper().encode(), NUMBER.encode(), CLAIMS[:40].encode(),
         MARK.encode().hex().encode(), base64.b64encode(MARK.encode()).rstrip(b"=")[:12])  # fmt: skip
"""What none of what leaves may hold: the marks, as they are and as they may be written otherwise."""


def hits(text: str | bytes) -> list[bytes]:
    """Return the signs that stand in a text."""
    raw = text if isinstance(text, bytes) else text.encode()
    return [sign for sign in SIGNS if sign in raw]


def marked(message: Message) -> Iterator[Message]:
    """Yield copies of a message: for each field that takes a text and each kind one in which it is a canary."""
    for steps in _places(message):
        for canary in KINDS.values():
            copy = type(message)()
            copy.CopyFrom(message)
            holder: Any = copy
            for step in steps[:-1]:
                holder = getattr(holder, step) if hasattr(holder, "DESCRIPTOR") else holder[step]
            _put(holder, steps[-1], canary)
            yield copy


def _places(message: Message) -> list[tuple[Any, ...]]:
    """Return the way to each field that takes a text, through what a message has."""
    found: list[tuple[Any, ...]] = []
    for field in message.DESCRIPTOR.fields:
        inner = field.message_type
        if inner is None:
            found += [(field.name,)] if field.type == field.TYPE_STRING else []
        elif inner.GetOptions().map_entry:
            found += [(field.name, "")]  # as a key
            entries = getattr(message, field.name)
            found += [(field.name, key, *way) for key in entries for way in _places(entries[key])]
        elif field.is_repeated:
            found += [(field.name, 0, *way) for one in getattr(message, field.name)[:1] for way in _places(one)]
        elif inner.full_name.startswith(("tact.", "grpc.")):
            found += [(field.name, *way) for way in _places(getattr(message, field.name))]
    return found


def _put(holder: Any, step: str | int, canary: str) -> None:  # noqa: ANN401 - a message, a list or a map
    if step == "":
        holder[canary].string_value = canary
        return
    field = holder.DESCRIPTOR.fields_by_name[step]
    if field.is_repeated:
        getattr(holder, str(step)).append(canary)
    else:
        setattr(holder, str(step), canary)
