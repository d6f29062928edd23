"""A connection that hears what is published: subscriptions, and messages that nobody has asked for one by one.

A server that is subscribed to takes no other commands on that connection but PING, so each has one of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeAlias

from service.store.pipeline import Connection, Reply, pack

Said: TypeAlias = Callable[[bytes, bytes], None]
"""Takes a message: the channel, and what was said there."""

_MESSAGE = b"message"
_PING = pack("PING")


class Subscriber(Connection):
    """One connection that is subscribed to channels; `said` takes each message in the order of arrival.

    `ended` is done when the connection is lost or dropped, and what was said from then on is not heard.
    """

    def __init__(self, said: Said, *, timeout_s: float = 1.0) -> None:
        super().__init__(timeout_s=timeout_s)
        self._said = said
        self.ended = self._gone

    def subscribe(self, channel: bytes) -> asyncio.Future[Reply]:
        """Hear a channel from the moment that the future is done; it raises a `StoreError` where that fails."""
        return self.call(pack("SUBSCRIBE", channel))

    def unsubscribe(self, channel: bytes) -> None:
        """Hear a channel no longer; a connection that is lost hears none anyway."""
        self.call(pack("UNSUBSCRIBE", channel)).add_done_callback(_seen)

    def ping(self, deadline_s: float) -> asyncio.Future[Reply]:
        """See that the server is there, `deadline_s` seconds at most."""
        return self.call(_PING, deadline_s)

    def _answer(self, reply: Reply) -> None:
        """Give a message to whoever hears, and any other reply to the oldest slot."""
        if type(reply) is list and len(reply) == 3 and reply[0] == _MESSAGE:
            self._said(reply[1], reply[2])
        else:
            super()._answer(reply)


def _seen(answer: asyncio.Future[Reply]) -> None:
    if not answer.cancelled():
        answer.exception()
