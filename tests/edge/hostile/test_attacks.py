"""Beside each attack a caller who behaves is answered, always and soon; what the attacker makes us hold is bounded."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import grpc
import psutil
import pytest

from tests.cli.commands import ROOT, Process, clean
from tests.edge.hostile.asking import Channel, asked
from tests.edge.hostile.attacks import ATTACKS
from tests.edge.hostile.good import messages, write
from tests.edge.hostile.malformed import METHODS
from tests.profile import cases

A_NEW_ONE = (("grpc.use_local_subchannel_pool", 1),)
"""A connection of its own: gRPC would take one that is there."""

EVERY_S = 0.01
LONGEST_MS = cases(1_000, 100)  # the full profile has the machine to itself
LET_IN = frozenset({"slow_handshakes", "rapid_reset", "gzip_bomb"})
"""The attacks beside which new callers are let in too; who holds more connections than are taken keeps others out."""

HEALS_WITHIN_S = 5.0
MOST_BYTES = 100_000_000
DECIDE = next(method for method in METHODS if method.name == "Decide")


@dataclass(slots=True)
class Seen:
    """What a caller saw: how long each answered call took (ms), and what the others ended with."""

    took_ms: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def at(self, share: float) -> float:
        """Return the time that this share of the calls took at most."""
        return sorted(self.took_ms)[min(len(self.took_ms) - 1, int(share * len(self.took_ms)))]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Return a service as its users start it, on a store of its own."""
    folder = tmp_path_factory.mktemp("attacked")
    words = ("--strategy", write(folder / "strategy"), "--store", f"embedded:{folder / 'store'}", "--port", "0")
    with Process("serve", *words, "--no-reload", "--store-wait", "5", "--json") as process:
        yield process.serving()


async def ask_on(channel: Channel, seen: Seen, ends: asyncio.Event) -> None:
    """Ask every 10 ms until told to end."""
    raw, asking = messages()["Decide"].SerializeToString(), set[asyncio.Task[None]]()
    while not ends.is_set():
        asking.add(one := asyncio.create_task(ask(channel, raw, seen)))
        one.add_done_callback(asking.discard)
        await asyncio.sleep(EVERY_S)
    await asyncio.gather(*asking)


async def ask(channel: Channel, raw: bytes, seen: Seen) -> None:
    """Ask once."""
    began = time.perf_counter()
    try:
        await asked(channel, DECIDE, raw, 2.0)
        seen.took_ms.append(1e3 * (time.perf_counter() - began))
    except grpc.aio.AioRpcError as error:
        seen.failed.append(f"{error.code().name} {error.details()}")


async def most_memory(process: psutil.Process, ends: asyncio.Event) -> int:
    """Return the most that a process held meanwhile, in bytes."""
    most = 0
    while not ends.is_set():
        most = max(most, process.memory_info().rss)
        await asyncio.sleep(0.05)
    return most


async def come_anew(target: str, ends: asyncio.Event) -> int:
    """Come as a new caller again and again, and be answered each time; return how often."""
    times = 0
    while not ends.is_set():
        async with grpc.aio.insecure_channel(target, options=A_NEW_ONE) as channel:
            await asked(channel, DECIDE, messages()["Decide"].SerializeToString(), 2.0)
        times += 1
        await asyncio.sleep(0.1)
    return times


async def let_in(channel: Channel) -> None:
    """Wait until a new caller is answered."""
    while True:
        seen = Seen()
        await ask(channel, messages()["Decide"].SerializeToString(), seen)
        if seen.took_ms:
            return
        await asyncio.sleep(0.02)


async def attacked(name: str, port: int, seconds: float) -> dict[str, int]:
    """Attack from a process of its own and return what it did."""
    command = (sys.executable, "-m", "tests.edge.hostile.attacks", name, str(port), str(seconds))
    attack = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=clean(None), stdout=asyncio.subprocess.PIPE)
    said, _ = await asyncio.wait_for(attack.communicate(), seconds + 30)
    assert attack.returncode == 0
    did: dict[str, int] = json.loads(said)
    return did


@pytest.mark.parametrize("name", ATTACKS)
async def test_a_caller_beside(name: str, served: Process, record_property: Callable[[str, object], None]) -> None:
    """All its calls are answered, 99 % in 100 ms, and the service grows by less than 100 MB."""
    process, seen, ends = psutil.Process(served.pid), Seen(), asyncio.Event()
    async with grpc.aio.insecure_channel(served.target) as channel:
        await ask(channel, messages()["Decide"].SerializeToString(), Seen())
        before = process.memory_info().rss
        watching = asyncio.create_task(most_memory(process, ends))
        asking = asyncio.create_task(ask_on(channel, seen, ends))
        coming = asyncio.create_task(come_anew(served.target, ends)) if name in LET_IN else None
        did = await attacked(name, served.port, cases(1, 6))
        ends.set()
        await asking
        grown = await watching - before
    began = time.monotonic()
    async with grpc.aio.insecure_channel(served.target, options=A_NEW_ONE) as channel:
        await let_in(channel)
    back_s = time.monotonic() - began
    told = f"{len(seen.took_ms)} answered, {len(seen.failed)} failed, p50 {seen.at(0.5):.1f} p99 {seen.at(0.99):.1f} ms"
    record_property("printed", f"{name}: {did}; {told}, {grown / 1e6:+.0f} MB, let in {back_s:.2f} s after")
    assert sum(did.values()) > 10, "the attack took place"
    assert not seen.failed, (seen.failed[:3], served.grumbled()[-4000:])
    assert len(seen.took_ms) > 30
    assert coming is None or await coming > 1, "who comes meanwhile is let in"
    assert seen.at(0.99) < LONGEST_MS, told
    assert back_s < HEALS_WITHIN_S
    assert grown < MOST_BYTES, told
