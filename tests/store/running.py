"""The customer store for tests that are not asynchronous themselves, such as properties."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from models import folds
from models.states import unpacked
from service.store.connection import Connections
from service.store.store import Store
from tests.store.patience import patient

T = TypeVar("T")

LEVELS = {"none": "", "service": "s", "personal": "sp", "full": "spf"}


class Running:
    """A customer store with a loop of its own."""

    def __init__(self, runner: asyncio.Runner, connections: Connections, store: Store) -> None:
        self._runner = runner
        self.connections = connections
        self.store = store

    def wait(self, awaitable: Awaitable[T]) -> T:
        """Return what the store answers."""

        async def awaited() -> T:
            return await awaitable

        return self._runner.run(awaited())

    def states(self, customer: str) -> dict[int, folds.State]:
        """Return all field states that the customer's consent allows."""
        return states_of(self.wait(self.store.customers.context(customer)).groups.values())


def states_of(groups: Iterable[bytes]) -> dict[int, folds.State]:
    """Return the states of packed groups."""
    states: dict[int, folds.State] = {}
    for packed in groups:
        states |= unpacked(packed)
    return states


@contextmanager
def running(url: str) -> Iterator[Running]:
    """Run a customer store on the store at `url`."""
    with asyncio.Runner() as runner:

        async def opened() -> tuple[Connections, Store]:
            connections = patient(url)
            store = Store.over(connections, LEVELS, "none")
            await store.calls.load_functions()
            return connections, store

        connections, store = runner.run(opened())
        try:
            yield Running(runner, connections, store)
        finally:
            runner.run(connections.close())
