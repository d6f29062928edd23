"""A line: one connection that hears what is published, opened again whenever it is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from service.errors import StoreError
from service.store.error_prefixes import Remedy, meaning_of
from service.store.pipeline import Connection, StoreForbidden, StoreReplied, StoreTimeout, StoreUnavailable
from service.store.subscribing import Said, Subscriber

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0
"""The pauses before the line is opened again: none at first, then one that doubles with each attempt in vain."""
PINGED_EVERY_S = 5.0
PINGED_FOR_S = 1.0
LATE = "The line to the store could not be opened in the time that was left."
MAY_NOT = (
    "The store does not let us hear what is published; let the user of its URL hear the channels tact:* (&tact:*)."
)


class Opens(Protocol):
    """Opens a connection to a server that hears what is published anywhere; raises a `StoreError`."""

    async def opened(self, protocol: Callable[[], Connection]) -> Connection:
        """Open it with what `protocol` makes."""
        ...


class Line:
    """Hears channels; `said` takes each message, and `again` is awaited each time that some may have been missed.

    Nothing is opened before the first channel is heard.
    """

    def __init__(self, opens: Opens, said: Said, again: Callable[[], Awaitable[None]]) -> None:
        self._opens, self._said, self._again = opens, said, again
        self._channels: set[bytes] = set()
        self._subscriber: Subscriber | None = None
        self._settled = asyncio.Event()
        self._fault: StoreError = StoreTimeout(LATE)
        self._keeping: asyncio.Task[None] | None = None
        self._begun = False
        self._told = ""

    @property
    def open(self) -> bool:
        """Whether all channels are heard, as far as anybody can tell."""
        return self._subscriber is not None and self._subscriber.open

    async def hear(self, channel: bytes, patience_s: float) -> None:
        """Hear a channel from the moment that this returns; raise a `StoreError` where that fails."""
        self._channels.add(channel)
        if self._keeping is None:
            self._keeping = asyncio.get_running_loop().create_task(self._keep())
        try:
            async with asyncio.timeout(patience_s):
                if self._subscriber is not None and await _heard(self._subscriber, channel):
                    return
                await self._settled.wait()
        except TimeoutError:
            raise type(self._fault)(*self._fault.args) from None
        if not self.open:
            raise type(self._fault)(*self._fault.args)

    def leave(self, channel: bytes) -> None:
        """Hear a channel no longer."""
        self._channels.discard(channel)
        if self._subscriber is not None and self._subscriber.open:
            self._subscriber.unsubscribe(channel)

    def doubt(self) -> None:
        """Open the line anew, because something was said that it has not brought."""
        if self._subscriber is not None:
            self._subscriber.drop(StoreUnavailable("What was said did not come."))

    async def close(self) -> None:
        """Hear nothing any more."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait((self._keeping,))

    async def _keep(self) -> None:
        now_s, pause_s = asyncio.get_running_loop().time, 0.0
        while True:
            begun_s = now_s()
            try:
                await self._open()
            except StoreError as error:
                self._failed(error)
            if now_s() - begun_s > LONGEST_PAUSE_S:
                pause_s = 0.0
            await asyncio.sleep(pause_s)
            pause_s = min(max(2 * pause_s, FIRST_PAUSE_S), LONGEST_PAUSE_S)

    async def _open(self) -> None:
        """Open the connection and hear until it is lost; raise a `StoreError` where it cannot be opened."""
        subscriber, reading = Subscriber(self._said), None
        await self._opens.opened(lambda: subscriber)
        try:
            done: set[bytes] = set()
            while missing := self._channels - done:
                await asyncio.gather(*map(subscriber.subscribe, missing))
                done |= missing
            self._subscriber, again, self._begun = subscriber, self._begun, True
            self._settled.set()
            self._told, self._fault = "", StoreTimeout(LATE)
            if again:
                log.info("what is published in the store is heard again")
                reading = asyncio.get_running_loop().create_task(_awaited(self._again))
            await _until_lost(subscriber)
        finally:
            if reading is not None:
                reading.cancel()
                await asyncio.wait((reading,))
            self._subscriber = None
            self._settled.clear()
            await subscriber.close()

    def _failed(self, error: StoreError) -> None:
        refused = isinstance(error, StoreReplied) and meaning_of(error.prefix, error.message).remedy is Remedy.REFUSE
        if isinstance(error, StoreReplied):
            error = StoreForbidden(MAY_NOT) if refused else StoreUnavailable(str(error))
        if type(error).__name__ != self._told:
            self._told = type(error).__name__
            log.warning("what is published in the store is not heard: %s", error if refused else self._told)
        self._fault = error
        if refused:  # nobody need wait for what time does not heal
            self._settled.set()
        else:
            self._settled.clear()


async def _awaited(work: Callable[[], Awaitable[None]]) -> None:
    await work()


async def _heard(subscriber: Subscriber, channel: bytes) -> bool:
    try:
        await subscriber.subscribe(channel)
    except StoreUnavailable:
        return False  # it is opened again, with this channel
    return True


async def _until_lost(subscriber: Subscriber) -> None:
    while subscriber.open:
        await asyncio.wait((subscriber.ended,), timeout=PINGED_EVERY_S)
        if subscriber.open:
            try:
                await subscriber.ping(PINGED_FOR_S)
            except StoreError:
                subscriber.drop(StoreUnavailable("The store did not answer on the line that hears."))
