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
from service.store.connection import Connections, StoreError, StoreForbidden
from service.store.embedded import EmbeddedStore, EmbeddedStoreError
from service.store.settings import StoreRefused, check_store, server_run
from service.store.store import Store
from service.store.suppression import ErasureKeyRefused, Suppression, own_key
from service.supply.warehouse import Warehouse
from service.validate import Validator

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
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
    groups = {level.id: "".join(purpose.group for purpose in level.purposes) for level in strategy.levels}
    predicts = any(field.source is Source.MODEL for field in strategy.schema.fields)
    store = Store.over(
        connections,
        groups,
        strategy.levels[0].id,
        mark_changes=predicts,
        schema=strategy.schema,
        retention=settings.keep,
        suppression=suppression_of(settings),
    )
    warehouse = Warehouse.of(
        strategy, store.customers, store.outcomes, store.supply, store.demand, store.issued, os.urandom(8).hex()
    )
    store = replace(store, outcomes=warehouse.outcomes)
    decider = Decider(Engine(strategy, model), warehouse.decisions, os.urandom, clock_ms, book=warehouse.book)
    limits = Limits(allow_as_of=settings.allow_as_of)
    validator = Validator(lambda: decider.engine, store.issued, store.customers, store.supply, warehouse.book)
    edge = Edge.of(
        strategy,
        decider=decider,
        stores=store,
        limits=limits,
        clock=clock_ms,
        validator=validator,
        tally=warehouse.tally,
    )
    server = Server(edge, Listen(settings.host, settings.port, settings.reflection))
    port = await server.start()
    warehouse.open()
    opened.push_async_callback(warehouse.close)
    opened.push_async_callback(server.drain, linger_s=0.0, grace_s=0.0)
    running = Running(server, decider, StoreWatch(connections, store, embedded), strategy, port, settings)
    opened.push_async_callback(running.store.close)
    await running.store.look()
    await server.announce(serving=True)
    return running


class StoreWatch:
    """Sees, as long as the service runs, that the store is there, is set as it must be and has the functions.

    Looking also opens connections again after an outage. A store that was restarted is checked anew. `until_refused`
    ends with the reason when the store turns out to be one that the service does not run on, or the embedded one dies.
    """

    def __init__(self, connections: Connections, store: Store, embedded: EmbeddedStore | None) -> None:
        self._refused: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.warnings: tuple[str, ...] = ()
        self._connections = connections
        self._store = store
        self._embedded = embedded
        self._checked = ""
        self._watching: asyncio.Task[None] | None = None

    async def look(self) -> None:
        """Look once, and from then on; raise `StoreRefused` for a store that cannot be used."""
        try:
            await self._check()
        except StoreRefused:
            raise
        except StoreError as error:
            if isinstance(error, StoreForbidden):
                raise StoreRefused(f"{error} Mend the store's URL, or what it lets us do.") from None
            self.warnings = (f"{error} Until the store is back, every answer is a safe greeting and is flagged.",)
        self._watching = asyncio.create_task(self._watch())

    async def until_refused(self) -> str:
        """Wait until the store turns out to be unusable, which it normally never does; return why."""
        return await asyncio.shield(self._refused)

    async def close(self) -> None:
        """Stop looking."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait((self._watching,))

    async def _check(self) -> None:
        """See which run of the store answers; check its settings and give it the functions unless that was done.

        The erasure key is compared each time: another process may have erased the first customer since.
        """
        found = await server_run(self._connections.execute)
        if found != self._checked:
            self.warnings = tuple(await check_store(self._connections.execute))
            await self._store.calls.load_functions()
            self._checked = found
        await self._store.rights.check_key()

    async def _watch(self) -> None:
        away = not self._checked
        while not self._refused.done():
            await asyncio.sleep(LOOK_EVERY_S)
            if self._embedded is not None and not self._embedded.running:
                self._refused.set_result("The embedded store has ended by itself; its log is beside its data.")
                return
            try:
                await self._check()
            except StoreRefused as refused:
                self._refused.set_result(str(refused))
                return
            except StoreError as error:
                if not away:
                    log.warning("the store is away: %s", type(error).__name__)
                away = True
                continue
            if away:
                log.warning("the store is there again")
                for warning in self.warnings:
                    log.warning(warning)
            away = False


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


def suppression_of(settings: Settings) -> Suppression:
    """Return what keeps erased customers out: with the key that was named, or the embedded store's own."""
    folder = settings.store.folder
    return Suppression(own_key(folder) if settings.erasure_key is None and folder else settings.erasure_key)


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
