"""A consumer of due moments in a process of its own: `python -m tests.live.triggers.consumer TARGET FILE [LAST]`.

It writes a line of JSON for every moment that it received, before it acknowledges it, and one for what became of that;
so that whoever kills it knows how far it got. It begins with the first line of its input and goes on until it is ended;
with LAST it does nothing more once it has received as many and holds eight that it did not acknowledge.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from typing import IO

from service.rpc.client import Answer, CallFailed, TactClient
from tests.live.triggers.world import CHANNEL

MOST, LEASE_S, ACKNOWLEDGED_AT_ONCE = 60, 3, 20
IN_HAND = 8
WORKS_S = 0.001


async def consume(target: str, file: IO[str], last: float) -> None:
    """Receive and acknowledge until the process is ended, or until the last it is to receive."""
    total = 0

    def write(**line: object) -> None:
        file.write(json.dumps(line) + "\n")
        file.flush()

    async def acknowledge(tact: TactClient, moments: list[Answer]) -> None:
        named = [[one["name"]["customer_id"], one["name"]["key"]] for one in moments]
        write(acknowledging=named)
        held = (await tact.triggers.acknowledge(CHANNEL, moments))["held"]
        write(acknowledged=[name for name, was in zip(named, held, strict=True) if was])

    async with TactClient(target) as tact:
        write(ready=True)
        sys.stdin.readline()
        while True:
            received: list[Answer] = []
            try:
                async for one in tact.triggers.due(CHANNEL, MOST, LEASE_S, until_none=True):
                    name, decision = one["name"], one["decision"]
                    what = {"decision": decision["decision_id"], "delivery": one["delivery"], "sent_at": one["sent_at"]}
                    write(received=[name["customer_id"], name["key"]], **what)
                    await asyncio.sleep(WORKS_S)
                    received.append(one)
                    total += 1
                    if total >= last and len(received) >= IN_HAND:
                        write(stopped=True)
                        signal.pause()
                    if len(received) >= ACKNOWLEDGED_AT_ONCE:
                        await acknowledge(tact, received)
                        received = []
                if received:
                    await acknowledge(tact, received)
            except CallFailed as failed:
                write(failed=failed.code)
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    with open(sys.argv[2], "w", encoding="utf-8") as lines:
        asyncio.run(consume(sys.argv[1], lines, float(sys.argv[3]) if len(sys.argv) > 3 else float("inf")))
