"""What the workers of one service share, as the supervisor has it: the embedded store, and whoever verifies models."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from service.config import StorePlace
from service.store.embedded import EmbeddedStore, EmbeddedStoreError
from service.workers.messages import AskVerdict, Store, Verdict

if TYPE_CHECKING:
    from service.verifying import Verifier


class Sharing:
    """Answers what workers ask. Nothing is started before it is asked for; `close` ends it all.

    `waits` says that models may change while it serves.
    """

    def __init__(self, place: StorePlace, *, waits: bool) -> None:
        self._waits = waits
        self._store = EmbeddedStore(place.folder) if place.folder is not None else None
        self._starting: asyncio.Task[Store] | None = None
        self._verifier: Verifier | None = None
        self._verified: dict[str, str] = {}
        self._one_verdict = asyncio.Lock()

    async def store(self) -> Store:
        """Return where the embedded store is, which is started with the first question."""
        if self._starting is None or (self._starting.done() and not self._is_started):
            self._starting = asyncio.create_task(asyncio.to_thread(self._begin))
        return await asyncio.shield(self._starting)

    async def verdict(self, asked: AskVerdict) -> Verdict:
        """Say whether a model may serve; what several workers ask of the same version is looked into once."""
        from models.artifacts import ArtifactRefused  # with numpy, which nobody needs here without a model
        from service.verifying import NotVerified, Verifier

        async with self._one_verdict:
            if self._verified.get(asked.folder) == asked.version:
                return Verdict(asked.number, asked.version)
            if self._verifier is None:
                self._verifier = Verifier(waits=self._waits)
            try:
                version = await self._verifier.version_at(Path(asked.folder))
            except ArtifactRefused as refused:
                return Verdict(asked.number, refused=str(refused), unknown=isinstance(refused, NotVerified))
            self._verified[asked.folder] = version
            return Verdict(asked.number, version)

    @property
    def store_ended(self) -> bool:
        """Whether the embedded store has ended by itself."""
        return self._is_started and self._store is not None and not self._store.running

    async def close(self) -> None:
        """End what was started: whoever verifies, then the store, after all that uses it."""
        if self._verifier is not None:
            await self._verifier.close()
        if self._starting is not None and self._store is not None:
            await asyncio.wait((self._starting,))  # a thread cannot be cancelled
            self._starting = None
            await asyncio.to_thread(self._store.stop)

    @property
    def _is_started(self) -> bool:
        task = self._starting
        return task is not None and task.done() and task.exception() is None and not task.result().refused

    def _begin(self) -> Store:
        if self._store is None:
            return Store(refused="The store is not an embedded one.")
        try:
            return Store(self._store.start())
        except EmbeddedStoreError as refused:
            return Store(refused=str(refused))
        except OSError as error:  # what is in the folder is none of a store's
            return Store(refused=f"{error.filename or 'The embedded store'}: {error.strerror or error}")
