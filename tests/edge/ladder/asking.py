"""A service of its own over a store, and a caller who asks it so often a second whatever comes back."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import grpc

from models import folds
from service.core.loader import load_strategy
from service.core.records import ConsentRecord, EventToFold
from service.store.connection import Connections
from service.store.store import Store
from tact.v1 import decision_pb2 as pb
from tact.v1 import decision_pb2_grpc
from tests.cli.commands import ROOT, TACT, clean
from tests.strategies import write_strategy

DEADLINE_S = 0.1
LATE_S, DISTURBED_S = 0.02, 0.004
"""By how much the caller's own loop may be late, which shares its cores with the service and the store, before nothing
can be said of a call that was under way: whether it was answered in time, or how long it took to a millisecond.
"""
CONSENTING = tuple(f"yes-{number}" for number in range(200))
SILENT = tuple(f"no-{number}" for number in range(50))
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Seen:
    """One question: whom it was about, when it was asked (s), how long it took (s), and its answer, unset for none.

    `lag_s` is by how much the caller itself was late meanwhile.
    """

    customer: str
    at_s: float
    took_s: float
    answer: pb.DecideResponse | None
    code: str
    lag_s: float

    @property
    def rung(self) -> int:
        """The rung of the answer."""
        return self.answer.rung if self.answer is not None else pb.RUNG_UNSPECIFIED

    @property
    def sells(self) -> bool:
        """Whether anything is sold."""
        return self.answer is not None and any(one.offer.sells for one in self.answer.answers)


def written(folder: Path) -> Path:
    """Write the strategy that is asked: the small one, without features, so that it needs no model."""
    return write_strategy(folder, model=None)


async def known_to(url: str, strategy_folder: Path) -> None:
    """Let the store know customers to whom anything may be offered."""
    strategy = load_strategy(strategy_folder)
    groups = {level.id: "".join(p.group for p in level.purposes) for level in strategy.levels}
    now_ms = time.time_ns() // 1_000_000
    async with Connections(url, timeout_ms=10_000) as connections:
        store = Store.over(connections, groups, strategy.levels[0].id, schema=strategy.schema)
        await store.calls.load_functions()

        async def known(customer: str) -> None:
            consent = ConsentRecord("full", ("email",), now_ms - DAY_MS, "test")
            await store.consents.set_consent(customer, consent, 10.0)
            for event, ago in (("ticket.opened", 3), ("ticket.closed", 2)):
                operations = folds.operations(strategy.schema, event, {"ticket": "t1"})
                happened = [EventToFold(event, now_ms - ago * DAY_MS, operations)]
                await store.events.fold(customer, happened, 10.0)

        await asyncio.gather(*map(known, CONSENTING))


def first(process: int, *, before: bool = True) -> None:
    """Let all threads of a process run before those of other tests, whose work says nothing of ours; where we may."""
    policy, priority = (os.SCHED_RR, 1) if before else (os.SCHED_OTHER, 0)
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{process}/task"):
            os.sched_setscheduler(int(thread), policy, os.sched_param(priority))


@contextmanager
def serving(url: str, strategy: Path, folder: Path, *words: str) -> Iterator[str]:
    """Run a service, and give its address; its log goes to a file, for nobody reads it meanwhile."""
    command = [*TACT, "serve", "--json", "--port", "0", "--store", url, "--strategy", str(strategy), *words]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "service.log").open("wb") as errors:
        process = subprocess.Popen(
            command, cwd=ROOT, env=clean(None), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
        )
    try:
        line = cast(IO[bytes], process.stdout).readline()
        assert line, (folder / "service.log").read_text()[-2000:]
        first(process.pid)
        yield f"127.0.0.1:{json.loads(line)['port']}"
    finally:
        process.terminate()
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        cast(IO[bytes], process.stdout).close()


class Caller:
    """Asks a service at a steady rate, each time about another customer, with a deadline of 100 ms."""

    def __init__(self, address: str, rate: float = 100.0) -> None:
        self._channel = grpc.aio.insecure_channel(address)
        self._stub = decision_pb2_grpc.DecisionServiceStub(self._channel)
        self._interval_s = 1.0 / rate
        self._asked = 0
        self._lags: list[tuple[float, float]] = []

    async def __aenter__(self) -> Caller:
        await self._channel.channel_ready()
        first(os.getpid())
        return self

    async def __aexit__(self, *_: object) -> None:
        first(os.getpid(), before=False)
        await self._channel.close()

    async def ask_for(self, seconds: float) -> list[Seen]:
        """Ask for so long, and return what came of every question."""
        watching = asyncio.create_task(self._watch())
        loop, asking = asyncio.get_running_loop(), list[asyncio.Task[Seen]]()
        began = loop.time()
        while (now := loop.time()) - began < seconds:
            asking.append(asyncio.create_task(self._ask()))
            await asyncio.sleep(max(0.0, began + len(asking) * self._interval_s - now))
        seen = await asyncio.gather(*asking)
        watching.cancel()
        return seen

    async def until_full(self, within_s: float) -> float:
        """Ask until an answer is a full one, and return how long that took (s)."""
        began = time.monotonic()
        while time.monotonic() - began < within_s:
            if any(one.rung == pb.RUNG_FULL for one in await self.ask_for(0.05)):
                return time.monotonic() - began
        raise AssertionError(f"no full answer within {within_s} s")

    async def _ask(self) -> Seen:
        self._asked += 1
        people = SILENT if self._asked % 5 == 0 else CONSENTING
        customer = people[self._asked // 5 % len(people) if people is SILENT else self._asked % len(people)]
        request = pb.DecideRequest(customer_id=customer, channel="web", placements=["greeting", "hero"])
        at, answer, code = time.monotonic(), None, "OK"
        try:
            answer = await self._stub.Decide(request, timeout=DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            code = error.code().name
        ended = time.monotonic()
        overlapping = (until - since for since, until in self._lags[-200:] if at < until and since < ended)
        return Seen(customer, at, ended - at, answer, code, max(overlapping, default=0.0))

    async def _watch(self) -> None:
        """Note when this loop was late itself."""
        while True:
            due = time.monotonic() + 0.002
            await asyncio.sleep(0.002)
            if time.monotonic() - due > DISTURBED_S:
                self._lags.append((due, time.monotonic()))


def measurable(seen: Sequence[Seen]) -> int:
    """Return of how many it is known to a few milliseconds how long they took."""
    return sum(one.lag_s < DISTURBED_S for one in seen)


def percentile(seen: Sequence[Seen], share: float, measured: float) -> float:
    """Return how long the fastest share took at most (ms), of what was measured: at least such a share of all."""
    took = sorted(one.took_s for one in seen if one.lag_s < DISTURBED_S)
    told = f"the machine is too busy: only {len(took)} of {len(seen)} were measured"
    assert len(took) >= measured * len(seen), told
    return 1000 * took[min(int(share * len(took)), len(took) - 1)]


def check(seen: Sequence[Seen]) -> None:
    """See that everything was answered in time, and nothing offered to whom nobody may offer anything."""
    measured = [one for one in seen if one.lag_s < LATE_S]
    assert len(measured) >= 0.8 * len(seen), "the machine is too busy to measure anything"
    assert [(one.code, one.took_s) for one in measured if one.answer is None] == []
    assert [one.code for one in seen if one.code not in ("OK", "DEADLINE_EXCEEDED")] == []
    assert [one.customer for one in seen if one.sells and one.customer in SILENT] == []
    assert [one.customer for one in seen if one.sells and one.rung == pb.RUNG_REQUEST_ONLY] == []
