"""One seed, from the first call to what the store holds in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from models import folds
from service.core.decision import Request
from service.core.plan import unpack as plan_of
from service.core.records import EventToFold
from service.core.supplies import SupplyReport
from service.store import keys
from tests.edge.simulation import callers
from tests.edge.simulation.backing import EPOCH_MS, Backing
from tests.edge.simulation.callers import Street
from tests.edge.simulation.history import Call, History
from tests.edge.simulation.loop import VirtualLoop, virtual_loop
from tests.edge.simulation.network import Network, SimStore
from tests.edge.simulation.plan import CALM_S, Happening, Plan, plan
from tests.edge.simulation.process import Made, Process, process
from tests.edge.simulation.strategy import HOLD_MS, ITEM, OFFERS, PLACE, UNITS, engine

RECOVERS_WITHIN_S = 2.0
ASKS_EVERY_S = 0.1
ALIAS = "ann-on-the-web"
NOBODY = "nobody"
HOUR_MS = 3_600_000
NOTED = (b"i", b"a", b"d", b"k")
SETTLES_S = 30.0
"""After so long whatever was still on its way has arrived."""


def simulate(seed: int, backing: Backing) -> History:
    """Run the world of a seed on an empty store and return its history."""
    made = plan(seed)
    backing.empty()
    with virtual_loop(seed) as loop:
        return loop.run_until_complete(_World(made, loop, backing).lived())


class _World:
    """The parts of one seed."""

    def __init__(self, made: Plan, loop: VirtualLoop, backing: Backing) -> None:
        self.plan = made
        self.loop = loop
        self.rng = Random(f"calls {made.seed}")
        self.store = SimStore(backing, loop, has_functions=made.seed % 8 != 0, replica_lag_s=made.lag_s)
        network = Random(f"network {made.seed}")
        self.network = Network(self.store, made.weather, (), network)
        loop.dials = self.network
        dice = Random(f"dice {made.seed}")
        self.made = Made(engine(made.promises), loop, dice.randbytes, made.durable)
        self.history = History(made.seed, made.durable, made.promises, made.calm)
        self.all_processes: list[Process] = []
        started = {name: self._process(name, skew) for name, skew in zip(made.processes, made.skews_ms, strict=True)}
        self.street = Street(loop, self.history, started, self.rng)

    def _process(self, name: str, skew_ms: int) -> Process:
        started = process(name, self.made, skew_ms)
        self.all_processes.append(started)
        return started

    async def lived(self) -> History:
        """Let everything happen, calm down, and see what is left."""
        weather, self.network.weather = self.network.weather, type(self.network.weather)()
        await self._begun()
        await asyncio.sleep(max(0.0, CALM_S - self.loop.now))
        self.network.weather, self.network.windows = weather, self.plan.windows
        happening = [self.loop.create_task(self._happen(one)) for one in self.plan.happenings]
        owners = [self._consents(customer) for customer in self.plan.customers]
        await asyncio.gather(*owners, *(self._caller() for _ in range(self.plan.callers)), *happening)
        self.network.calm()
        await self._recovered()
        await asyncio.sleep(SETTLES_S)
        self.history.lost = [(begin, end) for begin, end in self.store.lost]
        await self._ended()
        return self.history

    def owner(self, customer: str) -> str:
        """Return the person behind an identity."""
        return "ann" if customer == ALIAS else customer

    async def _begun(self) -> None:
        """Put in what everything begins with, while all is well."""
        first = self.street.processes[self.plan.processes[0]]
        if self.store.has_functions:
            await first.store.calls.load_functions()
        report = SupplyReport(ITEM, PLACE, UNITS, EPOCH_MS, EPOCH_MS + 24 * HOUR_MS)
        await first.store.supply.report(report, 1.0)
        index = self.made.engine.strategy.schema
        for customer in self.plan.customers:
            operations = folds.operations(index, "named", {"tag": f"<{customer}>"})
            named = [EventToFold(f"named-{customer}", EPOCH_MS - HOUR_MS, operations)]
            await first.store.events.fold(customer, named, 1.0)
            await callers.agrees(self.street, customer, "full", given=False)
        if self.plan.alias:
            await first.store.identities.link(ALIAS, "ann", 1.0)
        for one in self.street.processes.values():
            await one.warehouse.book.refresh()

    async def _happen(self, one: Happening) -> None:
        await asyncio.sleep(one.at_s - self.loop.now)
        if one.what == "fail-over":
            self.network.fail_over(one.skew_ms, one.down_s)
            self.history.skewed = True
        elif one.what == "forget":
            self.store.has_functions = False
        else:
            name = self.plan.processes[one.process]
            self.street.crash(name, self._process(name, self.rng.choice((0, -86_400_000, 86_400_000))))

    async def _pause(self) -> None:
        await asyncio.sleep(self.plan.spread_s * self.rng.choice((0.0, 0.5, 1.0, 1.5)))

    async def _consents(self, customer: str) -> None:
        """Change the consent of a customer now and then, one change after the other."""
        for _ in range(self.rng.choice((0, 1, 2, 3))):
            await self._pause()
            await self._pause()
            level = self.rng.choice(("none", "service", "full", "full"))
            await callers.agrees(self.street, self._identity(customer), level, given=self.rng.random() < 0.5)

    def _identity(self, customer: str) -> str:
        return ALIAS if customer == "ann" and self.plan.alias and self.rng.random() < 0.5 else customer

    async def _caller(self) -> None:
        rng = self.rng
        for number in range(self.plan.calls):
            await self._pause()
            owner = rng.choice(self.plan.customers)
            customer, dice = self._identity(owner), rng.random()
            if dice < 0.6:
                key = f"{owner}-{number % 3}" if rng.random() < 0.5 else ""
                email = (number % 3 == 0) if key else rng.random() < 0.3
                wish = OFFERS[number % 3] if key else rng.choice(OFFERS)
                await callers.decides(self.street, customer, key, email, wish, rng.choice((1, 2, 3)))
            elif dice < 0.75:
                await callers.buys(self.street, customer, owner)
            elif dice < 0.9:
                await callers.answers(self.street)
            else:
                await callers.validates(self.street)
            if rng.random() < 0.1:
                one = self.street.processes[self.street.any_process()]
                await rng.choice((one.warehouse.book.refresh, one.warehouse.doubts.look))()

    async def _recovered(self) -> None:
        """See that every process serves again in time, while it is asked: whom nobody knows, and each customer."""
        ends = self.loop.now + RECOVERS_WITHIN_S
        for name in self.street.processes:
            for customer in (NOBODY, *self.plan.customers):
                asked = await callers.asks(self.street, name, customer)
                while _less(asked) and self.loop.now < ends:
                    await asyncio.sleep(ASKS_EVERY_S)
                    asked = await callers.asks(self.street, name, customer)
                if _less(asked):
                    late = f"{RECOVERS_WITHIN_S} s after all was well"
                    self.history.broken.append(f"{name} answers {customer} less, {late}: {asked.line()}")

    async def _ended(self) -> None:
        """Note what the store holds."""
        final, last = self.history.final, self._process("after", 0)
        for customer in self.plan.customers:
            agreed = await last.store.consents.get_consent(customer, 5.0)
            final[f"consent {customer}"] = agreed.level if agreed else None
            await callers.agrees(self.street, customer, "full", given=False)
            final[f"known {customer}"] = await self._known(last, customer)
        final["log"], final["outcomes"] = self._streams(keys.log_key), self._streams(keys.out_key)
        for one in self.street.processes.values():
            await one.warehouse.doubts.look()
        await asyncio.sleep(HOLD_MS / 1000 + 60.0)
        stock = await last.store.supply.stock(ITEM, PLACE, 5.0)
        final["free"] = stock.free if stock else None
        await self._closed()

    async def _known(self, last: Process, customer: str) -> dict[str, Any]:
        known = await last.store.customers.context(customer, 5.0)
        sees = self.made.engine.see(known, Request(customer, "web", (), {}))
        index = self.made.engine.strategy.schema.index
        return {name: sees.values[index[f"past.{name}"]] for name in ("bought", "spend", "latest", "tag")}

    def _streams(self, key: Callable[[str], bytes]) -> list[dict[str, str]]:
        """Return what is noted of all entries of a stream that each bucket has one of."""
        buckets = dict.fromkeys(keys.bucket(customer) for customer in (*self.plan.customers, ALIAS, NOBODY))
        return [
            _noted(*entry) for bucket in buckets for entry in self.store.backing.ask("XRANGE", key(bucket), "-", "+")
        ]

    async def _closed(self) -> None:
        for one in self.all_processes:
            closing = one.close()
            assert isinstance(closing, asyncio.Future) or asyncio.iscoroutine(closing)
            await closing
            if one.distrusted:
                self.history.broken.append(f"{one.name}: {one.distrusted[0]}")
            if disagreed := one.counts.told().get("check.disagreed"):
                self.history.broken.append(f"{one.name}: the independent check disagreed: {disagreed}")
        await asyncio.sleep(1.0)
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        self.history.broken += [f"a task was left behind: {task.get_coro()}" for task in left]
        self.history.broken += self.loop.unhandled


def _less(asked: Call) -> bool:
    """Tell whether a call was not answered in full."""
    return asked.answer is None or bool(asked.answer["degraded"])


def _noted(at: bytes, flat: list[bytes]) -> dict[str, str]:
    fields = {flat[i]: flat[i + 1] for i in range(0, len(flat), 2)}
    noted = {"at": at.decode(), **{name.decode(): fields[name].decode() for name in NOTED if name in fields}}
    return noted | {"id": plan_of(fields[b"e"]).decision_id} if b"e" in fields else noted
