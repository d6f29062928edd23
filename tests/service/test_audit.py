"""Audit: changes of versions, switches and consents and erasures are on record, and a changed record is found."""

from __future__ import annotations

import getpass
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from service.app import Running, start
from service.config import Settings, StorePlace
from service.rpc.calling import CallFailed
from service.rpc.client import TactClient
from service.store import keys
from tests.service.editions import write_edition
from tests.service.test_generations import edition, until

KEY = os.urandom(32)
LOCAL = "127.0.0.1"
Told = dict[str, Any]


@asynccontextmanager
async def audited(url: str, folder: Path) -> AsyncIterator[tuple[Running, TactClient]]:
    """Serve the first edition, with a key for erasures."""
    write_edition(folder, 0)
    place = StorePlace.parse(url)
    running = await start(Settings(store=place, strategy=folder, port=0, store_wait_s=5.0, erasure_key=KEY))
    try:
        async with TactClient(running.address, timeout_s=10.0) as client:
            yield running, client
    finally:
        await running.stop(grace_s=1.0)


async def read(client: TactClient, **asked: Any) -> tuple[list[Told], Told]:  # noqa: ANN401 - as `client.audit.read` has them
    """Return the changes, and what was told at the end."""
    items = [item async for item in client.audit.read(**asked)]
    assert "end" in items[-1]
    return [item["record"] for item in items[:-1]], items[-1]["end"]


def brief(records: list[Told]) -> list[tuple[str, ...]]:
    """Return what matters of each record apart from when."""
    return [tuple(str(one[name]) for name in ("kind", "subject", "before", "after", "by", "origin")) for one in records]


async def test_who_changed_what_is_on_record(clean_store_url: str, tmp_path: Path) -> None:
    """Versions by the process that put them in force, switches and erasures by who asked, each once, in their order."""
    async with audited(clean_store_url, tmp_path / "served") as (running, client):
        first = running.strategy.version
        await client.control.switch_off("greet", "A typing error.", "olga")
        await client.control.switch_off("greet", "Once more.", "olga")  # changes nothing
        await client.control.switch_on("greet", "piet")
        write_edition(tmp_path / "served", 1)
        await until(lambda: edition(running) == "e1e")
        await client.rights.erase("anna")
        records, end = await read(client)
        process = (getpass.getuser(), f"{os.uname().nodename}, process {os.getpid()}")
        assert brief(records)[:-2] == [
            ("strategy", "", "", first, *process),
            ("switch", "greet", "on", "off", "olga", LOCAL),
            ("switch", "greet", "off", "on", "piet", LOCAL),
            ("strategy", "", first, running.strategy.version, *process),
        ]
        digest = records[-1]["subject"]
        assert brief(records)[-2:] == [
            ("erasure", digest, "", "asked for", "", LOCAL),
            ("erasure", digest, "", "nothing was logged", "", LOCAL),
        ]
        assert len(digest) == 32
        assert brief((await read(client, kinds=["erasure"], customer_id="anna"))[0]) == brief(records)[-2:]
        assert (await read(client, kinds=["erasure"], customer_id="bert"))[0] == []
        await client.rights.erase("anna")
        assert (await read(client))[1]["entries"] == 6, "of whom nothing was left there is nothing to note"
        assert "anna" not in str(records)
        assert [one["because"] for one in records if one["kind"] == "switch"] == ["A typing error.", ""]
        assert (end["entries"], end["faults"]) == (6, [])
        assert [one["at"] for one in records] == sorted(one["at"] for one in records)
    async with audited(clean_store_url, tmp_path / "served") as (running, client):
        again, _ = await read(client)
        assert again[:6] == records, "what was on record stays as it is"
        assert [one["after"] for one in again[6:]] == [first], "the first edition was put in force again"


async def test_consents_are_told_with_what_led_to_them(clean_store_url: str, tmp_path: Path) -> None:
    """Each change of each customer, from what to what, by which source, from where; a repetition is none."""
    async with audited(clean_store_url, tmp_path / "served") as (_, client):
        for level, channels, source in (("full", (), "web form"), ("full", (), "web form"), ("none", (), "phone")):
            await client.set_consent("anna", level, contact_channels=channels, source=source)
        await client.set_consent("bert", "full", source="web form")
        told, _ = await read(client, kinds=["consent"])
        of_anna, _ = await read(client, kinds=["consent"], customer_id="anna")
        assert brief(of_anna) == [
            ("consent", "anna", "", "full", "web form", LOCAL),
            ("consent", "anna", "full", "none", "phone", LOCAL),
        ]
        assert sorted(brief(told)) == sorted([*brief(of_anna), ("consent", "bert", "", "full", "web form", LOCAL)])
        await client.rights.erase("anna")
        assert {one["subject"] for one in (await read(client, kinds=["consent"]))[0]} == {"bert"}


async def test_a_record_that_was_changed_is_found(clean_store_url: str, tmp_path: Path) -> None:
    """Taken out, cut off at its end, or written anew: found and located; written anew with the head that was noted."""
    async with audited(clean_store_url, tmp_path / "served") as (_, client):
        for number in range(4):
            await client.control.switch_off("greet", f"Reason {number}.", "olga")
            await client.control.switch_on("greet", "olga")
        _, whole = await read(client)
        assert whole["faults"] == []
        stream, head = keys.audit_key(), keys.head_key(keys.audit_key())
        with Redis.from_url(clean_store_url) as store:
            entries: list[tuple[bytes, dict[bytes, bytes]]] = store.xrange(stream)
            kept, kept_head = store.dump(stream), store.get(head)
            for damage in ("taken out", "cut off", "changed"):
                store.restore(stream, 0, kept, replace=True)
                if damage == "changed":
                    rebuilt = [(at, {**f, b"b": b"mallory"} if at == entries[3][0] else f) for at, f in entries]
                    store.delete(stream)
                    for at, fields in rebuilt:
                        store.xadd(stream, fields, id=at)
                else:
                    store.xdel(stream, entries[3 if damage == "taken out" else -1][0])
                faults = (await read(client))[1]["faults"]
                place = entries[-1 if damage == "cut off" else 3][0].decode()
                assert place in [fault["position"] for fault in faults], damage
            store.xdel(stream, entries[3][0])
            store.zadd(keys.gone_key(stream), {entries[3][0] + b" " + entries[3][1][b"l"]: 1.0})
            assert entries[3][0].decode() in [one["position"] for one in (await read(client))[1]["faults"]]
            store.delete(keys.gone_key(stream))
            forged = {b"w": b"switch", b"s": b"forged", b"b": b"mallory"}
            store.delete(stream)
            for at, fields in [(b"1000-0", forged), *entries]:
                store.xadd(stream, fields, id=at)
            assert [one["position"] for one in (await read(client))[1]["faults"]] == ["1000-0"]
            store.delete(stream, head)
            await client.control.switch_off("greet", "All is new.", "mallory")
            assert (await read(client))[1]["faults"] == [], "alone, a record that was written anew looks whole"
            assert (await read(client, head=whole["head"]))[1]["faults"], "beside what was noted elsewhere it does not"
            store.restore(stream, 0, kept, replace=True)
            store.set(head, kept_head)
            assert (await read(client, head=whole["head"]))[1]["faults"] == []


async def test_what_is_safer_does_not_wait_for_the_record(clean_store_url: str, tmp_path: Path) -> None:
    """Where the record cannot be written, off is off all the same, and on is refused."""
    async with audited(clean_store_url, tmp_path / "served") as (_, client):
        with Redis.from_url(clean_store_url) as store:
            store.delete(keys.audit_key())
            store.set(keys.audit_key(), b"not a stream")
            assert (await client.control.switch_off("greet", "Urgent.", "olga"))["changed"]
            with pytest.raises(CallFailed):
                await client.control.switch_on("greet", "olga")
            assert [one["action_id"] for one in (await client.control.switches())["switched_off"]] == ["greet"]
            store.delete(keys.audit_key())
            assert (await client.control.switch_on("greet", "olga"))["changed"]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"after": "yesterday"}, "after"),
        ({"kinds": ["unspecified"]}, "kinds[0]"),
        ({"kinds": ["switch"] * 17}, "kinds"),
        ({"customer_id": " "}, "customer_id"),
        ({"head": "not a link"}, "head"),
    ],
)
async def test_a_bad_question_is_refused(
    clean_store_url: str, tmp_path: Path, asked: dict[str, Any], field: str
) -> None:
    """With the path of the field that is wrong."""
    async with audited(clean_store_url, tmp_path / "served") as (_, client):
        with pytest.raises(CallFailed) as refused:
            await read(client, **asked)
        assert refused.value.code == "INVALID_ARGUMENT"
        assert [one.field for one in refused.value.violations] == [field]
