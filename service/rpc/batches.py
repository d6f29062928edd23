"""Work on the parts of a batch side by side, with a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

MAX_IN_FLIGHT = 64
FEW_IN_FLIGHT = 32
"""How much of a batch is with the store at once, so that decisions come between: it does one thing after another."""
AT_A_STRETCH = 50
"""How many entries of a batch are worked on before others have their turn on the event loop."""
T = TypeVar("T")


async def a_turn(position: int) -> None:
    """Let others have a turn before the next stretch of a batch."""
    if position % AT_A_STRETCH == AT_A_STRETCH - 1:
        await asyncio.sleep(0)


async def side_by_side(
    work: Callable[[T], Awaitable[None]], items: Collection[T], at_once: int = MAX_IN_FLIGHT
) -> None:
    """Do the work on every item, so many at once; the first error stops what has not begun, and is raised.

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

    await asyncio.gather(*(worker() for _ in range(min(at_once, len(items)))))
    if errors:
        raise errors[0]
