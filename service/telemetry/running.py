"""Telemetry as a whole: put together for one process, begun with it and ended after everything else."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import metadata

from service.telemetry.beat import Beat
from service.telemetry.counts import Counts
from service.telemetry.families import Family
from service.telemetry.reading import Readings, Versions
from service.telemetry.sampling import Sampler
from service.telemetry.scraping import Scraping
from service.telemetry.settings import TelemetrySettings
from service.telemetry.spreads import Durations, Lags
from service.telemetry.watch import UNWATCHED, Waiting, Watch, Watching

WITHIN_S = 2.0
"""How long the end of a service may take for what was measured last; what is not sent by then is lost."""

SPANS = "telemetry.spans"


@dataclass(frozen=True, slots=True)
class Told:
    """What telemetry asks the service about itself."""

    versions: Callable[[], Versions]
    store_away: Callable[[], bool]
    admission: Callable[[], tuple[Family, ...]] = tuple


class Telemetry:
    """Measures one process as its settings say. Open and close it on the loop that serves."""

    def __init__(self, settings: TelemetrySettings, counts: Counts, worker: int = 1) -> None:
        self._settings, self._counts = settings, counts
        self._port = settings.port_of(worker)
        self._durations, self._lags = Durations(), Lags()
        self._waiting = Waiting(partial(counts.add, SPANS, "dropped"))
        self._beat = Beat(self._lags, self._durations.settle)
        self._scraping: Scraping | None = None
        self._stop: Callable[[float], asyncio.Future[bool]] | None = None
        self.watch: Watch = self._watching() if settings.on else UNWATCHED

    @property
    def port(self) -> int | None:
        """Where Prometheus reads; None where it does not."""
        return self._scraping.port if self._scraping is not None else None

    async def open(self, host: str, told: Told) -> None:
        """Begin to tell; raise `CannotListen` where the port for metrics cannot be had."""
        if not self._settings.on:
            return
        readings = Readings(self._counts, self._durations, self._lags, told.versions, told.store_away, told.admission)
        if self._port is not None:
            scraping = Scraping(partial(self._read, readings))
            await scraping.open(host, self._port)
            self._scraping = scraping
        if self._settings.otlp:
            self._export(readings)
        self._beat.start()

    async def close(self) -> None:
        """Send what was measured last, within 2 s, and end."""
        self._beat.stop()
        self._durations.settle()
        if self._scraping is not None:
            await self._scraping.close()
        if self._stop is not None:
            await self._stop(WITHIN_S)

    def _read(self, readings: Readings) -> tuple[Family, ...]:
        self._durations.settle()
        return readings.families()

    def _watching(self) -> Watching:
        if not self._settings.traces:
            return Watching(self._durations, self._counts)
        unheeded = partial(self._counts.add, SPANS, "unheeded")
        sampler = Sampler(self._settings.trace_share, self._settings.by_callers, unheeded)
        return Watching(self._durations, self._counts, sampler, self._waiting)

    def _export(self, readings: Readings) -> None:
        # Imported only where somebody wants it: 0.3 s of processor time, and 3 MB.
        from service.telemetry.exporting import Exporting
        from service.telemetry.otlp import resource_of
        from service.telemetry.sending import Sender

        exporting = Exporting(
            Sender(self._settings.otlp, dict(self._settings.headers)),
            resource_of(instance(), _version()),
            readings.families,
            self._waiting,
            sent=lambda spans: self._counts.add(SPANS, "sent", spans),
            lost=lambda spans: self._counts.add(SPANS, "lost", spans),
        )
        exporting.start()
        self._stop = lambda within_s: asyncio.ensure_future(exporting.stop(within_s))


def instance() -> str:
    """Return the name of this process among all that serve."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _version() -> str:
    try:
        return metadata.version("tact")
    except metadata.PackageNotFoundError:
        return "unknown"
