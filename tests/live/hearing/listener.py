"""A process that listens for customers and prints each thing that it heard: python -m tests.live.hearing.listener.

Its arguments are the store's URL, and each customer with the last number that was seen, or without one: anna=1700.
"""

from __future__ import annotations

import asyncio
import sys

from service.watching_people import Heard
from tests.store.hearing import Hearing, hearing


def say(customer: str, heard: Heard) -> None:
    """Print what was heard of a customer."""
    print(customer, heard.seq, heard.kind, heard.id, flush=True)


async def listen(one: Hearing, word: str) -> None:
    """Listen for a customer."""
    customer, _, since = word.partition("=")
    listening = await one.ears.listen(customer, int(since) if since else None)
    if listening.missed is None:
        print(customer, listening.seq, "gone", "-", flush=True)
    for heard in listening.missed or ():
        say(customer, heard)
    print(customer, listening.seq, "ready", "-", flush=True)
    while True:
        for heard in await listening.wait():
            say(customer, heard)


async def main(url: str, words: list[str]) -> None:
    """Listen for all of them until this process ends."""
    async with hearing(url) as one:
        await asyncio.gather(*(listen(one, word) for word in words))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
