"""What each field key of this store is kept for, so that no field moves to another purpose under its key.

What is kept for a purpose stands apart, so a field that moved would begin there without what it knew: a ticket that
was open would be none. The first service that claims a key in a store says what it is for; whoever says otherwise is
refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from models.context import Field, Purpose
from models.fold_merge import Fields
from service.store import keys
from service.store.calls import Calls
from service.store.connection import pack
from service.store.settings import StoreRefused

_PURPOSES = {purpose.group: purpose.value for purpose in Purpose}


class PurposeStore:
    """Claims the purposes of a strategy's fields. `fields` are those that the store keeps, by key."""

    def __init__(self, calls: Calls, fields: Fields) -> None:
        self._calls = calls
        self._fields = fields
        self._claims = [part for field in fields.values() for part in (field.key, field.purpose.group)]

    async def claim(self, deadline_s: float | None = None) -> None:
        """Hold every field's key for its purpose; raise `StoreRefused` in words where one is held for another.

        Then none is claimed: a strategy that is refused leaves nothing behind. Repeating the call changes nothing.
        """
        place = keys.purposes_key()
        held = _pairs(await self._calls.call(pack("HGETALL", place), deadline_s))
        if any(str(key) not in held for key in self._fields):  # a store that is full can be read, and no more
            reply = await self._calls.function(
                "claim", (place,), self._claims, about=place, length=2, deadline_s=deadline_s
            )
            held = _pairs(reply[1])
        if moved := tuple(self._moved(held)):
            raise StoreRefused("\n".join(moved))

    def _moved(self, held: dict[str, str]) -> Iterator[str]:
        """Yield a sentence for each field that moved, each with another key that is free."""
        free = _free_keys((*held, *map(str, self._fields)))
        for field in self._fields.values():
            letter = held.get(str(field.key), field.purpose.group)
            if letter != field.purpose.group:
                yield _refusal(field, _PURPOSES.get(letter, letter), next(free))


def _refusal(field: Field, before: str, free: int) -> str:
    return (
        f"`{field.id}` is kept for {before} in this store (store key {field.key}), and the strategy says "
        f"{field.purpose}: what happened before would not count there, and a guardrail could allow what it forbids. "
        f"Write `purpose: {before}` again, or make it a new field, which knows only what happens from then on: give it "
        f"another id, or a key of its own such as `key: {free}`."
    )


def _pairs(flat: list[bytes]) -> dict[str, str]:
    texts = [part.decode(errors="replace") for part in flat]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def _free_keys(taken: Collection[str]) -> Iterator[int]:
    return (key for key in range(1, 0x10000) if str(key) not in taken)
