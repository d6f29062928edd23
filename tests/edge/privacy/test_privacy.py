"""Nothing of a person and no secret is in what a service logs, sends, counts, or says beside its answers."""

from __future__ import annotations

import asyncio
import json
import os
import select
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from redis import Redis

from service.store.embedded import EmbeddedStore
from tact.v1 import decision_pb2, rights_pb2
from tests.cli.commands import ROOT, clean
from tests.edge.hostile.asking import Channel
from tests.edge.hostile.good import messages, named, write
from tests.edge.hostile.malformed import METHODS
from tests.edge.privacy.canaries import KINDS, MARK, METADATA, SIGNS, hits, marked
from tests.profile import cases
from tests.rpc.messages import path_of
from tests.service.telemetry.collector import Collector, collecting

BY_NAME = {method.name: method for method in METHODS}
PASSWORD = f"{MARK}-password"
STARTS_WITHIN_S = 30.0
FAULTY = {
    "Decide", "SetConsent", "GetConsent", "Watch", "SearchCustomers", "GetJourney", "Acknowledge", "ReleaseDeadMoments",
}  # fmt: skip
"""The methods whose calls end as a fault of the service's where `faulty.py` makes it fail."""


@dataclass(slots=True)
class Service:
    """A service that runs, and everything that leaves it beside its answers."""

    process: subprocess.Popen[bytes]
    log: Path
    store: EmbeddedStore
    collector: Collector
    port: int = 0
    metrics_port: int = 0
    said: list[str] = field(default_factory=list)
    ended: dict[str, int] = field(default_factory=dict)

    def metrics(self) -> str:
        """Return what Prometheus reads."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    def series(self) -> set[str]:
        """Return the names and labels of all numbers."""
        lines = (line for line in self.metrics().splitlines() if line and not line.startswith("#"))
        return {line.partition(" # ")[0].rpartition(" ")[0] for line in lines}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return a service that tells as much as it can: to its log, to a collector, to Prometheus."""
    folder = tmp_path_factory.mktemp("privacy")
    key, url = folder / "key", folder / "url"
    key.write_text(os.urandom(32).hex())
    kept = EmbeddedStore(folder / "store")
    with collecting() as collector, kept as place, (folder / "log").open("wb") as log:
        with Redis.from_url(place) as store:
            store.config_set("requirepass", PASSWORD)
        url.write_text(place.replace("redis://", f"redis://:{PASSWORD}@") + "\n")
        for secret in (key, url):
            secret.chmod(0o600)
        process = subprocess.Popen(
            (sys.executable, "-m", "tests.edge.privacy.faulty", "serve", "--json", "--port", "0", "--no-reload",
             "--strategy", write(folder / "strategy"), "--store-url-file", url, "--erasure-key-file", key,
             "--reflection", "--log-level", "debug", "--otlp", collector.url, "--trace-share", "1",
             "--metrics-port", "0", "--store-wait", "2"),
            cwd=ROOT, env={**clean(None), "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protos'}"},
            stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
        try:
            said = json.loads(_first_line(process))
            yield Service(process, folder / "log", kept, collector, said["port"], said["metrics_port"], [str(said)])
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def _first_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], STARTS_WITHIN_S)
    line = process.stdout.readline() if ready else b""
    assert line, "the service does not start"
    return line


async def call(channel: Channel, service: Service, method: MethodDescriptor, raw: bytes) -> None:
    """Send bytes to a method with marked metadata; keep the status, what it says and what comes beside it."""
    shape = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    made: Any = getattr(channel, shape)(path_of(method), None, None)
    answer = made(_once(raw) if method.client_streaming else raw, timeout=5.0, metadata=METADATA)
    try:
        if method.server_streaming:
            for _ in range(4):
                if await asyncio.wait_for(answer.read(), 0.5) is grpc.aio.EOF:
                    break
            else:
                answer.cancel()
                return
        else:
            await answer
    except TimeoutError:  # it goes on for ever, as it may
        answer.cancel()
        return
    except grpc.aio.AioRpcError:
        pass
    code, beside = await answer.code(), (await answer.initial_metadata(), await answer.trailing_metadata())
    service.ended[code.name] = service.ended.get(code.name, 0) + 1
    service.said.append(f"{method.name} {code.name} {await answer.details()} {[tuple(each or ()) for each in beside]}")


async def _once(raw: bytes) -> AsyncIterator[bytes]:
    yield raw


async def call_every(
    service: Service, raws: Iterable[tuple[MethodDescriptor, bytes]], agent: str = f"agent-{MARK}"
) -> None:
    """Send all of them, a few at a time."""
    waiting = iter(raws)

    async def work(channel: Channel) -> None:
        for method, raw in waiting:
            await call(channel, service, method, raw)

    options = (("grpc.primary_user_agent", agent),)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{service.port}", options=options) as channel:
        await asyncio.gather(*(work(channel) for _ in range(16)))


def every_field() -> Iterator[tuple[MethodDescriptor, bytes]]:
    """Yield every method with every field that takes a text marked, whole and with its end broken.

    Nobody is erased before the others have been asked about them.
    """
    good = messages()
    for method in sorted(METHODS, key=lambda method: method.name == "EraseCustomer"):
        yield from ((method, message.SerializeToString()) for message in marked(good[named(method)]))
        yield method, good[named(method)].SerializeToString() + b"\x0a\x7f" + MARK.encode()


def every_error() -> Iterator[tuple[MethodDescriptor, bytes]]:
    """Yield of each method one marked message of each kind, for paths on which everything fails alike."""
    for method in METHODS:
        some = list(marked(messages()[named(method)]))[:: cases(5, 1)]
        yield from ((method, one.SerializeToString()) for one in some)


def everything(service: Service) -> dict[str, bytes]:
    """Return all that has left the service but its answers, and what others can see of it."""
    command = Path(f"/proc/{service.process.pid}/cmdline")
    return {
        "log": service.log.read_bytes(),
        "spans and metrics sent": b"".join(service.collector.raw),
        "metrics read": service.metrics().encode() if service.process.poll() is None else b"",
        "statuses and trailers": "\n".join(service.said).encode(),
        "command line": command.read_bytes() if command.exists() else b"",
    }


async def test_no_series_for_anybody(service: Service, record_property: Callable[[str, object], None]) -> None:
    """Whatever callers call themselves, their customers and channels, the metrics have the labels that they had."""
    rng, count = Random(5), cases(300, 10_000)

    def asks(number: int) -> Iterator[tuple[MethodDescriptor, bytes]]:
        for place in range(number):
            channel = "web" if place % 2 else f"c{rng.randrange(10**9)}"
            asked = decision_pb2.DecideRequest(
                customer_id=f"c{rng.randrange(10**12)}", channel=channel, placements=["greeting"]
            )
            yield BY_NAME["Decide"], asked.SerializeToString()

    await call_every(service, asks(50))
    before = service.series()
    for agent in range(4):
        await call_every(service, asks(count // 4), f"agent-{agent}-{rng.randrange(10**9)}")
    grown = service.series() - before
    record_property("printed", f"{count:,} customers, half as many channels: {len(before)} series, {len(grown)} more")
    assert not {line for line in grown if "_bucket" not in line}, grown
    assert len(grown) < 60, "no more than the buckets of times that were not seen before"


async def test_no_canary_leaves(service: Service, record_property: Callable[[str, object], None]) -> None:
    """In health, erased, badly asked, with a fault inside and without a store: no sign anywhere."""
    await call_every(service, every_field())
    healthy = dict(service.ended)
    erased = [(BY_NAME["EraseCustomer"], rights_pb2.EraseCustomerRequest(customer_id=one).SerializeToString())
              for one in KINDS.values()]  # fmt: skip
    await call_every(service, erased)
    await call_every(service, every_error())
    service.store.stop()
    await call_every(service, every_error())
    await asyncio.sleep(1.5)  # traces leave every second
    found = {name: hits(raw) for name, raw in everything(service).items()}
    record_property("printed", f"{len(service.said):,} calls: {service.ended}; hits: {found}")
    assert {"OK", "INVALID_ARGUMENT", "INTERNAL"} <= healthy.keys(), "every path was gone"
    failed = {name for name, code, *_ in map(str.split, service.said) if code == "INTERNAL"}
    assert failed == FAULTY, "the faults that are put in are met"
    assert {"UNAVAILABLE", "FAILED_PRECONDITION"} <= service.ended.keys()
    assert service.collector.spans, "traces were sent"
    assert b"Internal error" in service.log.read_bytes()
    wrong = [line for line in service.said if hits(line)]
    assert not any(found.values()), f"{found} {wrong[:5]} {_around(service)}"
    assert service.process.poll() is None


def _around(service: Service) -> list[bytes]:
    """Return the lines of the log with a sign in them, for whoever has to mend it."""
    return [line for line in service.log.read_bytes().splitlines() if hits(line)][:5]


def test_the_search_finds_what_is_there() -> None:
    """What is looked for is found, however it is written: a search that finds nothing proves nothing."""
    for canary in (kind for name, kind in KINDS.items()):
        assert hits(f"x{canary}y")
    assert hits(MARK.encode().hex())
    assert all(hits(sign) for sign in SIGNS)
    assert not hits("nothing of it")
