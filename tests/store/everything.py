"""Everything that stands in a store, whatever its type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from redis import Redis


def values_of(raw: Redis, key: bytes) -> Iterator[bytes]:
    """Yield every byte string that stands under a key; raise KeyError for a type that this does not know."""
    kind = bytes(raw.type(key)).decode()  # type: ignore[arg-type]  # it says text or bytes, and here it is bytes
    readers: dict[str, Any] = {
        "string": lambda: raw.get(key),
        "hash": lambda: raw.hgetall(key),
        "list": lambda: raw.lrange(key, 0, -1),
        "set": lambda: raw.smembers(key),
        "zset": lambda: raw.zrange(key, 0, -1),
        "stream": lambda: raw.xrange(key),
    }
    if kind != "none":  # it went since it was found
        yield from _leaves(readers[kind]())


def _leaves(value: Any) -> Iterator[bytes]:  # noqa: ANN401 - whatever a store answers
    if isinstance(value, bytes):
        yield value
    elif isinstance(value, dict):
        yield from _leaves(list(value.items()))
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from _leaves(item)
