"""A worker's program that finds its store unusable once it is told to look at its folders."""

from __future__ import annotations

import asyncio

from service.workers import __main__ as program

_looked = asyncio.Event()


def _look(serves: program.Serves) -> None:
    _looked.set()


async def _refused(serves: program.Serves) -> str:
    await _looked.wait()
    return "The store evicts what it holds. Set maxmemory-policy to noeviction."


if __name__ == "__main__":
    program.Serves.look_now = _look  # type: ignore[assignment, method-assign]  # instead of a store that changes
    program.Serves.until_refused = _refused  # type: ignore[assignment, method-assign]
    program.main()
