"""Call the store's functions: load them where they are missing, and trust only replies about what was asked.

StoreError
├── StoreCrossed      the reply, or the stored value, is about somebody else
└── StoreUnreadable   something wrote what cannot be read, and doing without it would break a promise
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any, TypeAlias

from service.store.connection import Argument, Reply, StoreError, StoreReplied, StoreTimeout, pack
from service.store.functions import read_functions
from service.store.way import Way

Send: TypeAlias = Callable[[bytes, float | None], Awaitable[Reply]]
"""Sends one packed command and gives its reply, within so many seconds."""


class StoreCrossed(StoreError):
    """A reply, or a stored value, is about somebody else than was asked for. Nothing of it is used."""


class StoreUnreadable(StoreError):
    """What is stored cannot be read."""


class Calls:
    """The store's functions over its connections. `deadline_s` is everywhere the time that is left.

    Whoever is called for every decision does what `call` does by itself, for each coroutine on the way is paid for:
    `send`, and on a `StoreReplied` `once_more`. `loads` counts how often the functions were loaded.

    What writes goes over `confirmed`, where that is given: a way that answers when what was written is safe. Decisions
    do that with `confirm`.
    """

    def __init__(self, connections: Way, confirmed: Way | None = None) -> None:
        self.functions = read_functions()
        self._connections = connections
        self._confirmed = confirmed or connections
        self.send = connections.call
        self.confirm = self._confirmed.call
        self.loads = 0
        self._loading: asyncio.Task[None] | None = None

    @property
    def confirms(self) -> bool:
        """Whether what writes is answered only when replicas have confirmed it."""
        return self._confirmed is not self._connections

    async def load_functions(self) -> None:
        """Load this version of the functions into the store, beside those of other versions."""
        await self._connections.execute("FUNCTION", "LOAD", "REPLACE", self.functions.source)
        self.loads += 1

    async def function(
        self,
        name: str,
        keys: Sequence[bytes],
        arguments: Sequence[Argument],
        *,
        about: bytes,
        length: int,
        deadline_s: float | None,
        confirmed: bool = False,
    ) -> list[Any]:
        """Call a function and return its reply of `length` items, of which the first must be `about`.

        One that only reads is answered quickly, or when what it read is `confirmed` as well.
        """
        packed = pack("FCALL", self.functions.name(name), len(keys), *keys, *arguments)
        send = self.confirm if confirmed or name in self.functions.writing else self.send
        return await self.reply(about, packed, deadline_s, length, send=send)

    async def reply(
        self,
        asked: bytes,
        packed: bytes,
        deadline_s: float | None,
        length: int,
        more: int = 0,
        send: Send | None = None,
    ) -> list[Any]:
        """Return the reply of a function about what was asked; after any other no connection is trusted any more.

        It has `length` items, and at most so many `more`.
        """
        # The same as `call`, once more: every event comes here.
        started, loads, send = monotonic(), self.loads, send or self.send
        try:
            reply = await send(packed, deadline_s)
        except StoreReplied as error:
            reply = await self.once_more(error, packed, deadline_s, started, loads, send)
        return self.about(asked, reply, length, more)

    def about(self, asked: bytes, reply: Reply, length: int, more: int = 0) -> list[Any]:
        """See that a reply is about what was asked; after any other no connection is trusted any more."""
        try:
            return _about(asked, reply, length, more)
        except StoreCrossed:
            self._connections.distrust()
            if self.confirms:
                self._confirmed.distrust()
            raise

    async def call(self, packed: bytes, deadline_s: float | None) -> Reply:
        """Send a command; a function that the store does not have (yet, or since a restart) is loaded and called again.

        It cannot have run the first time, so nothing is done twice.
        """
        started, loads = monotonic(), self.loads
        try:
            return await self.send(packed, deadline_s)
        except StoreReplied as error:
            return await self.once_more(error, packed, deadline_s, started, loads)

    async def once_more(
        self,
        error: StoreReplied,
        packed: bytes,
        deadline_s: float | None,
        started: float,
        loads: int,
        send: Send | None = None,
    ) -> Reply:
        """Load the functions where that is what the store lacks, and send the command again; raise any other error.

        The command was sent by `send` at `started`, by the monotonic clock, when they had been loaded `loads` times.
        """
        if error.prefix != "ERR" or not error.message.startswith("Function not found"):
            raise error
        if self.loads == loads:
            await self._loaded(None if deadline_s is None else deadline_s - (monotonic() - started))
        spent_s = monotonic() - started
        return await (send or self.send)(packed, None if deadline_s is None else deadline_s - spent_s)

    async def _loaded(self, left_s: float | None) -> None:
        """Have the functions loaded once for all who wait, each as long as is left to them; raise a `StoreError`."""
        if self._loading is None:
            self._loading = asyncio.get_running_loop().create_task(self.load_functions())
            self._loading.add_done_callback(self._loading_ended)
        loading = self._loading
        await asyncio.wait((loading,), timeout=left_s)
        if not loading.done():
            raise StoreTimeout("The store's functions could not be loaded in the time that was left.")
        loading.result()

    def _loading_ended(self, loading: asyncio.Task[None]) -> None:
        self._loading = None
        if not loading.cancelled():
            loading.exception()  # whoever waits still raises it; nobody may


def _about(asked: bytes, reply: Any, length: int, more: int) -> list[Any]:  # noqa: ANN401 - it can be anything, here it is seen
    """Return a reply that begins with what was asked about; raise `StoreCrossed` for any other."""
    if type(reply) is not list or not length <= len(reply) <= length + more:
        raise StoreCrossed("The store sent a reply that does not belong to this call.")
    if reply[0] != asked:
        raise StoreCrossed("The store sent what belongs to another customer.")
    return reply
