"""What comes late to the store, or waits for it, as simulations found it: consents overtaken, functions not loaded."""

from __future__ import annotations

import asyncio
from time import monotonic

import msgspec
import pytest

from service.core.records import ConsentRecord
from service.store.calls import Calls
from service.store.connection import StoreReplied, StoreTimeout, pack
from service.store.consents import CHANGES_KEPT, ConsentStore
from service.store.functions import read_functions
from service.store.pipeline import Argument, Reply
from service.store.store import Store
from service.store.way import Execute
from tests.store.patience import patient

LEVELS = {"none": "", "full": "spf"}


async def test_a_consent_that_was_overtaken_on_its_way_does_not_hold(clean_store_url: str) -> None:
    """Given without a moment, it replaces what was read before; when a withdrawal came between, it is refused."""
    async with patient(clean_store_url) as connections:
        store = Store.over(connections, LEVELS, "none")
        consents = store.consents
        assert isinstance(consents, ConsentStore)
        await consents.set_consent("ann", ConsentRecord("full", (), 0, "web"), 5.0)
        before = (await consents._of_the_person("agreed", "ann", (0,), 4, 5.0))[1]
        await consents.set_consent("ann", ConsentRecord("none", (), 0, "web"), 5.0)
        late = (*consents._kept_ms, _told("full"), CHANGES_KEPT, consents._levels)
        with pytest.raises(StoreReplied) as refused:
            await consents._of_the_person("consent", "ann", late, 3, 5.0, (before,))
        assert refused.value.prefix == "CONSENT"
        held = await consents.get_consent("ann", 5.0)
        assert held is not None
        assert held.level == "none"


async def test_consents_given_now_by_many_at_once_are_all_set(clean_store_url: str) -> None:
    """Who is overtaken while the caller waits sets the consent again: every one of them is acknowledged."""
    async with patient(clean_store_url) as connections:
        store = Store.over(connections, LEVELS, "none")
        told = [ConsentRecord(level, (), 0, f"caller {number}") for number, level in enumerate(("full", "none") * 3)]
        kept = await asyncio.gather(*(store.consents.set_consent("ben", one, 5.0) for one in told))
        assert [one.level for one in kept] == [one.level for one in told]


def test_what_writes_is_known_to_write() -> None:
    """A function that is registered as one that never writes is none of those to be confirmed, and no other is."""
    functions = read_functions()
    reads = {name for name in functions.registered if f"function_name = 'tact_{name}' .. VERSION" in functions.source}
    assert functions.registered - functions.writing <= reads
    assert {"consent", "supply_report", "household_grant", "identity_mark", "commit", "fold"} <= functions.writing
    assert not {"read", "agreed", "supply_stock"} & functions.writing


class Lacking:
    """A way to a store that lacks the functions, and takes its time to load them."""

    def call(self, packed: bytes, deadline_s: float | None = None) -> asyncio.Future[Reply]:
        """Answer that there is no such function."""
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        answer.set_exception(StoreReplied("ERR", "Function not found"))
        return answer

    async def execute(self, *args: Argument, deadline_s: float | None = None) -> Reply:
        """Load them, in a second."""
        await asyncio.sleep(1.0)

    async def servers(self) -> tuple[Execute, ...]:
        """There is one server."""
        return (self.execute,)

    def distrust(self) -> None:
        """Nothing is distrusted."""

    async def close(self) -> None:
        """Nothing is open."""


async def test_waiting_for_the_functions_ends_with_the_callers_time() -> None:
    """Who finds that the store lacks the functions waits no longer for them than for anything else, alone or not."""
    calls, began = Calls(Lacking()), monotonic()
    waiting = [calls.call(pack("FCALL", "anything", 0), deadline_s) for deadline_s in (0.05, 0.1)]
    errors = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(error) for error in errors] == [StoreTimeout, StoreTimeout]
    assert monotonic() - began < 0.6


def _told(level: str) -> bytes:
    return msgspec.msgpack.encode((level, (), 0, "web", 0, ""))
