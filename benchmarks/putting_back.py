"""Customers as they were when they were loaded: who was contacted fifty times in one section costs more in the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from redis import Redis

from service.store.keys import context_key

Kept: TypeAlias = Mapping[bytes, tuple[bytes, int]]
"""What is stored under each key, as the store dumps it, and how long it lives (ms, 0 for ever)."""


def kept(store: Redis, customers: Iterable[str]) -> Kept:
    """Return what is stored of customers now; of those that are not there nothing."""
    keys = [context_key(customer) for customer in customers]
    with store.pipeline(transaction=False) as asked:
        for key in keys:
            asked.dump(key)
            asked.pttl(key)
        found: list[Any] = asked.execute()
    return {
        key: (dumped, max(0, lives_ms))
        for key, dumped, lives_ms in zip(keys, found[::2], found[1::2], strict=True)
        if dumped
    }


def put_back(store: Redis, customers: Kept) -> None:
    """Store customers as they were: what was counted, remembered and promised since is forgotten."""
    with store.pipeline(transaction=False) as asked:
        for key, (dumped, lives_ms) in customers.items():
            asked.restore(key, lives_ms, dumped, replace=True)
        asked.execute()
