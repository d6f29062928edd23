"""The composition root: the only file that names concrete classes, and the only one that puts them together."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from models.artifacts import ArtifactRefused, load_folded
from models.context import Source
from models.documents import DocumentsRefused
from models.features import FeatureRefused, FeatureSpace
from models.propensity import Folded
from service.children import run_module
from service.config import Settings, StorePlace
from service.core.engine import Engine
from service.core.loader import load_strategy
from service.core.strategy import Strategy
from service.decide import Decider
from service.errors import CannotListen
from service.rpc.edge import Edge, Limits
from service.rpc.server import Listen, Server
from service.store.connection import Connections
from service.store.embedded import EmbeddedStore, EmbeddedStoreError
from service.store.settings import StoreRefused
from service.store.store import Store
from service.store.suppression import ErasureKeyRefused, Suppression, suppression_of
from service.supply.warehouse import Warehouse
from service.validate import Validator
from service.watching import StoreWatch

log = logging.getLogger(__name__)

VERIFY_WITHIN_S = 120.0
REFUSALS = (
    DocumentsRefused,
    FeatureRefused,
    ArtifactRefused,
    EmbeddedStoreError,
    CannotListen,
    StoreRefused,
    ErasureKeyRefused,
)


class StartRefused(Exception):
    """The service does not start like this: the message says why and what to do."""


async def start(settings: Settings) -> Running:
    """Wire everything and serve; raise `StartRefused` in words, with nothing left behind, where that cannot be.

    A store that cannot be reached is no reason not to start: answers are safe ones until it is there.
    """
    try:
        async with AsyncExitStack() as opened:
            strategy = load_strategy(settings.strategy)
            _check_memory(strategy, settings)
            model = await load_model(settings.model, strategy)
            url, embedded = await _store(settings.store, opened)
            running = await _served(settings, strategy, model, url, embedded, opened)
            running.closes_with(opened.pop_all())
            return running
    except REFUSALS as refused:
        raise StartRefused(str(refused)) from refused


async def _served(
    settings: Settings,
    strategy: Strategy,
    model: Folded | None,
    url: str,
    embedded: EmbeddedStore | None,
    opened: AsyncExitStack,
) -> Running:
    connections = _connections(url)
    opened.push_async_callback(connections.close)
    suppression = await suppression_of(settings.erasure_key, settings.store.folder, connections.execute)
    store = _store_over(connections, strategy, settings, suppression)
    warehouse = Warehouse.of(
        strategy, store.customers, store.outcomes, store.supply, store.demand, store.issued, os.urandom(8).hex()
    )
    store = replace(store, outcomes=warehouse.outcomes)
    decider = Decider(Engine(strategy, model), warehouse.decisions, os.urandom, clock_ms, book=warehouse.book)
    edge = _edge(settings, strategy, decider, store, warehouse)
    server = Server(edge, Listen(settings.host, settings.port, settings.reflection))
    port = await server.start()
    warehouse.open()
    opened.push_async_callback(warehouse.close)
    opened.push_async_callback(server.drain, linger_s=0.0, grace_s=0.0)
    running = Running(server, decider, StoreWatch(connections, store, embedded, strategy), strategy, port, settings)
    opened.push_async_callback(running.store.close)
    await running.store.look()
    await server.announce(serving=True)
    return running


def _store_over(connections: Connections, strategy: Strategy, settings: Settings, suppression: Suppression) -> Store:
    return Store.over(
        connections,
        {level.id: "".join(purpose.group for purpose in level.purposes) for level in strategy.levels},
        strategy.levels[0].id,
        mark_changes=any(field.source is Source.MODEL for field in strategy.schema.fields),
        schema=strategy.schema,
        retention=settings.keep,
        suppression=suppression,
    )


def _edge(settings: Settings, strategy: Strategy, decider: Decider, store: Store, warehouse: Warehouse) -> Edge:
    validator = Validator(lambda: decider.engine, store.issued, store.customers, store.supply, warehouse.book)
    return Edge.of(
        strategy,
        decider=decider,
        stores=store,
        limits=Limits(allow_as_of=settings.allow_as_of),
        clock=clock_ms,
        validator=validator,
        tally=warehouse.tally,
    )


class Running:
    """A service that serves on `port`, until it is stopped."""

    def __init__(
        self, server: Server, decider: Decider, store: StoreWatch, strategy: Strategy, port: int, settings: Settings
    ) -> None:
        self.port = port
        self.store = store
        self.strategy = strategy
        self._server = server
        self._decider = decider
        self._settings = settings
        self._opened = AsyncExitStack()

    @property
    def address(self) -> str:
        """Where it serves, as a client writes it."""
        host = self._settings.host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def model(self) -> str:
        """The version of the model that decides; empty without one."""
        return self._decider.engine.model_version

    async def use_model(self, folder: Path) -> None:
        """Verify a model and let it decide from now on; raise `ArtifactRefused`, and go on as before, if it may not."""
        model = await load_model(folder, self.strategy)
        self._decider.engine = Engine(self.strategy, model)

    async def stop(self, grace_s: float | None = None) -> None:
        """Say NOT_SERVING, let calls end within the grace, close what was opened, end the embedded store."""
        grace_s = self._settings.grace_s if grace_s is None else grace_s
        await self._server.drain(linger_s=self._settings.linger_s, grace_s=grace_s)
        await self._opened.aclose()

    def closes_with(self, opened: AsyncExitStack) -> None:
        """Take over what was opened on the way."""
        self._opened = opened


async def load_model(folder: Path | None, strategy: Strategy) -> Folded | None:
    """Load a model's arrays, and have it verified in a process of its own, which alone may import scikit-learn.

    Raises ArtifactRefused in words where it may not serve.
    """
    if folder is None:
        return None
    folded = load_folded(folder, FeatureSpace.of(strategy.schema, strategy.features))
    verified = await run_module("training", ("verify", str(folder), "--json"), timeout_s=VERIFY_WITHIN_S)
    if verified.code != 0:
        raise ArtifactRefused(f"The model was not verified and does not serve: {verified.last_words}")
    if (version := json.loads(verified.output)["version"]) != folded.version:
        raise ArtifactRefused(f"{folder}: changed from {folded.version} to {version} while it was verified; try again")
    return folded


def _check_memory(strategy: Strategy, settings: Settings) -> None:
    """Refuse to forget what was said before the strategy's caps allow that."""
    longest = timedelta(milliseconds=max((cap.within_ms for cap in strategy.caps), default=0))
    if settings.keep.context < longest:
        raise StartRefused(
            f"--keep: the context, {settings.keep.context}, is shorter than a cap of the strategy counts, {longest}. "
            "Keep it for at least so long."
        )


def clock_ms() -> int:
    """Return the wall clock in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def _connections(url: str) -> Connections:
    try:
        return Connections(url)
    except (ValueError, OSError) as error:
        raise StartRefused(str(error)) from None


async def _store(place: StorePlace, opened: AsyncExitStack) -> tuple[str, EmbeddedStore | None]:
    """Return the store's URL; an embedded one is started, and ends with what else was opened."""
    if place.folder is None:
        return place.url, None
    store = EmbeddedStore(place.folder)
    opened.push_async_callback(asyncio.to_thread, store.stop)
    starting = asyncio.create_task(asyncio.to_thread(store.start))
    try:
        return await asyncio.shield(starting), store
    except asyncio.CancelledError:
        with suppress(EmbeddedStoreError):  # a thread cannot be cancelled: what it starts is stopped when it is there
            await starting
        raise
