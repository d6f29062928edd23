"""A worker: the service in one of several processes, which hears its supervisor and tells it that it is alive."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Protocol

from models.artifacts import ArtifactRefused
from models.propensity import Folded
from service.config import Settings
from service.signals import Later, Signals, Told
from service.store.embedded import EmbeddedStoreError
from service.verifying import NotVerified, check_same
from service.workers.channel import Channel
from service.workers.messages import (
    AskStore,
    AskVerdict,
    Beat,
    Leave,
    Look,
    Refused,
    Serving,
    Store,
    ToSupervisor,
    Verdict,
    for_worker,
)

BEAT_S = 0.4


class Service(Protocol):
    """A service that runs in this process."""

    @property
    def port(self) -> int:
        """The port it answers on."""
        ...

    @property
    def web_port(self) -> int | None:
        """The port that browsers call; unset where none may."""
        ...

    @property
    def told(self) -> tuple[str, str]:
        """The versions of strategy and model that are in force."""
        ...

    @property
    def guardrails(self) -> tuple[str, ...]:
        """The ids of the guardrails in force."""
        ...

    @property
    def warnings(self) -> Sequence[str]:
        """What whoever started it should know."""
        ...

    def look_now(self) -> None:
        """Judge the folders of the strategy and the model now."""
        ...

    async def until_refused(self) -> str:
        """Wait until it cannot go on; return why."""
        ...

    async def stop(self) -> None:
        """Drain and end."""
        ...


Start = Callable[[Settings, "Asking"], Awaitable[Service]]
"""Starts the service with what it shares; raises `CannotServe` in words."""


class CannotServe(Exception):
    """The service does not start like this."""


class Asking:
    """What the workers of a service share, as one of them has it: it asks the supervisor, to which `say` speaks."""

    def __init__(self, say: Callable[[ToSupervisor], None]) -> None:
        self._say = say
        self._numbers = count()
        self._store: asyncio.Future[Store] | None = None
        self._verdicts: dict[int, asyncio.Future[Verdict]] = {}

    async def store_url(self) -> str:
        """Return the URL of the embedded store, which runs; raise `EmbeddedStoreError` in words."""
        self._store = asyncio.get_running_loop().create_future()
        self._say(AskStore())
        store = await self._store
        if store.refused:
            raise EmbeddedStoreError(store.refused)
        return store.url

    async def verify(self, folder: Path, folded: Folded) -> None:
        """Verify a model; raise ArtifactRefused in words where it may not serve."""
        number = next(self._numbers)
        waiting = self._verdicts[number] = asyncio.get_running_loop().create_future()
        try:
            self._say(AskVerdict(number, str(folder), folded.version))
            found = await waiting
        finally:
            del self._verdicts[number]
        if found.refused:
            raise (NotVerified if found.unknown else ArtifactRefused)(found.refused)
        check_same(folder, found.version, folded)

    def answered(self, answer: Store | Verdict) -> None:
        """Take in an answer; nobody may wait for it any more."""
        waiting = self._store if isinstance(answer, Store) else self._verdicts.get(answer.number)
        if waiting is not None and not waiting.done():
            # Which of the two futures it is follows from the answer, which mypy cannot tell.
            waiting.set_result(answer)  # type: ignore[arg-type]


class Worker:
    """Runs the service until it is told to leave, by its supervisor or by a signal."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._channel: Channel | None = None
        self._asking = Asking(self._say)
        self._look = Later()
        self._signals = Signals()

    async def run(self, start: Start, end: socket.socket, rest: bytes) -> None:
        """Serve; `end` leads to the supervisor, and `rest` is what was read of it already."""
        self._channel = await Channel.over(end, self._hear, _orphaned, rest)
        try:
            service = await self._signals.unless_told(_awaited(start(self._settings, self._asking)))
        except CannotServe as refused:
            self._say(Refused(str(refused)))
        except Told:
            pass
        else:
            await self._serve(service)
        self._channel.leave()
        await self._channel.close()

    async def _serve(self, service: Service) -> None:
        strategy, model = service.told
        warnings = tuple(service.warnings)
        self._say(Serving(service.port, strategy, model, service.guardrails, warnings, service.web_port))
        self._look.is_to(service.look_now)  # it may have read the folders before they changed
        beating = asyncio.create_task(self._beat(service))
        with suppress(Told):
            self._say(Refused(await self._signals.unless_told(service.until_refused())))
        await service.stop()
        beating.cancel()

    async def _beat(self, service: Service) -> None:
        """Tell again and again that the loop turns; not to one who does not listen."""
        told = service.guardrails
        while True:
            await asyncio.sleep(BEAT_S)
            if self._channel is not None and self._channel.is_heard:
                now = service.guardrails
                self._say(Beat(now if now != told else None))
                told = now

    def _hear(self, line: bytes) -> None:
        match for_worker(line):
            case Leave():
                self._signals.told.set()
            case Look():
                self._look()
            case Store() | Verdict() as answer:
                self._asking.answered(answer)

    def _say(self, message: ToSupervisor) -> None:
        if self._channel is not None:
            self._channel.send(message)


async def _awaited(service: Awaitable[Service]) -> Service:
    return await service


def _orphaned() -> None:
    """End at once: the supervisor is gone, and with it the store that it owns."""
    os._exit(1)
