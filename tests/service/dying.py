"""A process that switches an action off and is killed half way: `python -m tests.service.dying STORE_URL ACTION`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from service.store.calls import Calls
from service.store.switches import SwitchStore
from tests.store.patience import patient

WRITTEN = 300
"""How many of the 1,024 buckets are written before the end."""


async def die(url: str, action: str) -> None:
    """Write the master and some buckets, and end as kill -9 ends a process."""
    async with patient(url) as connections:
        store = SwitchStore(Calls(connections))
        switches, _ = await store.set(action, ("An incident.", "somebody who is gone"))
        await store.write(switches, range(WRITTEN))
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(die(*sys.argv[1:]))
