"""A stream of questions and answers: read ahead as far as there is room, answered in the order of what was read."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from typing import Any, TypeAlias

from service.errors import ServiceEnds
from service.rpc.wrapper import Raws

Work: TypeAlias = "tuple[asyncio.Task[bytes], ...]"
Begin: TypeAlias = "Callable[[bytes], Sequence[Coroutine[Any, Any, bytes]]]"


class Conversation:
    """One stream: a reader that begins the work of each message, and the works in the order of their messages.

    `begin` says what there is to answer in one message: all of it runs at once, gives one answer each, and raises
    nothing. What `begin` itself raises ends the stream, once everything before it is answered. Nothing more is read
    while `room` answers or more are not written, so a caller who does not read is not read either; nor is anything once
    the service is `ending`.
    """

    def __init__(self, raws: Raws, begin: Begin, room: int, ending: asyncio.Event) -> None:
        self._begin = begin
        self._room = room
        self._works: deque[Work] = deque()
        self._unwritten = 0
        self._begun = asyncio.Event()
        self._written = asyncio.Event()
        self._reader = asyncio.create_task(self._read(raws))
        self._ending = asyncio.create_task(ending.wait())
        self._ending.add_done_callback(lambda _: self._reader.cancel())

    async def answers(self) -> AsyncGenerator[list[bytes], None]:
        """Yield the answers to one message after another, until all are answered.

        Raises what ended the reading, `ServiceEnds` when that was the end of the service.
        """
        try:
            while await self._next_has_begun():
                work = self._works[0]
                yield [await task for task in work]
                self._works.popleft()
                self._unwritten -= len(work)
                self._written.set()
            if self._reader.cancelled():
                raise ServiceEnds("the service ends")
            await self._reader
        finally:
            await self._leave()

    async def _next_has_begun(self) -> bool:
        """Wait for the next message; False when there are no more."""
        while not self._works:
            if self._reader.done():
                return False
            self._begun.clear()
            await self._begun.wait()
        return True

    async def _read(self, raws: Raws) -> None:
        try:
            async for raw in raws:
                work = tuple([asyncio.create_task(answer) for answer in self._begin(raw)])
                self._works.append(work)
                self._begun.set()
                self._unwritten += len(work)
                while self._unwritten >= self._room:
                    self._written.clear()
                    await self._written.wait()
        finally:
            asyncio.get_running_loop().call_soon(self._begun.set)  # by then the reader has ended

    async def _leave(self) -> None:
        """Stop reading, cancel what is in work, and wait until all of it has ended."""
        tasks = [self._ending, self._reader, *(task for work in self._works for task in work)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
