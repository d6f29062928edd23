"""A port that several processes of one service answer on, and nobody else."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from service.errors import CannotListen


@dataclass(frozen=True, slots=True)
class Held:
    """A port that is held for workers as long as this is open: they can listen on it, others are told it is taken.

    A socket that is bound and does not listen takes no connections.
    """

    port: int
    sockets: tuple[socket.socket, ...]

    @classmethod
    def on(cls, host: str, port: int, setting: str = "--port") -> Held:
        """Hold a port on all addresses of a host, any free one for 0; raise `CannotListen` where that cannot be.

        `setting` is where the port was said, for whoever has to say another one.
        """
        held: list[socket.socket] = []
        try:
            for family, address in _addresses(host):
                with suppress(_NotHere):
                    held.append(_bound(family, address, port))
                    port = held[-1].getsockname()[1]
            if not held:
                raise OSError(errno.EADDRNOTAVAIL, "")
        except (OSError, UnicodeError):  # a name that is none, such as a..b, is the latter
            for one in held:
                one.close()
            raise CannotListen(
                f"Cannot listen on {_spelled(host, port)}: the port is taken, or the host is none of this machine's. "
                f"Choose another {setting} (0 takes a free one) or --host."
            ) from None
        return cls(port, tuple(held))

    def close(self) -> None:
        """Let the port go."""
        for one in self.sockets:
            one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


_ANY = {"0.0.0.0": socket.AF_INET, "::": socket.AF_INET6}  # noqa: S104 - said by whoever starts the service


class _NotHere(OSError):
    """The machine has no such address, such as one of IPv6 where that is switched off."""


def _addresses(host: str) -> tuple[tuple[int, str], ...]:
    if host in _ANY:  # gRPC listens on both kinds where it is told either, so that is what must be held
        return tuple((family, address) for address, family in _ANY.items())
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return tuple(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def _bound(family: int, address: str, port: int) -> socket.socket:
    """Bind a socket as if for this process alone, so that a port in use is noticed, and then let others share it."""
    try:
        one = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _NotHere(*error.args) from None
    try:
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of a service that ended may linger
        one.bind((address, port))
        if port:  # two may bind at the same moment, of which only one may listen; a free port the kernel gives to one
            one.listen(1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)  # another service that begins now is refused
        if port:
            one.shutdown(socket.SHUT_RDWR)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError as error:
        one.close()
        raise _NotHere(*error.args) if error.errno == errno.EADDRNOTAVAIL else error from None
    return one


def _spelled(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
