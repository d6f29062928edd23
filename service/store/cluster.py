"""The way to a Redis or Valkey Cluster: each command goes to the server that has its keys, wherever they move.

Each server has one pipelining connection. What a server did not run, because its keys are elsewhere (MOVED, ASK), on
their way (TRYAGAIN) or not served just now, is sent again within the caller's time; what was lost with a connection is
not, for it may have run. docs/decisions/0048-cluster.md has the reasons and the figures.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from service.errors import StoreError
from service.store.cluster_address import ClusterAddress, Place
from service.store.cluster_map import SlotMap
from service.store.cluster_node import NOT_SERVING, Entry, Node, NodeConnection, Sent
from service.store.cluster_slots import slot_of, words_of
from service.store.pipeline import Argument, Connection, Reply, StoreReplied, StoreUnavailable, pack
from service.store.way import Execute

MAP_KEPT_S = 10.0


class ClusterConnections:
    """Send commands to a cluster; a server that is lost takes nothing from those who ask others.

    A call waits at most `deadline_s`, and never longer than `timeout_ms`. Only masters are asked, for what a replica
    knows of a consent may be old. Commands without a key go to one master (INFO), to each in turn (SCAN) or to all
    (FUNCTION LOAD, BGREWRITEAOF).

    >>> store = ClusterConnections("redis+cluster://10.0.0.1:6379,10.0.0.2:6379/")  # doctest: +SKIP
    """

    def __init__(self, url: str, *, timeout_ms: float = 1000, connect_timeout_ms: float = 1000) -> None:
        self._address = ClusterAddress.parse(url)
        self._timeout_s = timeout_ms / 1000
        entry = Entry(
            self._address.tls(), timeout_ms, connect_timeout_ms, lambda at: partial(NodeConnection, at, self._elsewhere)
        )
        self._map = SlotMap(self._address, entry)
        self.told = self._map.told
        self._waiting: dict[asyncio.Future[Reply], asyncio.TimerHandle] = {}
        self._closed = False

    def call(self, packed: bytes, deadline_s: float | None = None) -> asyncio.Future[Reply]:
        """Send one packed command; the future has its reply, or a `StoreError` after `deadline_s` seconds at most."""
        slot = slot_of(packed)
        if slot is not None:
            node = self._map.owners[slot]
            if node is not None:
                if node.breaker.failures:
                    self._map.look_soon()
                return node.way.call(packed, deadline_s)
        patience_s = self._timeout_s if deadline_s is None else min(deadline_s, self._timeout_s)
        return asyncio.get_running_loop().create_task(self._call_slowly(slot, packed, patience_s))

    async def execute(self, *args: Argument, deadline_s: float | None = None) -> Reply:
        """Send one command and wait for its reply, `deadline_s` seconds at most; raise a `StoreError`."""
        return await self.call(pack(*args), deadline_s)

    async def servers(self) -> tuple[Execute, ...]:
        """Return what sends commands to each master, whatever their keys; raise a `StoreError` where none is known."""
        await self._map.looked(self._timeout_s, MAP_KEPT_S)
        return tuple(node.execute for node in self._map.masters)

    async def opened(self, protocol: Callable[[], Connection]) -> Connection:
        """Open one connection more to any master, for who asked to do with as they like, and to close."""
        await self._map.looked(self._timeout_s, MAP_KEPT_S)
        return await self._map.opened(protocol)

    def distrust(self) -> None:
        """Drop every open connection, because a reply came that its caller cannot explain; waiting calls fail."""
        self._map.distrust()

    async def close(self) -> None:
        """Close all connections; calls that wait, and all later ones, fail with `StoreUnavailable`."""
        self._closed = True
        for answer, timer in self._waiting.items():
            timer.cancel()
            if not answer.done():
                answer.set_exception(StoreUnavailable("This way to the store is closed."))
        self._waiting.clear()
        await self._map.close()

    def __repr__(self) -> str:
        return f"ClusterConnections('{self._address}')"

    async def _call_slowly(self, slot: int | None, packed: bytes, patience_s: float) -> Reply:
        """Send a command that has no key, or whose server is not known."""
        if self._closed:
            raise StoreUnavailable("This way to the store is closed.")
        loop = asyncio.get_running_loop()
        until = loop.time() + patience_s
        if slot is None:
            await self._map.looked(patience_s, MAP_KEPT_S)
            return await self._without_key(packed, until - loop.time())
        node = await self._map.owner(slot, patience_s)
        return await node.way.call(packed, until - loop.time())

    async def _without_key(self, packed: bytes, patience_s: float) -> Reply:
        name = words_of(packed, 1)[0].upper()
        if name == b"SCAN":
            return await self._scan(packed, patience_s)
        if name in (b"FUNCTION", b"BGREWRITEAOF"):
            return await self._everywhere(packed, patience_s, all_of_them=name == b"BGREWRITEAOF")
        masters = sorted(self._map.masters, key=lambda node: node.breaker.failures)
        return await masters[0].way.call(packed, patience_s)

    async def _everywhere(self, packed: bytes, patience_s: float, *, all_of_them: bool) -> Reply:
        """Send a command to every master and return the first reply.

        A master that is away is passed over unless `all_of_them` must do it: whoever comes in its place has the
        functions, or is given them when they are missed. So is a server that keys are just coming to.
        """
        masters = self._map.masters
        others = [node for node in self._map.nodes if node not in masters]
        asked = (node.way.call(packed, patience_s) for node in (*masters, *others))
        said = (await asyncio.gather(*asked, return_exceptions=True))[: len(masters)]
        faults = [reply for reply in said if isinstance(reply, BaseException)]
        for error in faults:
            if all_of_them or not isinstance(error, StoreError) or isinstance(error, StoreReplied):
                raise error
        if len(faults) == len(said):
            raise faults[0]
        return next(reply for reply in said if not isinstance(reply, BaseException))

    async def _scan(self, packed: bytes, patience_s: float) -> Reply:
        """Go through the keys of one master after the other; a cursor says which, and what the map was like.

        Keys that moved to another server meanwhile could be missed, so then the whole is refused.
        """
        words = words_of(packed, 64)
        changes, at, cursor = _position(words[1])
        loop = asyncio.get_running_loop()
        until = loop.time() + patience_s
        if words[1] == b"0":
            await self._map.looked(patience_s)
            changes = self._map.changes
        masters = self._map.masters
        if changes == self._map.changes and at < len(masters):
            packed = pack(words[0], cursor, *words[2:])
            cursor, found = await masters[at].way.call(packed, until - loop.time())
            if cursor != b"0":
                return [b"%d|%d|%s" % (changes, at, cursor), found]
            if at + 1 < len(masters):
                return [b"%d|%d|0" % (changes, at + 1), found]
            await self._map.looked(until - loop.time())
            if changes == self._map.changes:
                return [b"0", found]
        raise StoreUnavailable("Keys moved between the servers of the cluster meanwhile; begin again.")

    def _elsewhere(self, asked: Place, sent: Sent, answer: asyncio.Future[Reply], due: float) -> None:
        """Send what a server did not run where it says, or after a pause to whoever has the keys then."""
        slot = slot_of(sent)
        if slot is None or sent.hopeless:
            answer.set_exception(sent.error)
            return
        node = None
        if sent.redirected:
            try:
                node = self._map.follow(sent, asked)
            except StoreReplied as error:
                answer.set_exception(error)
                return
        elif sent.error.prefix in NOT_SERVING:
            self._map.look_soon()
        if node is not None and sent.at_once:
            self._send(node, sent, answer, due)
        else:
            self._wait(node if sent.asking else slot, sent, answer, due)

    def _wait(self, node: Node | int | None, sent: Sent, answer: asyncio.Future[Reply], due: float) -> None:
        """Send a command again after a pause, to a server or whoever has a slot then; fail it where time is short."""
        loop = asyncio.get_running_loop()
        again_at = loop.time() + sent.pause_s
        if again_at >= due:
            answer.set_exception(sent.error)
        else:
            self._waiting[answer] = loop.call_at(again_at, self._again, node, sent, answer, due)

    def _again(self, node: Node | int | None, sent: Sent, answer: asyncio.Future[Reply], due: float) -> None:
        del self._waiting[answer]
        node = self._map.owners[node] if isinstance(node, int) else node
        if answer.done():
            return
        if node is None:
            answer.set_exception(sent.error)
        else:
            self._send(node, sent, answer, due)

    def _send(self, node: Node, sent: Sent, answer: asyncio.Future[Reply], due: float) -> None:
        again = node.way.call(sent, due - asyncio.get_running_loop().time())
        again.add_done_callback(partial(_pass_on, answer))


def _pass_on(answer: asyncio.Future[Reply], again: asyncio.Future[Reply]) -> None:
    error = StoreUnavailable("This way to the store is closed.") if again.cancelled() else again.exception()
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(again.result())


def _position(cursor: bytes) -> tuple[int, int, bytes]:
    """Return what a cursor says: how often the map had changed, which master, and its own cursor."""
    if cursor == b"0":
        return 0, 0, cursor
    changes, at, own = cursor.split(b"|")
    return int(changes), int(at), own
