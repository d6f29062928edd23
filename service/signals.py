"""Signals as work hears them: the first one that ends a process tells the work to end, the second ends it at once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class Told(Exception):
    """The process was told to end by a signal."""


class Later:
    """Does something when it is called, or, where it is not known yet what, as soon as that is known."""

    def __init__(self) -> None:
        self._work: Callable[[], None] | None = None
        self._owed = False

    def __call__(self) -> None:
        """Do it, now or later."""
        if self._work is None:
            self._owed = True
        else:
            self._work()

    def is_to(self, work: Callable[[], None]) -> None:
        """Say what to do; it is done now where it was asked for before."""
        self._work = work
        if self._owed:
            self._owed = False
            work()


class Signals:
    """SIGINT and SIGTERM: the first tells the work to end, the second ends the process at once.

    Whoever else sets `told` has the work end as well, and is no signal.
    """

    def __init__(self) -> None:
        self.told = asyncio.Event()
        self._heard = False
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._hear, number)

    async def unless_told(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what the work returns; when told to end, cancel it, wait until it has cleaned up and raise `Told`."""
        task = asyncio.create_task(work)
        told = asyncio.create_task(self.told.wait())
        try:
            await asyncio.wait((task, told), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
        finally:
            told.cancel()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        raise Told

    def hear(self, number: int, work: Callable[[], None]) -> None:
        """Do something on a signal, and go on."""
        asyncio.get_running_loop().add_signal_handler(number, work)

    def _hear(self, number: int) -> None:
        if self._heard:
            os._exit(128 + number)  # what was started ends with this process, however it ends
        self._heard = True
        self.told.set()
