"""The service as a whole, started in this process on real stores."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
from redis import Redis

from models.artifacts import ArtifactRefused
from service.app import Running, StartRefused, start
from service.config import Settings, StorePlace
from service.rpc.client import Ask, CallFailed, Event, TactClient
from service.store.embedded import EmbeddedStore
from service.store.retention import Retention
from tests.project.tree import ROOT
from tests.strategies import SECTIONS, write_strategy

DEMO = ROOT / "strategies" / "demo"
WEB = Ask("nobody", "web", ("greeting", "hero"))


def settings(store: str, port: int = 0, model: Path | None = None) -> Settings:
    """Return settings for a service with the demo strategy."""
    return Settings(store=StorePlace.parse(store), strategy=DEMO, port=port, model=model)


@asynccontextmanager
async def serving(wanted: Settings) -> AsyncIterator[Running]:
    """Start a service and stop it, whatever happens."""
    running = await start(wanted)
    try:
        yield running
    finally:
        await running.stop()


def without_store(answer: dict[str, Any]) -> bool:
    """Tell whether an answer had to do without the store."""
    return any(reason["code"] == "store_unavailable" for reason in answer["degraded_reasons"])


def client_of(running: Running) -> TactClient:
    """Return a client of a service of this process."""
    return TactClient(f"127.0.0.1:{running.port}", timeout_s=5.0)


async def test_a_started_service_decides_and_a_stopped_one_is_gone(clean_store_url: str) -> None:
    """It serves on the port it says; after the stop nobody answers there."""
    async with serving(settings(clean_store_url)) as running, client_of(running) as client:
        assert await client.health() == "serving"
        assert not without_store(await client.decide(WEB))
        await running.stop()
        with pytest.raises(CallFailed):
            await client.health()


async def test_a_service_starts_without_its_store_and_heals_alone(tmp_path: Path, free_port: int) -> None:
    """With the store away it says so, serves, and greets safely; when the store comes, answers are full ones."""
    async with serving(settings(f"redis://127.0.0.1:{free_port}/0")) as running, client_of(running) as client:
        assert str(free_port) in running.store.warnings[0]
        assert await client.health() == "serving"
        answer = await client.decide(WEB)
        assert without_store(answer)
        assert "greeting" in answer["answers"][0]
        async with store_on(free_port, tmp_path / "store"):
            assert await heals(client)


async def test_a_store_that_forgets_is_refused_in_words(tmp_path: Path) -> None:
    """A store that evicts is refused with what to set, and at once, for nothing was lost yet."""
    with EmbeddedStore(tmp_path / "store") as url:
        make_it_forget(url)
        with pytest.raises(StartRefused, match="Set it to noeviction"):
            await start(settings(url))


async def test_a_store_that_comes_back_as_one_that_forgets_ends_the_service(tmp_path: Path, free_port: int) -> None:
    """What is refused at the start is refused as well when the store was away at the start."""
    embedded = EmbeddedStore(tmp_path / "store", port=free_port)
    with embedded as url:
        make_it_forget(url)
        os.kill(embedded.processes[1], signal.SIGSTOP)  # for the service it is away
        try:
            async with serving(settings(url)) as running:
                assert running.store.warnings
                os.kill(embedded.processes[1], signal.SIGCONT)
                assert "noeviction" in await asyncio.wait_for(running.store.until_refused(), 20.0)
        finally:
            os.kill(embedded.processes[1], signal.SIGCONT)


async def test_a_store_that_is_restarted_as_one_that_forgets_ends_the_service(tmp_path: Path, free_port: int) -> None:
    """Each run of the store is checked, not only the one that was there when the service started."""
    embedded = EmbeddedStore(tmp_path / "store", port=free_port)
    async with serving(settings(embedded.start())) as running:
        embedded.stop()
        with Redis.from_url(embedded.start()) as store:
            store.config_set("maxmemory-policy", "allkeys-lru")
        assert "noeviction" in await asyncio.wait_for(running.store.until_refused(), 20.0)
    embedded.stop()


def command_of(process: psutil.Process) -> str:
    """Return the command line of a process; empty for one that has just ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


async def test_an_embedded_store_that_dies_ends_the_service(tmp_path: Path) -> None:
    """A service whose own store was killed says so and ends, for it cannot keep a promise any more."""
    async with serving(settings(f"embedded:{tmp_path / 'store'}")) as running:
        watchdogs = [each for each in psutil.Process().children() if str(tmp_path) in command_of(each)]
        (server,) = watchdogs[0].children()
        server.kill()
        assert "embedded store has ended" in await asyncio.wait_for(running.store.until_refused(), 20.0)


async def test_a_password_that_is_wrong_is_refused_at_the_start(tmp_path: Path) -> None:
    """What time does not heal is no outage: the service does not start, and says what to mend, without the password."""
    with EmbeddedStore(tmp_path / "store") as url:
        with Redis.from_url(url) as store:
            store.config_set("requirepass", "another")
        with pytest.raises(StartRefused, match="Mend the store's URL") as refused:
            await start(settings(url.replace("redis://", "redis://:opensesame@")))
        assert "opensesame" not in str(refused.value)


async def test_a_cluster_that_is_none_is_refused_at_the_start(tmp_path: Path) -> None:
    """The server says that it is in no cluster: the service does not start, and says so."""
    with EmbeddedStore(tmp_path / "store") as url:
        place = url.replace("redis://", "redis+cluster://").removesuffix("0")
        with pytest.raises(StartRefused, match=r"cluster support disabled.*Mend the store's URL"):
            await start(settings(place))


async def test_a_taken_port_ends_what_was_started_for_it(tmp_path: Path) -> None:
    """The refusal names the address, and the embedded store that was up already has been stopped."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartRefused, match=str(port)):
            await start(settings(f"embedded:{tmp_path / 'store'}", port))
    with EmbeddedStore(tmp_path / "store") as url:  # its folder is free again
        assert url


async def test_a_store_that_is_no_store_is_refused_in_words(tmp_path: Path) -> None:
    """A store URL that cannot be meant is refused with what one looks like, and without what stands in it."""
    with pytest.raises(StartRefused, match="it looks like redis://") as refused:
        await start(settings("redis://user:opensesame@host/first"))
    assert "opensesame" not in str(refused.value)


async def test_a_model_that_is_none_is_refused_in_words(tmp_path: Path) -> None:
    """An empty folder is no model; the refusal names it, and comes before a store is started."""
    with pytest.raises(StartRefused, match=r"manifest\.json") as refused:
        await start(settings(f"embedded:{tmp_path / 'store'}", model=tmp_path))
    assert str(tmp_path) in str(refused.value)
    assert not (tmp_path / "store").exists()


async def test_a_bad_model_does_not_replace_what_decides(clean_store_url: str, tmp_path: Path) -> None:
    """After a refused model the service goes on as before."""
    async with serving(settings(clean_store_url)) as running, client_of(running) as client:
        with pytest.raises(ArtifactRefused):
            await running.use_model(tmp_path)
        assert not without_store(await client.decide(WEB))


async def heals(client: TactClient) -> bool:
    """Ask for up to 10 seconds whether answers are full ones again."""
    for _ in range(200):
        if not without_store(await client.decide(WEB)):
            return True
        await asyncio.sleep(0.05)
    return False


@asynccontextmanager
async def store_on(port: int, folder: Path) -> AsyncIterator[None]:
    """Run a store on a port."""
    store = EmbeddedStore(folder, port=port)
    await asyncio.to_thread(store.start)
    try:
        yield
    finally:
        await asyncio.to_thread(store.stop)


def make_it_forget(url: str) -> None:
    """Set a store so that it drops what it knows when memory runs short."""
    with Redis.from_url(url) as store:
        store.config_set("maxmemory-policy", "allkeys-lru")


async def test_an_embedded_store_erases_with_a_key_of_its_own(tmp_path: Path) -> None:
    """Nothing needs to be set up; after a restart the erased are still out, and without the key it does not start."""
    place = f"embedded:{tmp_path / 'store'}"
    async with serving(settings(place)) as running, client_of(running) as client:
        await client.rights.erase("anna")
    async with serving(settings(place)) as running, client_of(running) as client:
        answer = await client.decide(Ask("anna", "web", ("greeting", "hero")))
        assert [reason["code"] for reason in answer["degraded_reasons"]] == ["customer_erased"]
    key = tmp_path / "store" / "erasure.key"
    lost = key.read_bytes()
    key.unlink()
    for _ in range(2):
        with pytest.raises(StartRefused, match=r"erasure\.key is gone"):
            await start(settings(place))
        assert not key.exists(), "another key would make the lost one harder to put back"
    key.write_bytes(b"another key, which is long enough to be one")
    with pytest.raises(StartRefused, match="under another erasure key"):
        await start(settings(place))
    key.write_bytes(lost)
    async with serving(settings(place)) as running, client_of(running) as client:
        assert (await client.decide(Ask("anna", "web", ("greeting", "hero"))))["degraded"]


async def test_a_service_ends_when_another_erases_with_a_key_that_it_has_not(clean_store_url: str) -> None:
    """Going on would let the erased in again: it says so and ends."""
    keyed = replace(settings(clean_store_url), erasure_key=b"a key of the tests, long enough to be one")
    async with serving(settings(clean_store_url)) as keyless, serving(keyed) as running, client_of(running) as client:
        await client.rights.erase("anna")
        assert "erasure key" in await asyncio.wait_for(keyless.store.until_refused(), 10.0)


def small(store: str, folder: Path, *changes: tuple[str, str]) -> Settings:
    """Return settings for a service with the small strategy, its fields changed."""
    fields, never_explores = SECTIONS["fields"], SECTIONS["strategy"].replace("explore: 0.05", "explore: 0")
    for old, new in changes:
        assert fields.count(old) == 1
        fields = fields.replace(old, new)
    return replace(settings(store), strategy=write_strategy(folder, fields=fields, strategy=never_explores))


OLD = "purpose: service\n    max_age: 400d"
MOVED = (OLD, "purpose: personalization\n    max_age: 400d")


async def ticket(client: TactClient, type: str, name: str) -> None:
    """Open or close a ticket of anna's, a moment ago."""
    now = datetime.now(UTC).isoformat()
    answer = await client.record_events([Event(f"{type} {name}", "anna", type, now, {"ticket": name})])
    assert [result["status"] for result in answer["results"]] == ["stored"]


async def sells(client: TactClient) -> bool:
    """Tell whether anna is shown something that sells."""
    (answer,) = (await client.decide(Ask("anna", "web", ("hero",))))["answers"]
    return bool(answer.get("offer", {}).get("sells", False))


async def open_tickets(client: TactClient) -> int | None:
    """Return how many tickets of anna's are known to be open."""
    fields = {field["field_id"]: field for field in (await client.get_context("anna"))["fields"]}
    return cast("int | None", fields["past.open_tickets"].get("value"))


async def test_a_field_that_moves_to_another_purpose_is_refused(clean_store_url: str, tmp_path: Path) -> None:
    """With a ticket open, a strategy that moves the count of tickets does not start; the old one goes on as before."""
    async with serving(small(clean_store_url, tmp_path / "old")) as running, client_of(running) as client:
        await client.set_consent("anna", "full")
        await ticket(client, "ticket.opened", "z")
        with pytest.raises(StartRefused, match=r"`past\.open_tickets` is kept for service") as refused:
            await start(small(clean_store_url, tmp_path / "new", MOVED))
        await ticket(client, "ticket.opened", "q")
        await ticket(client, "ticket.closed", "q")
        assert await open_tickets(client) == 1
        assert not await sells(client)
        free = re.search(r"`(key: \d+)`", str(refused.value))
        assert free
        renewed = small(clean_store_url, tmp_path / "renewed", (OLD, f"{free[1]}\n    {MOVED[1]}"))
        async with serving(renewed) as beside, client_of(beside) as other:
            assert await open_tickets(other) is None  # nothing is known of it, which forbids
            assert not await sells(other)
            assert await open_tickets(client) == 1
            await ticket(client, "ticket.closed", "z")
            assert await sells(client)


async def test_a_strategy_that_moves_a_field_ends_once_its_store_is_there(tmp_path: Path, free_port: int) -> None:
    """What is refused at the start is refused as well when the store was away at the start."""
    url, folder = f"redis://127.0.0.1:{free_port}/0", tmp_path / "store"
    async with store_on(free_port, folder), serving(small(url, tmp_path / "old")):
        pass
    async with serving(small(url, tmp_path / "new", MOVED)) as running:
        assert running.store.warnings
        async with store_on(free_port, folder):
            assert "past.open_tickets" in await asyncio.wait_for(running.store.until_refused(), 20.0)


async def test_contacts_are_not_forgotten_before_a_cap_allows_it(clean_store_url: str, tmp_path: Path) -> None:
    """A context that is kept for less than the longest cap or cool-off is refused at the start, with both times."""
    hour = Retention(context=timedelta(hours=1))
    with pytest.raises(StartRefused, match="the context, 1:00:00, is shorter than a cap of the strategy counts"):
        await start(replace(small(clean_store_url, tmp_path / "small"), keep=hour))
    with pytest.raises(StartRefused, match=r"the context, 1:00:00, is shorter than a cool-off .* remembers, 730 days"):
        await start(replace(settings(clean_store_url), keep=hour))


async def test_outcomes_are_waited_for_no_longer_than_they_are_taken(clean_store_url: str, tmp_path: Path) -> None:
    """A strategy that learns from outcomes which come when their decisions are forgotten is refused at the start."""
    slow = write_strategy(tmp_path / "slow", adaptive="adaptive: {within: 20d}")
    with pytest.raises(StartRefused, match=r"decisions, 14 days.* learns, 20 days.* a shorter `within` under adaptive"):
        await start(replace(small(clean_store_url, tmp_path / "small"), strategy=slow))


def test_a_service_loads_only_what_it_needs() -> None:
    """No library of training, of signed tokens, of certificates and of the browser door is there until it is wanted."""
    unwanted = {"connectrpc", "cryptography", "jwt", "matplotlib", "pyarrow", "scipy", "sklearn", "uvicorn", "z3"}
    asked = f"import sys, service.app; print(*sorted({unwanted!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
