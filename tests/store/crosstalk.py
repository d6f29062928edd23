"""Would one customer ever get data of another? Readers that leave at random, and a check of every value they get."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.store.connection import (
    Connection,
    Connections,
    Reply,
    StoreError,
    StoreTimeout,
    StoreUnavailable,
    pack,
)
from service.store.people import People

KEYS = 200
READERS = 400
LEAVES = 0.4  # the share of reads whose caller cancels, or has too little time left
PATIENCE_S = 20.0


@dataclass(slots=True)
class Tally:
    """What the readers saw."""

    wanted: int
    read: int = 0
    foreign: int = 0
    left: int = 0
    lost: int = 0


async def count_foreign_values(store: Connections, reads: int, seed: int) -> Tally:
    """Read random keys, each of which holds its own name, until so many reads were answered; leave 40 % early."""
    dice = random.Random(seed)
    await asyncio.gather(*(store.execute("SET", f"customer-{key}", own_value(key)) for key in range(KEYS)))
    tally = Tally(reads)
    await asyncio.gather(*(read_and_compare(store, tally, dice) for _ in range(READERS)))
    return tally


def own_value(key: int) -> bytes:
    """Return what belongs to this key alone; the lengths differ, so that replies break at many places."""
    return b"customer-%d|%s" % (key, b"x" * (key * 7 % 300))


async def read_and_compare(store: Connections, tally: Tally, dice: random.Random) -> None:
    """Read until enough is read, or nothing comes any more."""
    while tally.read < tally.wanted and tally.lost < tally.wanted:
        key = dice.randrange(KEYS)
        try:
            value = await one_read(store, pack("GET", f"customer-{key}"), dice)
        except StoreUnavailable:
            tally.lost += 1
            await asyncio.sleep(0.01)
        except (StoreError, asyncio.CancelledError):
            tally.left += 1
        else:
            tally.read += 1
            tally.foreign += value != own_value(key)


async def one_read(store: Connections, command: bytes, dice: random.Random) -> Reply:
    """Wait for the value as a patient caller, one whose time runs out, or one who hangs up."""
    fate = dice.random()
    if fate > LEAVES:
        return await store.call(command, PATIENCE_S)
    if fate > LEAVES / 2:
        return await store.call(command, dice.uniform(0.0005, 0.01))
    answer = store.call(command, PATIENCE_S)
    asyncio.get_running_loop().call_later(dice.uniform(0.0, 0.01), answer.cancel)
    return await answer


async def read_customers_in_a_crowd(
    customers: People, expected: Sequence[Mapping[str, bytes]], reads: int, seed: int
) -> Tally:
    """Read whole customers until so many reads were answered, leave 40 % early; `foreign` counts other contents.

    `lost` counts reads that failed for any other reason, such as a reply about somebody else that was noticed.
    """
    dice, tally = random.Random(seed), Tally(reads)

    async def one() -> None:
        while tally.read < tally.wanted and tally.lost < tally.wanted:
            number, fate = dice.randrange(len(expected)), dice.random()
            patience_s = dice.uniform(0.0005, 0.01) if LEAVES / 2 < fate < LEAVES else PATIENCE_S
            answer = asyncio.ensure_future(customers.read(f"customer-{number}", None, patience_s))
            if fate < LEAVES / 2:
                asyncio.get_running_loop().call_later(dice.uniform(0.0, 0.01), answer.cancel)
            try:
                known = await answer
            except (StoreTimeout, asyncio.CancelledError):
                tally.left += 1
            except StoreError:
                tally.lost += 1
            else:
                tally.read += 1
                tally.foreign += known.groups != expected[number]

    await asyncio.gather(*(one() for _ in range(64)))
    return tally


class ForgetsWhoLeft(Connection):
    """A mutant: takes the slot of a cancelled call out of the order, so that its reply goes to the next."""

    def call(self, packed: bytes, deadline_s: float | None = None) -> asyncio.Future[Reply]:
        """Send, and forget on cancellation."""
        answer = super().call(packed, deadline_s)
        answer.add_done_callback(self._forget)
        return answer

    def _forget(self, answer: asyncio.Future[Reply]) -> None:
        if answer.cancelled():
            self._slots = deque(slot for slot in self._slots if slot[0] is not answer)


class OvertakesWhatIsHeldBack(Connection):
    """A mutant: the call that lets go what was held back leaves before it, and has its slot behind it."""

    def _flush(self) -> None:
        if 1 < len(self._outbox) < len(self._slots):
            self._outbox.insert(0, self._outbox.pop())
        super()._flush()


class QueuesInTwoPlaces(Connection):
    """A mutant: queues slots when called and now and then bytes a moment later, so that the two orders differ."""

    _turn = 0

    def _queue(self, packed: bytes, answer: asyncio.Future[Reply], due: float, doubtful: float) -> None:
        self._turn += 1
        if self._turn % 50:
            super()._queue(packed, answer, due, doubtful)
        else:
            self._slots.append((answer, due, doubtful, packed))
            self._loop.call_later(0.002, self._send_late, packed)

    def _send_late(self, packed: bytes) -> None:
        if self._transport is not None and self.open:
            self._transport.write(packed)
