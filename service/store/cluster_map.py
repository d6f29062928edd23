"""Which server of a cluster has which slot: asked of the servers, and put right by what they say of each command."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from copy import copy
from operator import attrgetter

from service.errors import StoreError
from service.store.breaker import Told
from service.store.cluster_address import ClusterAddress, Place
from service.store.cluster_node import Entry, Node, Sent
from service.store.cluster_slots import SLOTS, View, redirected_to
from service.store.dialing import Server, refused
from service.store.pipeline import Connection, StoreReplied, StoreUnavailable

ASKED_AT_ONCE = 5
SHORT_S = 0.05  # after the first server has said how it sees the cluster, others have so long
LONG_S = 0.5  # so long one may take that says nothing
PAUSE_S = 0.1  # between two looks


class SlotMap:
    """Who has which slot. Looked at anew, by one at a time, when a server is lost or names another one.

    Of several servers the one is believed that is well and knows of the latest election. What a MOVED said meanwhile
    is newer than what was asked before it. `changes` counts how often it changed.
    """

    def __init__(self, address: ClusterAddress, entry: Entry) -> None:
        self.owners: list[Node | None] = [None] * SLOTS
        self.masters: tuple[Node, ...] = ()
        self.changes = 0
        self._address, self._entry = address, entry
        self._looked_at = float("-inf")
        self._nodes: dict[Place, Node] = {}
        self._moved: dict[int, Node] = {}
        self._looking: asyncio.Task[None] | None = None
        self._fault: StoreError | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._told: tuple[Told, Told] | None = None
        self._closed = False

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Return every server that is known, those included whose keys are only coming or going."""
        return tuple(self._nodes.values())

    def told(self, breaker: Told, hedges: Told) -> None:
        """Let somebody count what the breakers of the servers do, and what is hedged."""
        self._told = breaker, hedges
        for node in self.nodes:
            node.way.told(breaker, hedges)

    def node(self, place: Place) -> Node:
        """Return the server at a place."""
        found = self._nodes.get(place)
        if found is None:
            found = self._nodes[place] = Node(place, self._address.of(place), self._entry, self._told)
        return found

    async def owner(self, slot: int, patience_s: float) -> Node:
        """Return who has a slot; raise a `StoreError` where nobody has, or nobody tells it in time."""
        if self._closed:
            raise StoreUnavailable("This way to the store is closed.")
        if self.owners[slot] is None:
            await self.looked(patience_s)
        found = self.owners[slot]
        if found is None:
            raise StoreUnavailable("No server of the cluster has the keys of this call.")
        return found

    def follow(self, sent: Sent, asked: Place) -> Node:
        """Return the server that a MOVED or an ASK names; after a MOVED it has the slot from now on.

        Raises the refusal itself where it names none.
        """
        try:
            slot, place = redirected_to(sent.error, asked)
        except ValueError:
            raise sent.error from None
        node = self.node(place)
        node.used_s = asyncio.get_running_loop().time()
        if sent.error.prefix == "MOVED":
            self._moved[slot] = node
            if self.owners[slot] is not node:
                self.owners[slot] = node
                self.changes += 1
            if node not in self.masters:
                self.look_soon()
        return node

    async def opened(self, protocol: Callable[[], Connection]) -> Connection:
        """Open one connection more to any master that is well; raise a `StoreError`."""
        well = [node for node in self.masters if not node.breaker.failures] or list(self.masters)
        server = Server(self._address.of(random.choice(well).place), self._entry.tls)  # noqa: S311 - hides nothing
        return await server.open(self._entry.connect_ms / 1000, protocol)

    def look_soon(self) -> None:
        """Have the cluster looked at, unless somebody does already."""
        if self._looking is None and not self._closed:
            self._looking = asyncio.get_running_loop().create_task(self._look())

    async def looked(self, patience_s: float, older_than_s: float = 0.0) -> None:
        """See that the map is no older than so many seconds; raise a `StoreError` where no server tells it in time."""
        loop = asyncio.get_running_loop()
        if self.masters and self._fault is None and loop.time() - self._looked_at <= older_than_s:
            return
        self.look_soon()
        if self._looking is not None:
            await asyncio.wait((self._looking,), timeout=patience_s)
        if self._fault is not None:
            raise copy(self._fault)
        if not self.masters:
            raise StoreUnavailable("No server of the cluster said in time who has which keys.")

    def distrust(self) -> None:
        """Drop every open connection, because a reply came that its caller cannot explain."""
        for node in self.nodes:
            node.way.distrust()

    async def close(self) -> None:
        """Close the connections to all servers."""
        self._closed = True
        for task in (*self._leaving, *((self._looking,) if self._looking else ())):
            task.cancel()
            await asyncio.wait((task,))
        for node in self.nodes:
            await node.way.close()

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await asyncio.sleep(self._looked_at + PAUSE_S - loop.time())
            self._moved.clear()
            self._take(await self._latest_view())
            self._fault = None
        except StoreError as error:
            self._fault = error
        finally:
            self._looked_at = loop.time()
            self._looking = None

    async def _latest_view(self) -> View:
        """Ask a few servers after another, those that answered last first, how they see the cluster."""
        seeds = (self.node(place) for place in self._address.seeds)
        known = list(dict.fromkeys((*self.nodes, *seeds)))
        random.shuffle(known)
        known.sort(key=lambda node: (node.breaker.failures, node not in self.masters))
        fault: StoreError = StoreUnavailable("No server of the cluster can be reached.")
        for first in range(0, len(known), ASKED_AT_ONCE):
            said = await _first_of([asyncio.ensure_future(_view(n)) for n in known[first : first + ASKED_AT_ONCE]])
            views = [view for view in said if isinstance(view, View) and view.ranges]
            if views:
                return max(views, key=attrgetter("worth"))
            fault = next((error for error in said if isinstance(error, StoreError)), fault)
        raise fault

    def _take(self, view: View) -> None:
        owners: list[Node | None] = [None] * SLOTS
        for first, last, place in view.ranges:
            owners[first : last + 1] = [self.node(place)] * (last - first + 1)
        for slot, node in self._moved.items():
            owners[slot] = node
        if owners != self.owners:
            self.owners = owners
            self.changes += 1
        masters = {node for node in owners if node is not None}
        self.masters = tuple(sorted(masters, key=attrgetter("place")))
        for node in set(self.nodes) - masters:
            self._leave(node)

    def _leave(self, node: Node) -> None:
        """Close the connection to a server without keys, when all that was asked there is answered.

        One that was named meanwhile, for a slot or for keys that come to it, is kept until the next look.
        """

        async def left() -> None:
            timeout_s = self._entry.timeout_ms / 1000
            await asyncio.sleep(timeout_s)
            idle = asyncio.get_running_loop().time() - node.used_s >= timeout_s
            if idle and node not in self.owners and self._nodes.get(node.place) is node:
                del self._nodes[node.place]
                await node.way.close()

        task = asyncio.get_running_loop().create_task(left())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


async def _view(node: Node) -> View:
    try:
        info = await node.execute("CLUSTER", "INFO", deadline_s=LONG_S)
        slots = await node.execute("CLUSTER", "SLOTS", deadline_s=LONG_S)
    except StoreReplied as error:
        raise refused(f"The server at {node.place} does not say who has which keys", error) from None
    return View.of(info, slots, node.place)


async def _first_of(asked: Sequence[asyncio.Future[View]]) -> list[View | BaseException]:
    """Return what was said first and a moment later, or after `LONG_S` why nothing was."""
    loop = asyncio.get_running_loop()
    until, waiting = loop.time() + LONG_S, set(asked)
    while waiting and (left_s := until - loop.time()) > 0:
        done, waiting = await asyncio.wait(waiting, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        if any(one.exception() is None for one in done):
            until = min(until, loop.time() + SHORT_S)
    for late in waiting:
        late.cancel()
    return list(await asyncio.gather(*asked, return_exceptions=True))
