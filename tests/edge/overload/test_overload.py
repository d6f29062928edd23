"""Three times as much is asked as can be answered, on a schedule, whatever the answers: a real server and real calls.

What is short here is the store: one thing at a time, 12 ms each, as a store does that has become slow, and it does what
it was asked even when nobody waits for it any more. So how much can be answered is the same on any machine, and whoever
calls does not fight the server for the processor.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

import grpc
import pytest

from service.core.decision import Decision, Request
from service.rpc.admission import admission as admitting
from service.rpc.admission.admission import Admission
from service.rpc.admission.classes import DESKTOP, EMAIL, WEB
from service.rpc.server import Listen, Server
from tact.v1 import decision_pb2 as pb
from tests.profile import cases
from tests.rpc.world import Answering, answered, edge_of

DECIDE, BATCHES = "/tact.v1.DecisionService/Decide", "/tact.v1.DecisionService/DecideBatches"
EACH_S, DEADLINE_S = 0.012, 0.6
PLACES = {"desk": "greeting", "web": "greeting", "email": "body"}
STEP_S, MOST_LOST, LONGEST_S, SETTLES_S = 0.005, 0.25, 0.06, 1.5
SHARES = {"desk": 0.2, "web": 1.0, "email": 1.8}
"""How much each channel asks for, of all that can be answered: three times as much together."""


class SlowStore:
    """Serves one decision at a time, first come, first served."""

    def __init__(self) -> None:
        self._free = asyncio.Lock()
        self.each_s = EACH_S
        self.asked = 0

    async def decide(self, request: Request) -> Decision:
        """Decide, which takes 12 ms when nobody else asks."""
        self.asked += 1
        await asyncio.shield(self._work())
        return answered(request)

    async def _work(self) -> None:
        async with self._free:
            await asyncio.sleep(self.each_s)


class Unbounded(Admission):
    """Lets everybody in at once: what a service does that has no admission."""

    def take(self, kind: int) -> bool:
        """Give a place to everybody."""
        self._taken[kind] += 1
        self._working += 1
        return True


@dataclass(slots=True)
class Got:
    """What callers of one channel got: how many asked, were answered, and were not, by status."""

    due: int = 0
    ok: int = 0
    others: Counter[str] = field(default_factory=Counter)
    pushbacks: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Scene:
    """A server, its admission and store, and a connection for each channel."""

    admission: Admission
    store: SlowStore
    calls: dict[str, Any]
    streaming: Any

    async def call(self, channel: str, got: Got, deadline_s: float = DEADLINE_S) -> None:
        """Ask once, and note what comes of it."""
        got.due += 1
        request = pb.DecideRequest(customer_id=f"c{got.due}", channel=channel, placements=[PLACES[channel]])
        try:
            await self.calls[channel](request.SerializeToString(), timeout=deadline_s)
            got.ok += 1
        except grpc.aio.AioRpcError as error:
            got.others[error.code().name] += 1
            got.pushbacks += [int(v) for k, v in error.trailing_metadata() or () if k == "grpc-retry-pushback-ms"]

    async def peak(self, seconds: float) -> float:
        """Return the decisions a second when there is always one to make."""
        got, loop = Got(), asyncio.get_running_loop()
        ends = loop.time() + seconds

        async def caller() -> None:
            while loop.time() < ends:
                await self.call("web", got, 5.0)

        await asyncio.gather(*(caller() for _ in range(6)))
        return got.ok / seconds

    async def undisturbed(self, seconds: float) -> bool:
        """Tell whether this process could go on when it had something to do, for so many seconds."""
        loop, late_s = asyncio.get_running_loop(), [0.0]
        ends = loop.time() + seconds
        while (began := loop.time()) < ends:
            await asyncio.sleep(STEP_S)
            late_s.append(loop.time() - began - STEP_S)
        return sum(late_s) < MOST_LOST * seconds and max(late_s) < LONGEST_S

    async def crowd(self, rates: dict[str, float], seconds: float) -> dict[str, Got]:
        """Let each channel ask at a rate a second, whatever is answered."""
        every = {channel: Got() for channel in rates}

        async def ask(channel: str, rate: float) -> None:
            loop, tasks = asyncio.get_running_loop(), []
            began = loop.time()
            for number in range(int(rate * seconds)):
                await asyncio.sleep(max(0.0, began + number / rate - loop.time()))
                tasks.append(asyncio.create_task(self.call(channel, every[channel])))
            await asyncio.gather(*tasks)

        await asyncio.gather(*(ask(channel, rate) for channel, rate in rates.items()))
        return every


@asynccontextmanager
async def scene(admission: Admission) -> AsyncIterator[Scene]:
    """Serve, and connect each channel by itself."""
    store = SlowStore()
    server = Server(edge_of(Answering(store.decide)), replace(Listen(), port=0), admission=admission)
    target = f"127.0.0.1:{await server.start()}"
    local = (("grpc.use_local_subchannel_pool", 1),)
    channels = {name: grpc.aio.insecure_channel(target, options=local) for name in PLACES}
    try:
        calls: dict[str, Any] = {name: one.unary_unary(DECIDE) for name, one in channels.items()}
        yield Scene(admission, store, calls, channels["email"].stream_stream(BATCHES))
    finally:
        for one in channels.values():
            await one.close()
        await server.drain(linger_s=0, grace_s=0)


async def overloaded(at: Scene, peak: float, seconds: float) -> tuple[float, float, dict[str, Got]]:
    """Ask for three times as much as can be answered; return the goodput and the desktop's success as shares."""
    got = await at.crowd({channel: share * peak for channel, share in SHARES.items()}, seconds)
    goodput = sum(one.ok for one in got.values()) / seconds / peak
    desk = got["desk"].ok / got["desk"].due
    others = {channel: dict(one.others) for channel, one in got.items()}
    print(f"peak {peak:.0f}/s; at 3x goodput {goodput:.2f} of it, desktop {desk:.1%}, not answered {others}")
    return goodput, desk, got


async def quiet_windows(
    at: Scene, peak: float, wanted: int, seconds: float
) -> list[tuple[float, float, dict[str, Got]]]:
    """Ask for three times as much in several windows; repeat those in which the machine did something else."""
    windows: list[tuple[float, float, dict[str, Got]]] = []
    for _ in range(5 * wanted):
        window, undisturbed = await asyncio.gather(overloaded(at, peak, seconds), at.undisturbed(seconds))
        if undisturbed:
            windows.append(window)
        else:
            print("not counted: the machine did something else")
            await asyncio.sleep(SETTLES_S)
        if len(windows) == wanted:
            return windows
    pytest.skip("the machine is too busy to measure on")


async def test_three_times_as_much_as_can_be_answered() -> None:
    """At 3 times capacity goodput is at least 80 % of the peak, desktops get at least 99 %, and it is over in 5 s."""
    async with scene(Admission()) as at:
        peak = max([await at.peak(0.5) for _ in range(2)])
        windows = await quiet_windows(at, peak, cases(3, 8), cases(1, 6))
        assert median(goodput for goodput, _, _ in windows) >= 0.8
        assert median(desk for _, desk, _ in windows) >= 0.99
        refused = [one for _, _, got in windows for one in got["email"].pushbacks]
        assert refused
        assert all(50 <= wait_ms <= 3000 for wait_ms in refused)
        await asyncio.sleep(cases(1, 3))
        after = await at.crowd({"web": 20.0, "email": 20.0}, 0.5)
        print("afterwards", {channel: (one.ok, one.due) for channel, one in after.items()})
        assert all(one.ok == one.due for one in after.values())
        assert at.admission.waiting == at.admission.working == (0, 0, 0)


async def test_without_admission_it_fails() -> None:
    """The same load on a service that lets everybody in: what it answers comes too late, to desktops as to all."""
    async with scene(Unbounded()) as at:
        goodput, desk, _ = await overloaded(at, await at.peak(0.5), 1.5)
        assert desk < 0.9
        assert goodput < 0.8


async def test_who_cannot_wait_costs_the_store_nothing() -> None:
    """What is shed while it waits, or comes with its time over, is never asked of the store."""
    async with scene(Admission()) as at:
        got = await at.crowd({"email": 300.0}, 1.0)
        shed = sum(at.admission.shed.values())
        assert shed > 50
        assert at.store.asked == sum(at.admission.admitted) + sum(at.admission.working)
        assert at.store.asked + shed <= got["email"].due
        while any((*at.admission.waiting, *at.admission.working)):  # noqa: ASYNC110 - a server hears later who has left
            await asyncio.sleep(0.01)
        asked = at.store.asked
        late = Got()
        await asyncio.gather(*(at.call("web", late, 0.0) for _ in range(20)))
        assert late.others["DEADLINE_EXCEEDED"] == 20
        assert at.store.asked == asked


async def test_mailings_side_by_side() -> None:
    """Streams that ask for far more than can be decided at once, with less time than all of it takes, wait."""
    async with scene(Admission()) as at:
        at.store.each_s = 0.001
        mailings, each = 6, cases(200, 1000)

        async def mailing(number: int) -> list[pb.DecideResponse]:
            async def asked() -> AsyncIterator[bytes]:
                for begin in range(0, each, 50):
                    some = [
                        pb.DecideRequest(customer_id=f"c{number}-{n}", channel="web", placements=["greeting"])
                        for n in range(begin, begin + 50)
                    ]
                    yield pb.DecideBatchesRequest(requests=some).SerializeToString()

            call = at.streaming(asked(), timeout=60)
            return [one async for raw in call for one in pb.DecideBatchesResponse.FromString(raw).answers]

        answers = [one for some in await asyncio.gather(*map(mailing, range(mailings))) for one in some]
        assert len(answers) == mailings * each
        assert not [one.error.message for one in answers if one.HasField("error")]
        assert sum(at.admission.shed.values()) == 0


async def test_email_does_not_take_it_all() -> None:
    """When mailings wait for a store that is slow, a desktop has its place at once, and operators need none."""
    async with scene(Admission()) as at:
        mailing = asyncio.create_task(at.crowd({"email": 250.0}, 1.0))
        await asyncio.sleep(0.5)
        assert at.admission.working[EMAIL] <= at.admission.limit * admitting.SHARES[EMAIL] + 1
        assert at.admission.working[DESKTOP] == at.admission.working[WEB] == 0
        desk = await at.crowd({"desk": 20.0}, 0.4)
        assert not desk["desk"].others.keys() & {"RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "UNAVAILABLE"}
        assert desk["desk"].ok > desk["desk"].due / 2
        await mailing
