"""The clients that are shipped hear what is due, and go on where a stream broke."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tact.client import AsyncClient, CallFailed, Client
from tests.live.triggers.world import CHANNEL, agreed, client_of, left, serving, told


async def test_the_async_client_hears_what_is_due_again_after_a_restart(clean_store_url: str, tmp_path: Path) -> None:
    """One stream outlives the service that it began at: what is due after the restart comes, too."""
    async with serving(clean_store_url, tmp_path) as running, client_of(running) as tact:
        port = running.port
        await agreed(tact, "ina", "jon")
        await told(tact, left("ina"))
        heard = AsyncClient(f"127.0.0.1:{port}")
        stream = heard.due(CHANNEL, lease_s=60)
        first = await anext(stream)
        assert await heard.acknowledge(CHANNEL, [first]) == [True]
        await told(tact, left("jon"))
    async with serving(clean_store_url, tmp_path, port=port):
        second = await asyncio.wait_for(anext(stream), 15)
        assert [first.name.customer_id, second.name.customer_id] == ["ina", "jon"]
        assert await heard.acknowledge(CHANNEL, [second], "refused") == [True]
        await stream.aclose()
        await heard.close()


async def test_the_client_for_threads_hears_and_ends(clean_store_url: str, tmp_path: Path) -> None:
    """It ends by itself where that is asked for, and raises what is refused at once."""
    async with serving(clean_store_url, tmp_path) as running, client_of(running) as tact:
        await agreed(tact, "ina")
        await told(tact, left("ina"))

        def worked() -> list[str]:
            with Client(f"127.0.0.1:{running.port}") as heard:
                moments = list(heard.due(CHANNEL, until_none=True))
                assert heard.acknowledge(CHANNEL, moments) == [True]
                with pytest.raises(CallFailed):
                    list(heard.due("fax"))
                return [one.decision.answers[0].offer.action_id for one in moments]

        assert await asyncio.to_thread(worked) == ["finish-cart"]
