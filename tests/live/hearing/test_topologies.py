"""What is written is heard whatever the store is made of, and whatever of it is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from service.errors import StoreError
from service.store import keys
from service.store.cluster_slots import slot_of_key
from service.watching_people import UNKNOWN, Heard, Listening
from tests.edge.cluster.servers import cluster
from tests.edge.durability.servers import Watched, program
from tests.profile import cases, full
from tests.store.hearing import Hearing, hearing, somebody

WITHIN_S = 45.0  # less than it takes until what the line did not bring is read all the same


async def happened(one: Hearing, who: str) -> str:
    """Fold an event as soon as the store lets us; return its id."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                return await one.happen(who)
            except StoreError:
                await asyncio.sleep(0.05)


async def heard_of(listening: Listening, wanted: str) -> list[Heard]:
    """Return what is heard until an event is, or until it cannot be told any more what was."""
    found: list[Heard] = []
    async with asyncio.timeout(WITHIN_S):
        while not any(each.id == wanted or each.kind == UNKNOWN for each in found):
            found += await listening.wait()
    return found


def spread_out(servers: int) -> list[str]:
    """Return customers whose keys are on all servers, several on each."""
    people = [somebody() for _ in range(servers * 8)]
    assert len({slot_of_key(keys.heard_key(who)) * servers // 16_384 for who in people}) == servers
    return people


@pytest.mark.parametrize("kind", ["redis-server", "valkey"] if full() else ["redis-server"])
async def test_in_a_cluster_one_line_hears_all_servers(kind: str, tmp_path: Path) -> None:
    """Wherever a customer's keys are and wherever they move to, what is written is heard, once and in order."""
    found = await asyncio.to_thread(program, kind)
    forming = cluster(tmp_path, found)
    formed = await asyncio.to_thread(forming.__enter__)
    try:
        async with hearing(formed.url) as one:
            people = spread_out(3)
            listening = {who: await one.ears.listen(who) for who in people}
            for who in people:
                named = [await one.happen(who) for _ in range(3)]
                assert [each.id for each in await heard_of(listening[who], named[-1])] == named
            for who in people[: cases(3, 24)]:
                slot = slot_of_key(keys.heard_key(who))
                source = await asyncio.to_thread(formed.owner, slot)
                target = next(node for node in formed.masters if node is not source)
                moving = asyncio.create_task(asyncio.to_thread(formed.move, slot, target))
                named, heard = [], []
                while not moving.done():
                    named.append(await happened(one, who))
                    heard += await heard_of(listening[who], named[-1])
                await moving
                named.append(await happened(one, who))
                heard += await heard_of(listening[who], named[-1])
                assert [each.id for each in heard] == named
    finally:
        await asyncio.to_thread(forming.__exit__, None, None, None)


@pytest.mark.skipif(
    not full(), reason="A fail-over takes seconds, and where cores are busy minutes: make test-full has it."
)
@pytest.mark.parametrize("kind", ["redis-server", "valkey"])
async def test_after_a_fail_over_the_new_master_is_heard(kind: str, tmp_path: Path) -> None:
    """What is written at the new master is heard, or that something was; nothing that is heard is heard twice."""
    watching = Watched(tmp_path, program=await asyncio.to_thread(program, kind))
    watched = await asyncio.to_thread(watching.__enter__)
    try:
        async with hearing(watched.url, every_s=2.0) as one:
            who = somebody()
            listening = await one.ears.listen(who)
            for _ in range(3):
                first = await happened(one, who)
                assert (await heard_of(listening, first))[-1].id == first
                await asyncio.to_thread(lambda: watched.fail_over(within_s=WITHIN_S))
                named = [await happened(one, who) for _ in range(3)]
                heard = await heard_of(listening, named[-1])
                assert len({each.seq for each in heard}) == len(heard)
                assert [each.id for each in heard][-3:] == named or heard[-1].kind == UNKNOWN
    finally:
        await asyncio.to_thread(watching.__exit__, None, None, None)
