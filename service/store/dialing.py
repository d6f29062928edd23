"""Open a connection to a store: reach it, be let in, and see that it serves."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

from service.store.address import Address
from service.store.error_prefixes import OTHER, Remedy, meaning_of
from service.store.pipeline import (
    Connection,
    StoreForbidden,
    StoreReplied,
    StoreTimeout,
    StoreUnavailable,
    pack,
)


class MakeConnection(Protocol):
    """Makes what speaks with the store over one socket; `timeout_s` is the longest silence that it bears."""

    def __call__(self, *, timeout_s: float) -> Connection:
        """Return a connection that is not open yet."""
        ...


class Target(Protocol):
    """Where connections lead to: a server at an address, or what a search finds each time. Its text is no secret."""

    async def open(self, timeout_s: float, protocol: Callable[[], Connection]) -> Connection:
        """Open a connection that is let in and serves, within so many seconds; raise a `StoreError`."""
        ...


@dataclass(frozen=True, slots=True)
class Server:
    """One server at one address."""

    address: Address
    tls: ssl.SSLContext | None

    @classmethod
    def at(cls, url: str) -> Self:
        """Read a URL; raise ValueError where it is none, and OSError where its authorities cannot be read."""
        address = Address.parse(url)
        return cls(address, address.tls())

    def __str__(self) -> str:
        return str(self.address)

    async def open(self, timeout_s: float, protocol: Callable[[], Connection]) -> Connection:
        """Open a connection to the server, within so many seconds."""
        return await connect(self.address, self.tls, timeout_s, protocol)


async def connect(
    address: Address, tls: ssl.SSLContext | None, timeout_s: float, protocol: Callable[[], Connection]
) -> Connection:
    """Open a connection, authenticate and see the store answer; raise `StoreUnavailable` or `StoreTimeout`."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _greeted(await _dial(address, tls, protocol), address)
    except TimeoutError:
        raise StoreTimeout(f"The store at {address} did not answer within {timeout_s * 1000:.0f} ms.") from None
    except OSError as error:
        raise StoreUnavailable(f"The store at {address} cannot be reached: {error.strerror or error}.") from None
    except StoreReplied as error:
        raise refused(f"The store at {address} refused the connection", error) from None


def refused(what: str, error: StoreReplied) -> StoreUnavailable:
    """Return what an error means that a server gave while a connection was opened, `what` in words before it."""
    meaning = meaning_of(error.prefix, error.message)
    fault = StoreForbidden if meaning.remedy is Remedy.REFUSE or meaning is OTHER else StoreUnavailable
    return fault(f"{what}: {error}.")


async def _dial(address: Address, tls: ssl.SSLContext | None, protocol: Callable[[], Connection]) -> Connection:
    loop = asyncio.get_running_loop()
    if address.path:
        return (await loop.create_unix_connection(protocol, address.path))[1]
    return (await loop.create_connection(protocol, address.host, address.port, ssl=tls))[1]


async def _greeted(connection: Connection, address: Address) -> Connection:
    try:
        for command in address.greeting():
            await _greet(connection, command)
    except BaseException:
        await connection.close()
        raise
    return connection


async def _greet(connection: Connection, command: tuple[str | int, ...]) -> None:
    """Send one command of a greeting as it is, for nothing is confirmed before we are let in."""
    try:
        await Connection.call(connection, pack(*command))
    except StoreReplied as error:
        if error.prefix != "MISCONF":  # a disk that is full: PING is refused like a write, and reads are served
            raise
