"""A worker does what its supervisor tells it, also while it begins."""

from __future__ import annotations

import asyncio
import socket

from service.config import Settings
from service.workers.messages import Leave, Look, encode
from service.workers.worker import Asking, Worker


class Service:
    """A service that does nothing, and counts how often it is to look at its folders."""

    port, web_port, told, guardrails, warnings = 1, None, ("strategy", "model"), (), ()

    def __init__(self) -> None:
        self.looked = 0

    def look_now(self) -> None:
        """Count it."""
        self.looked += 1

    async def until_refused(self) -> str:
        """Go on for ever."""
        await asyncio.Event().wait()
        return ""

    async def stop(self) -> None:
        """End."""


async def test_a_look_that_is_asked_for_too_soon_is_made_up_for() -> None:
    """A worker that has read its folders and does not serve yet looks at them once more as soon as it does."""
    ours, theirs = socket.socketpair()
    service, goes_on = Service(), asyncio.Event()

    async def start(settings: Settings, shared: Asking) -> Service:
        ours.sendall(encode(Look()) + encode(Look()))
        await goes_on.wait()
        return service

    with ours:
        running = asyncio.create_task(Worker(Settings()).run(start, theirs, b""))
        await asyncio.sleep(0.05)  # it hears both, of a socket that holds them already
        assert service.looked == 0
        goes_on.set()
        heard = await asyncio.to_thread(ours.recv, 65_536)
        assert b"Serving" in heard
        assert service.looked == 1
        ours.sendall(encode(Look()) + encode(Leave()))
        await running
    assert service.looked == 2
