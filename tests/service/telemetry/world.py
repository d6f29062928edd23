"""A service with telemetry, and what is read from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_plain

from service.app import Running, start
from service.config import Settings, StorePlace
from service.rpc.client import Ask, TactClient
from service.telemetry.settings import TelemetrySettings
from tests.project.tree import ROOT

DEMO = ROOT / "strategies" / "demo"
WEB = Ask("nobody", "web", ("greeting", "hero"))
OPENMETRICS = "Accept: application/openmetrics-text; version=1.0.0, text/plain;q=0.5\r\n"


@asynccontextmanager
async def measured(store: str, telemetry: TelemetrySettings, strategy: Path = DEMO) -> AsyncIterator[Running]:
    """Run a service whose telemetry is set like this."""
    place = StorePlace.parse(store)
    running = await start(Settings(store=place, strategy=strategy, port=0, store_wait_s=5.0, telemetry=telemetry))
    try:
        yield running
    finally:
        await running.stop(grace_s=0.0)


def client_of(running: Running) -> TactClient:
    """Return a client of a service of this process."""
    return TactClient(running.address, timeout_s=10.0)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the port for metrics answered."""

    status: int
    kind: str
    text: str


async def ask(port: int | None, request: str = "GET /metrics HTTP/1.1\r\n", headers: str = OPENMETRICS) -> Answer:
    """Ask the port for metrics, as plainly as can be."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"{request}{headers}\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        await hang_up(writer)
    lines = head.decode().split("\r\n")
    kind = next(line.split(": ", 1)[1] for line in lines if line.startswith("Content-Type"))
    return Answer(int(lines[0].split(" ")[1]), kind, body.decode())


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Close a connection, and wait until it is closed."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def scraped(port: int | None, *, openmetrics: bool = True) -> dict[str, Metric]:
    """Return the families that the port tells, by name, read with the parsers of Prometheus."""
    answer = await ask(port, headers=OPENMETRICS if openmetrics else "")
    assert answer.status == 200
    return {family.name: family for family in read_families(answer.text, openmetrics=openmetrics)}


def read_families(text: str, *, openmetrics: bool = True) -> list[Metric]:
    """Return what a text holds, as Prometheus reads it."""
    read = read_openmetrics if openmetrics else read_plain
    return list(read(text))


def number(families: dict[str, Metric], sample: str, **labels: str) -> float:
    """Return one number; fail where there is none, or more than one."""
    found = [
        each.value
        for family in families.values()
        for each in family.samples
        if each.name == sample and labels.items() <= each.labels.items()
    ]
    assert len(found) == 1, (sample, labels, len(found))
    return float(found[0])
