"""A held port is there for workers, and taken for everybody else."""

from __future__ import annotations

import socket
import sys

import pytest

from service.errors import CannotListen
from service.workers.port import Held

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shares a port out among processes")


def listening(port: int, *, shares: bool) -> socket.socket:
    """Return a socket that listens, as a worker's (`shares`) or anybody else's."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shares)
    try:
        one.bind(("127.0.0.1", port))
        one.listen()
    except OSError:
        one.close()
        raise
    return one


def test_workers_share_it_and_take_all_connections() -> None:
    """Two can listen on a held port; the socket that holds it takes no connection from them."""
    with Held.on("127.0.0.1", 0) as held, listening(held.port, shares=True) as one, listening(held.port, shares=True):
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", held.port), timeout=5.0):
                pass
        one.settimeout(5.0)
        one.accept()[0].close()


def test_nobody_else_gets_it() -> None:
    """A program that does not share, and a supervisor that begins at the same moment, are told that it is taken."""
    with Held.on("127.0.0.1", 0) as held:
        with pytest.raises(OSError, match="in use"):
            listening(held.port, shares=False)
        with pytest.raises(CannotListen, match=f"127.0.0.1:{held.port}: the port is taken"):
            Held.on("127.0.0.1", held.port)
    with Held.on("127.0.0.1", held.port):  # once it is let go it can be had
        pass


@pytest.mark.parametrize("shares", [True, False])
def test_a_port_in_use_is_not_held(shares: bool) -> None:
    """Whoever listens has it, even one that would share it."""
    with listening(0, shares=shares) as other, pytest.raises(CannotListen, match="the port is taken"):
        Held.on("127.0.0.1", other.getsockname()[1])


def test_a_port_of_which_connections_linger_can_be_held() -> None:
    """A service that is started anew does not wait until the connections of the last one are forgotten."""
    with listening(0, shares=False) as before:
        port = before.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        served, _ = before.accept()
        served.close()  # who closes first keeps the port in TIME_WAIT
        client.recv(1)
        client.close()
    with Held.on("127.0.0.1", port) as held:
        assert held.port == port


def test_of_two_that_begin_at_the_same_moment_one_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another supervisor takes all its steps between those of the first, the first is told that it is taken."""
    with Held.on("127.0.0.1", 0) as free:
        port = free.port
    rivals: list[Held] = []

    class Slow(socket.socket):
        def bind(self, address: tuple[str, int]) -> None:  # type: ignore[override]  # the only kind here
            super().bind(address)
            monkeypatch.undo()
            rivals.append(Held.on(*address))

    monkeypatch.setattr(socket, "socket", Slow)
    with pytest.raises(CannotListen, match="the port is taken"):
        Held.on("127.0.0.1", port)
    with rivals[0], pytest.raises(CannotListen), Held.on("127.0.0.1", port):
        pass


def test_a_port_that_was_asked_for_by_number_is_held_for_workers() -> None:
    """It is theirs alone, whether it was chosen or found, and the socket that holds it refuses what comes too soon."""
    with Held.on("127.0.0.1", 0) as free:
        port = free.port
    with Held.on("127.0.0.1", port):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5.0)
        with pytest.raises(OSError, match="in use"):
            listening(port, shares=False)
        with listening(port, shares=True) as one, listening(port, shares=True):
            for _ in range(20):
                with socket.create_connection(("127.0.0.1", port), timeout=5.0):
                    pass
            one.settimeout(5.0)
            one.accept()[0].close()


@pytest.mark.parametrize("hosts", [("0.0.0.0", "::"), ("::", "0.0.0.0")])  # noqa: S104 - nobody listens
def test_all_addresses_are_held_whichever_way_they_are_said(hosts: tuple[str, str]) -> None:
    """gRPC listens on IPv4 and IPv6 where it is told either: two services would get each other's calls."""
    with Held.on(hosts[0], 0) as held, pytest.raises(CannotListen, match="the port is taken"):
        Held.on(hosts[1], held.port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "a..b", "a" * 70])
def test_a_host_that_is_not_here_is_said_in_words(host: str) -> None:
    """An address of another machine, and a name of none, cannot be listened on."""
    with pytest.raises(CannotListen, match=f"Cannot listen on {host}:50051"):
        Held.on(host, 50051)


def test_all_addresses_of_a_name_are_held_on_one_port() -> None:
    """A name may have several addresses: the port is the same on all that the machine has."""
    with Held.on("localhost", 0) as held:
        assert {one.getsockname()[1] for one in held.sockets} == {held.port}
