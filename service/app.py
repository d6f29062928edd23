"""The composition root: names concrete classes and puts them together, for each version with `generation.py`."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from opentelemetry.metrics import get_meter

from models.artifacts import ArtifactRefused
from models.documents import DocumentsRefused
from models.features import FeatureRefused
from models.propensity import Folded
from service.challenging import Challenging
from service.config import Settings, StorePlace
from service.controlling import Controlling
from service.core.strategy import Strategy
from service.errors import CannotListen
from service.generation import Generation, Generations, Ground
from service.guarded import unguarded
from service.proven import PromiseBroken, check_promises
from service.reloading import Load, Reloading
from service.rpc.access.gate import Access
from service.rpc.admission.admission import Admission
from service.rpc.admission.classes import Classes, read_classes
from service.rpc.admission.told import families
from service.rpc.callers import CallersFile, CallersRefused
from service.rpc.server import Listen, Server
from service.rpc.web.opening import ToBrowsers, open_to_browsers
from service.shrinking import GuardrailsGone, check_still_guarded
from service.store.calls import Calls
from service.store.ears import StoreEars
from service.store.embedded import EmbeddedStore, EmbeddedStoreError
from service.store.error_prefixes import REFUSALS as STORE_REFUSALS
from service.store.heard import HeardStore
from service.store.keys import BUCKETS
from service.store.opening import Ways, open_ways
from service.store.settings import StoreRefused
from service.store.suppression import ErasureKeyRefused, suppression_of
from service.store.switches import SwitchStore
from service.switching import Switching
from service.telemetry import Counts
from service.telemetry.reading import Versions
from service.telemetry.running import Telemetry, Told
from service.verifying import Verifier, Verify
from service.versions import Folders, KeptTooShort, Look, Version, load_version
from service.watching import StoreWatch
from service.watching_people import VERSION

REFUSALS = (
    DocumentsRefused,
    FeatureRefused,
    ArtifactRefused,
    KeptTooShort,
    EmbeddedStoreError,
    CannotListen,
    StoreRefused,
    ErasureKeyRefused,
    GuardrailsGone,
    CallersRefused,
    PromiseBroken,
)


class StartRefused(Exception):
    """The service does not start like this: the message says why and what to do."""


class Shared(Protocol):
    """What the workers of one service share; each method raises in words, as what it stands for does."""

    async def verify(self, folder: Path, folded: Folded) -> None:
        """Verify a model."""
        ...

    async def store_url(self) -> str:
        """Return the URL of the embedded store, which runs."""
        ...


async def start(settings: Settings, shared: Shared | None = None) -> Running:
    """Wire everything and serve; raise `StartRefused` in words, with nothing left behind, where that cannot be.

    A store that cannot be reached is no reason not to start: answers are safe ones until it is there. `shared` is what
    this process has of its service, where it is one of several workers.
    """
    if why := unguarded(settings):
        raise StartRefused(why)
    try:
        async with AsyncExitStack() as opened:
            folders = Folders(settings.strategy, settings.model, settings.keep, settings.challenger)
            seen, verify = folders.look(), shared.verify if shared else _verify(settings, opened)
            challenging = Challenging(settings.challenger, verify)
            load = partial(load_version, verify=verify, challenging=challenging, promised=check_promises)
            first = await load(folders)
            check_still_guarded(settings.seat.guarded, first.strategy)
            url, embedded = await _store(settings.store, shared, opened)
            running = await _served(settings, _Begun(folders, seen, first, load), url, embedded, opened)
            running.closes_with(opened.pop_all())
            return running
    except REFUSALS as refused:
        raise StartRefused(str(refused)) from refused


@dataclass(frozen=True, slots=True)
class _Begun:
    """The version that a service begins with, where it was found, and how the next ones are loaded."""

    folders: Folders
    seen: Look
    first: Version
    load: Load


async def _served(
    settings: Settings, begun: _Begun, url: str, embedded: EmbeddedStore | None, opened: AsyncExitStack
) -> Running:
    ways = _ways(url, settings)
    connections = ways.quick
    opened.push_async_callback(ways.close)
    suppression = await suppression_of(settings.erasure_key, settings.store.folder, connections.execute)
    switching, counts = Switching(SwitchStore(Calls(connections, ways.confirmed)), BUCKETS, clock_ms), Counts()
    telemetry = Telemetry(settings.telemetry, counts, settings.seat.number)
    opened.push_async_callback(telemetry.close)  # which ends after all that it watches
    counts.observe(get_meter("tact"))
    STORE_REFUSALS.told_to(partial(counts.add, "store.refused"))
    ways.told(partial(counts.add, "store.breaker"), partial(counts.add, "store.hedged"))
    ears = StoreEars(ways, HeardStore(Calls(connections), suppression))
    opened.push_async_callback(ears.close)
    ground = Ground(ways, suppression, settings, switching, counts, clock_ms, ears)
    generation = Generation.of(begun.first, ground)
    listen = Listen(settings.host, settings.port, settings.reflection, settings.workers > 1, settings.tls)
    admission = Admission(Classes(read_classes(settings.channel_classes)))
    server = Server(generation.edge, listen, telemetry.watch, _access(settings, opened), admission)
    server.listens_by(ears)
    replicas = settings.confirmation.replicas if settings.confirmation else 0
    watch = StoreWatch(connections, generation.store, embedded, begun.first.strategy, switching, replicas)
    running = Running(server, watch, Generations(generation), ground, begun)
    await telemetry.open(settings.telemetry.host, running.told)
    running.metrics_port = telemetry.port
    running.port = await server.start()
    running.web = await open_to_browsers(settings, server.guarded)
    opened.push_async_callback(running.generations.close)
    opened.push_async_callback(running.drain, linger_s=0.0, grace_s=0.0)
    opened.push_async_callback(watch.close)
    opened.push_async_callback(running.reloading.close)
    generation.open()
    await watch.look()
    running.reloading.open()
    await server.announce(serving=True)
    return running


class Running:
    """A service that serves on `port`, until it is stopped; Prometheus reads on `metrics_port`, if anywhere."""

    def __init__(
        self, server: Server, store: StoreWatch, generations: Generations, ground: Ground, begun: _Begun
    ) -> None:
        self.port = 0
        self.metrics_port: int | None = None
        self.web: ToBrowsers | None = None
        self.store = store
        self.generations = generations
        self._server, self._ground, self._settings = server, ground, ground.settings
        self.reloading = Reloading(
            begun.folders, begun.seen, begun.first, self._put_in_force, ground.counts, clock_ms, begun.load,
            follows=ground.settings.reload,
        )  # fmt: skip
        server.controlled_by(Controlling(generations, self.reloading, ground.switches, ground.counts, store))
        self._opened = AsyncExitStack()

    @property
    def address(self) -> str:
        """Where it serves, as a client writes it."""
        host = self._settings.host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def strategy(self) -> Strategy:
        """The strategy that is in force."""
        return self.generations.current.version.strategy

    @property
    def model(self) -> str:
        """The version of the model that decides; empty without one."""
        return self.generations.current.version.engine.model_version

    @property
    def told(self) -> Told:
        """What telemetry asks the service about itself."""
        return Told(
            lambda: Versions(*self.generations.current.version.stamp),
            lambda: self.store.away,
            partial(families, self._server.admission),
        )

    async def use_model(self, folder: Path) -> None:
        """Verify a model and let it decide from now on; raise `ArtifactRefused`, and go on as before, if it may not."""
        await self.reloading.use_model(folder)

    async def stop(self, grace_s: float | None = None) -> None:
        """Say NOT_SERVING, let calls end within the grace, close what was opened, end the embedded store."""
        grace_s = self._settings.grace_s if grace_s is None else grace_s
        await self.drain(linger_s=self._settings.linger_s, grace_s=grace_s)
        await self._opened.aclose()

    async def drain(self, *, linger_s: float, grace_s: float) -> None:
        """Say NOT_SERVING, linger, take no new calls by any way, and let the old ones end within the grace."""
        drains = [self._server.drain, *([] if self.web is None else [self.web.drain])]
        await asyncio.gather(*(drain(linger_s=linger_s, grace_s=grace_s) for drain in drains))

    def closes_with(self, opened: AsyncExitStack) -> None:
        """Take over what was opened on the way."""
        self._opened = opened

    async def _put_in_force(self, version: Version) -> None:
        """Let calls that start from now on see another version; those under way keep theirs."""
        generation = Generation.of(version, self._ground)
        await generation.claim()
        generation.open()
        self._server.swap(generation.edge)
        self.store.follow(generation.store, version.strategy)
        self.generations.follow(generation)
        self._ground.ears.announce(VERSION, *version.name, clock_ms())


def clock_ms() -> int:
    """Return the wall clock in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def _ways(url: str, settings: Settings) -> Ways:
    wait_ms = max(1000.0, 1000 * settings.store_wait_s)  # decisions may be told to wait longer
    try:
        return open_ways(url, settings.confirmation, timeout_ms=wait_ms)
    except (ValueError, OSError) as error:
        raise StartRefused(str(error)) from None


def _access(settings: Settings, opened: AsyncExitStack) -> Access | None:
    """Return who may do what; None where everybody may do everything, which costs nothing."""
    if settings.callers is None:
        return None
    callers = CallersFile(settings.callers)
    opened.callback(callers.close)
    return Access(callers)


def _verify(settings: Settings, opened: AsyncExitStack) -> Verify:
    verifier = Verifier(waits=settings.reload)
    opened.push_async_callback(verifier.close)
    return verifier.verify


async def _store(place: StorePlace, shared: Shared | None, opened: AsyncExitStack) -> tuple[str, EmbeddedStore | None]:
    """Return the store's URL; an embedded one is started, unless it is shared, and ends with what else was opened."""
    if place.folder is None:
        return place.url, None
    if shared is not None:
        return await shared.store_url(), None
    store = EmbeddedStore(place.folder)
    opened.push_async_callback(asyncio.to_thread, store.stop)
    starting = asyncio.create_task(asyncio.to_thread(store.start))
    try:
        return await asyncio.shield(starting), store
    except asyncio.CancelledError:
        with suppress(EmbeddedStoreError):  # a thread cannot be cancelled: what it starts is stopped when it is there
            await starting
        raise
