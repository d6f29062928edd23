"""Work on the parts of a batch side by side, with a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

MAX_IN_FLIGHT = 64
T = TypeVar("T")


async def side_by_side(work: Callable[[T], Awaitable[None]], items: Collection[T]) -> None:
    """Do the work on every item, at most 64 at once; the first error stops what has not begun, and is raised.

    What is under way is waited for, so that nothing is still being written when the caller hears of the error.
    """
    waiting = iter(items)
    errors: list[BaseException] = []

    async def worker() -> None:
        for item in waiting:
            if errors:
                return
            try:
                await work(item)
            except Exception as error:  # noqa: BLE001 - raised below, when nothing is under way any more
                errors.append(error)

    await asyncio.gather(*(worker() for _ in range(min(MAX_IN_FLIGHT, len(items)))))
    if errors:
        raise errors[0]
