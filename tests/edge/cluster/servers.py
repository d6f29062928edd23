"""A real cluster on loopback whose slots a test moves one by one, as slowly as it likes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from redis import Connection

from service.store.cluster_slots import SLOTS
from tests.edge.durability.servers import Server, until

MOVED_AT_ONCE = 200  # keys
SETTLES_S = 0.03
"""What was said of a slot before it got its new master can arrive after that, and is believed for a moment."""
FORMS_WITHIN_S = 30.0
NODE_TIMEOUT_MS = 1_000


class Node:
    """One server of a cluster, its name in it and a client of another make."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._line = Connection(port=server.port, socket_timeout=10)  # type: ignore[no-untyped-call]  # redis-py says nothing of it
        self.name = self.ask("CLUSTER MYID").decode()

    def ask(self, *command: object) -> Any:  # noqa: ANN401 - what a server replies
        """Send this server one command."""
        self._line.send_command(*command)  # type: ignore[no-untyped-call]  # redis-py says nothing of it
        return self._line.read_response()

    def close(self) -> None:
        """Hang up."""
        self._line.disconnect()  # type: ignore[no-untyped-call]  # redis-py says nothing of it

    def keys_in(self, slot: int, most: int = 1_000_000) -> list[bytes]:
        """Return the keys of a slot that this server has."""
        return list(self.ask("CLUSTER GETKEYSINSLOT", slot, most))

    def well(self) -> bool:
        """Tell whether this server sees every slot served."""
        return b"cluster_state:ok" in self.ask("CLUSTER INFO")


class Cluster:
    """Some masters with a share of the slots each, and as many replicas of each as are wanted."""

    def __init__(self, masters: Sequence[Node], replicas: Sequence[Node]) -> None:
        self.masters, self.replicas = list(masters), list(replicas)

    @property
    def nodes(self) -> list[Node]:
        """Return all servers."""
        return [*self.masters, *self.replicas]

    @property
    def url(self) -> str:
        """Return its URL, which names two of its servers."""
        return f"redis+cluster://{','.join(f'127.0.0.1:{node.server.port}' for node in self.masters[:2])}/"

    def owner(self, slot: int) -> Node:
        """Return the master that has a slot, once all masters agree."""
        until(lambda: len(self._owners(slot)) == 1, FORMS_WITHIN_S, f"all agree whose slot {slot} is")
        (port,) = self._owners(slot)
        return next(node for node in self.nodes if node.server.port == port)

    def _owners(self, slot: int) -> set[int]:
        return {
            master[1]
            for node in self.masters
            for first, last, master, *_ in node.ask("CLUSTER SLOTS")
            if first <= slot <= last
        }

    def begin(self, slot: int, source: Node, target: Node) -> None:
        """Have keys of a slot be asked for at the target where the source has them no more."""
        target.ask("CLUSTER SETSLOT", slot, "IMPORTING", source.name)
        source.ask("CLUSTER SETSLOT", slot, "MIGRATING", target.name)

    def carry(self, source: Node, target: Node, keys: Sequence[bytes]) -> None:
        """Carry keys over."""
        for at in range(0, len(keys), MOVED_AT_ONCE):
            some = keys[at : at + MOVED_AT_ONCE]
            source.ask("MIGRATE", "127.0.0.1", target.server.port, "", 0, 5_000, "KEYS", *some)

    def end(self, slot: int, target: Node) -> None:
        """Give a slot to its new master, and tell the others."""
        for node in (target, *(one for one in self.masters if one is not target)):
            node.ask("CLUSTER SETSLOT", slot, "NODE", target.name)
        time.sleep(SETTLES_S)

    def move(self, slot: int, target: Node) -> int:
        """Move a slot with its keys; return how many these were."""
        source, moved = self.owner(slot), 0
        if source is target:
            return 0
        self.begin(slot, source, target)
        while keys := source.keys_in(slot, MOVED_AT_ONCE):
            self.carry(source, target, keys)
            moved += len(keys)
        self.end(slot, target)
        return moved


@contextmanager
def cluster(folder: Path, program: Path, *, masters: int = 3, replicas: int = 0) -> Iterator[Cluster]:
    """Form a cluster for as long as it is wanted; `replicas` is how many each master has."""
    with ExitStack() as stack:
        nodes = []
        for number in range(masters * (1 + replicas)):
            options = ("--cluster-enabled", "yes", "--cluster-node-timeout", NODE_TIMEOUT_MS,
                       "--cluster-require-full-coverage", "no", "--cluster-replica-validity-factor", 0,
                       "--appendonly", "yes", "--stream-node-max-entries", 1, "--slowlog-max-len", 0,
                       "--repl-diskless-sync-delay", 0)  # fmt: skip
            server = stack.enter_context(Server(folder / str(number), *options, program=program))
            nodes.append(stack.enter_context(closing(Node(server))))
        formed = Cluster(nodes[:masters], nodes[masters:])
        _form(formed)
        yield formed


def _form(formed: Cluster) -> None:
    """Introduce the servers to each other, share the slots out and wait until all see that."""
    share = SLOTS // len(formed.masters)
    for number, node in enumerate(formed.masters):
        last = SLOTS - 1 if number == len(formed.masters) - 1 else (number + 1) * share - 1
        node.ask("CLUSTER ADDSLOTSRANGE", number * share, last)
    for number, node in enumerate(formed.nodes):
        node.ask("CLUSTER SET-CONFIG-EPOCH", number + 1)
    until(partial(_met, formed.nodes), FORMS_WITHIN_S, "the servers know each other")
    for number, node in enumerate(formed.replicas):
        node.ask("CLUSTER REPLICATE", formed.masters[number % len(formed.masters)].name)
    until(lambda: all(node.well() for node in formed.nodes), FORMS_WITHIN_S, "every slot is served")
    for node in formed.replicas:
        until(partial(_follows, node), FORMS_WITHIN_S, "a replica follows its master")


def _met(nodes: Sequence[Node]) -> bool:
    """Tell whether all servers know each other; introduce those who do not (again), for a busy machine is too late."""
    if all(_known(node) >= len(nodes) for node in nodes):
        return True
    for node in nodes[1:]:
        if _known(node) < len(nodes) and b"handshake" not in node.ask("CLUSTER NODES"):
            node.ask("CLUSTER MEET", "127.0.0.1", nodes[0].server.port, nodes[0].server.bus_port)
    return False


def _known(node: Node) -> int:
    return sum(b"handshake" not in line for line in node.ask("CLUSTER NODES").splitlines())


def _follows(node: Node) -> bool:
    return b"master_link_status:up" in node.ask("INFO replication")


def spread(seconds: float, times: int) -> Iterator[int]:
    """Count so many times, evenly over so many seconds."""
    started = time.monotonic()
    for number in range(times):
        time.sleep(max(0.0, started + seconds * number / times - time.monotonic()))
        yield number
