"""A consent that is withdrawn is withdrawn: in every process, from the acknowledgement on, also for what is queued."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import pytest
from redis import Redis

from service.core import plan
from service.rpc.client import Answer, Ask, Event, TactClient
from service.store import keys
from tests.cli.commands import Process
from tests.strategies import edited, write_strategy

PROCESSES = 4
WITHDRAWALS = int(os.environ.get("TACT_WITHDRAWALS", "80"))
DAY_MS = 86_400_000
CUSTOMER = "wanda"
PLACES = (("web", "hero"), ("desk", "offer"), ("email", "body"))


@pytest.fixture(scope="module")
def targets(store_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """Serve the small strategy, without caps, from four processes on one store, and return where."""
    strategy = write_strategy(
        tmp_path_factory.mktemp("withdrawal") / "strategy", caps=None,
        strategy=edited("strategy", "explore: 0.05", "explore: 0.0"),
    )  # fmt: skip
    words = ("serve", "--store", store_url, "--strategy", strategy, "--port", "0", "--json")
    with ExitStack() as open_processes:
        started = [open_processes.enter_context(Process(*words)) for _ in range(PROCESSES)]
        yield tuple(process.serving().target for process in started)


@asynccontextmanager
async def clients(targets: tuple[str, ...]) -> AsyncIterator[list[TactClient]]:
    """Open a client to each process, and make a customer to whom anything may be sold."""
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(TactClient(target, timeout_s=30.0)) for target in targets]
        now_ms = time.time_ns() // 1_000_000
        await opened[0].record_events(
            Event(f"t1-{what}", CUSTOMER, f"ticket.{what}", now_ms - days * DAY_MS, {"ticket": "t1"})
            for what, days in (("opened", 3), ("closed", 2))
        )
        yield opened


def sells(answer: Answer) -> bool:
    """Say whether the answer makes an offer."""
    return any(placed.get("offer", {}).get("sells", False) for placed in answer["answers"])


@dataclass(slots=True)
class Fire:
    """Decisions for one customer without a pause, over all processes, and what is known of the consent meanwhile.

    `withdrawn` is true from the acknowledgement of a withdrawal until the next consent is sent, and `epoch` counts the
    withdrawals.
    """

    withdrawn: bool = False
    epoch: int = 0
    offers: int = 0
    last_offer: str = ""
    judged: int = 0
    still_valid: int = 0
    broken: list[Answer] = field(default_factory=list)
    offered: asyncio.Event = field(default_factory=asyncio.Event)
    asked_since: asyncio.Event = field(default_factory=asyncio.Event)

    async def keep_asking(self, tact: TactClient, number: int) -> None:
        """Ask again and again, and look at each answer that began after an acknowledgement."""
        while True:
            began, since = self.withdrawn, self.epoch
            number += 1
            channel, placement = PLACES[number % len(PLACES)]
            answer = await tact.decide(Ask(CUSTOMER, channel, (placement,)))
            if began and since == self.epoch:
                self.judged += 1
                self.asked_since.set()
                if sells(answer):
                    self.broken.append(answer)
            elif sells(answer):
                self.offers += 1
                self.last_offer = answer["decision_id"]
                self.offered.set()

    async def withdraw(self, giving: TactClient, taking: TactClient) -> tuple[int, int]:
        """Agree, see an offer, withdraw, see that the offer may not be said any more and that none is made.

        Returns when the consent and the withdrawal arrived (ms).
        """
        self.withdrawn, self.epoch = False, self.epoch + 1
        self.offered.clear()
        given = await giving.set_consent(CUSTOMER, "full", ("email",))
        await self.offered.wait()
        taken = await taking.set_consent(CUSTOMER, "none")
        self.withdrawn = True
        self.asked_since.clear()
        queued = await giving.validate_decision(self.last_offer)
        self.still_valid += queued["valid"]
        await self.asked_since.wait()
        return arrived_ms(given), arrived_ms(taken)


def arrived_ms(answer: Answer) -> int:
    """Return when a consent arrived, by the store's clock."""
    return round(datetime.fromisoformat(answer["consent"]["arrived_at"]).timestamp() * 1000)


def logged_under_full_consent(url: str) -> list[tuple[int, str]]:
    """Return when (ms, by the store's clock) each decision under full consent was committed, from the log."""
    found = []
    with Redis.from_url(url) as store:
        for at, fields in store.xrange(keys.log_key(keys.bucket(CUSTOMER))):
            entry = plan.unpack(fields[b"e"])
            if entry.customer == CUSTOMER and entry.level == "full":
                found.append((int(at.split(b"-")[0]), entry.decision_id))
    return found


async def test_no_offer_after_a_withdrawal_is_acknowledged(
    targets: tuple[str, ...], store_url: str, store_kind: str
) -> None:
    """A thousand withdrawals under fire from four processes: no decision that begins after one makes an offer.

    Nor is a decision that began before committed under the consent that was withdrawn while it was made.
    """
    withdrawals = WITHDRAWALS if store_kind == "embedded" else WITHDRAWALS // 5
    async with clients(targets) as tacts:
        fire = Fire()
        asking = [
            asyncio.create_task(fire.keep_asking(tact, number))
            for number, tact in enumerate(tacts)
        ]  # fmt: skip
        spans = [
            await fire.withdraw(tacts[number % PROCESSES], tacts[(number + 1) % PROCESSES])
            for number in range(withdrawals)
        ]
        for task in asking:
            task.cancel()
        ended = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(error) for error in ended} == {asyncio.CancelledError}
    assert fire.broken == []
    assert fire.still_valid == 0
    assert fire.offers >= withdrawals
    assert fire.judged >= withdrawals
    logged = logged_under_full_consent(store_url)
    assert len(logged) >= withdrawals
    allowed = iter(spans)
    span = next(allowed)
    for at_ms, decision_id in logged:
        while at_ms > span[1]:
            span = next(allowed)  # committed after the last withdrawal: StopIteration, the promise is broken
        assert span[0] <= at_ms <= span[1], decision_id


async def test_a_queued_offer_is_stopped_in_every_process(targets: tuple[str, ...]) -> None:
    """What one process decided may not be said any more, whichever process is asked after the withdrawal."""
    async with clients(targets) as tacts:
        await tacts[0].set_consent(CUSTOMER, "full", ("email",))
        decided = await tacts[1].decide(Ask(CUSTOMER, "email", ("body",)))
        assert sells(decided)
        for tact in tacts:
            assert (await tact.validate_decision(decided["decision_id"]))["valid"]
        await tacts[2].set_consent(CUSTOMER, "none")
        for tact in tacts:
            answer = await tact.validate_decision(decided["decision_id"])
            assert not answer["valid"]
            assert {reason["code"] for reason in answer["placements"][0]["reasons"]} >= {
                "no_consent", "no_contact_permission",
            }  # fmt: skip
