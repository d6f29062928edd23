"""What a person was told long ago is told as it was, however often the strategy was edited since."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from redis import Redis

from service.app import start
from service.config import Settings, StorePlace
from service.core.loader import load_strategy
from service.rpc.client import Ask, TactClient
from service.rpc.plain import Plain
from service.store import keys
from tests.strategies import SECTIONS, edited, write_strategy

TYPES = """\
  - {id: present.since, says: Since when., type: timestamp, purpose: service, source: request}
  - {id: present.pages, says: What they saw., type: strings, purpose: service, source: request}
"""
CONTEXT: dict[str, Plain] = {
    "present.sentiment": 0.5,
    "present.since": "2026-01-31T12:00:00Z",
    "present.pages": ["a", "b"],
}
EARLIER = {"fields": SECTIONS["fields"] + TYPES}
FIRST = "fields:\n  - {id: present.new, says: New., type: bool, purpose: service, source: request}\n"
LATER = {
    "fields": FIRST + SECTIONS["fields"].removeprefix("fields:\n"),
    "actions": re.sub(r'text: ("?)', r"text: \1Now ", SECTIONS["actions"]),
}


@asynccontextmanager
async def serving(store: str, strategy: Path) -> AsyncIterator[TactClient]:
    """Start a service over a store and yield a client of it."""
    running = await start(Settings(store=StorePlace.parse(store), strategy=strategy, port=0, store_wait_s=5.0))
    try:
        schema = load_strategy(strategy).schema
        async with TactClient(f"127.0.0.1:{running.port}", schema=schema, timeout_s=5.0) as client:
            yield client
    finally:
        await running.stop()


async def decisions(client: TactClient, customer: str = "anna") -> list[dict[str, Any]]:
    """Return the decisions of an export."""
    return [dict(item) async for kind, item in client.rights.export(customer) if kind == "decision"]


async def test_an_old_decision_is_told_as_it_was(clean_store_url: str, tmp_path: Path) -> None:
    """Fields, their types, texts and intents are those of the strategy that decided, after any edit of it."""
    then = write_strategy(tmp_path / "then", **EARLIER)
    now = write_strategy(tmp_path / "now", **LATER)
    async with serving(clean_store_url, then) as client:
        await client.set_consent("anna", "full")
        answer = await client.decide(Ask("anna", "web", ("greeting", "hero"), CONTEXT))
        before = await decisions(client)
    said = [one.get("greeting") or one.get("offer") for one in answer["answers"]]
    assert all(one["text"] for one in said if one)
    facts = {fact["field_id"]: fact["value"] for fact in before[0]["facts"]}
    assert facts == {**CONTEXT, **facts}
    async with serving(clean_store_url, now) as client:
        assert await decisions(client) == before
        await client.decide(Ask("anna", "web", ("greeting",)))
        _, last = await decisions(client)
        assert last["decision"]["answers"][0]["greeting"]["text"].startswith("Now ")
        with Redis.from_url(clean_store_url) as raw:
            raw.delete(keys.words_key(before[0]["decision"]["versions"]["strategy"]))
        without, _ = await decisions(client)
    assert {fact["field_id"] for fact in without["facts"]} == {""}
    assert without["decision"]["answers"][0]["greeting"]["text"].startswith("Now ")


async def test_an_action_that_is_gone_keeps_its_words(clean_store_url: str, tmp_path: Path) -> None:
    """What the strategy no longer has is still told with its text and its intents."""
    async with serving(clean_store_url, write_strategy(tmp_path / "then")) as client:
        await client.set_consent("anna", "full")
        answer = await client.decide(Ask("anna", "web", ("greeting",)))
        said = answer["answers"][0]["greeting"]
        before = await decisions(client)
    renamed = {name: re.sub(rf"\b{said['action_id']}\b", "another", text) for name, text in SECTIONS.items()}
    assert renamed["actions"] != SECTIONS["actions"]
    async with serving(clean_store_url, write_strategy(tmp_path / "now", **renamed)) as client:
        (told,) = await decisions(client)
    assert told["decision"]["answers"][0]["greeting"] == said == before[0]["decision"]["answers"][0]["greeting"]


async def test_words_outlive_what_the_store_loses(clean_store_url: str, tmp_path: Path) -> None:
    """A store that was emptied while the service runs has the words again a moment later."""
    folder = write_strategy(tmp_path / "one", caps=edited("caps", "at_most: 2", "at_most: 5"))
    async with serving(clean_store_url, folder):
        with Redis.from_url(clean_store_url) as raw:
            key = keys.words_key(load_strategy(folder).version)
            kept = raw.getdel(key)
            assert kept
            for _ in range(100):
                await asyncio.sleep(0.05)
                if raw.get(key) == kept:
                    break
            assert raw.get(key) == kept
