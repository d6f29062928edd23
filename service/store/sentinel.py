"""A master that sentinels watch over: whom more than half of them name when a connection is opened.

`sentinel_way.py` asks them again as long as connections are open; docs/decisions/0049-durability.md says why nothing is
subscribed to.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

from service.errors import StoreError
from service.store.address import Address
from service.store.dialing import Server, connect, refused
from service.store.pipeline import Connection, Reply, StoreForbidden, StoreReplied, StoreUnavailable, pack

SCHEMES = ("redis+sentinel", "rediss+sentinel")
FORM = (
    "redis+sentinel://[user:password@]HOST[:PORT],HOST[:PORT]/MASTER[/DB], for sentinels with a password of their own "
    "with ?sentinel_password=…"
)
DEFAULT_PORT = 26379
_OPTIONS = frozenset({"sentinel_username", "sentinel_password", "ssl_ca_certs"})


@dataclass(frozen=True, slots=True)
class Sentinels:
    """The sentinels, the name that the master has with them, and how to be let in there; its text names no secret.

    `master` has all but where: user, password and database.
    """

    sentinels: tuple[Address, ...]
    name: str
    master: Address
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    @classmethod
    def at(cls, url: str) -> Self:
        """Read a URL; raise ValueError, without the URL in it, where it is none of sentinels."""
        try:
            parts = urlsplit(url)
        except ValueError:
            raise ValueError(f"The store URL cannot be read; it looks like {FORM}.") from None
        options = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        if unknown := sorted(options.keys() - _OPTIONS):
            raise ValueError(f"The store URL has the unknown option {unknown[0]!r}; it looks like {FORM}.")
        name, _, db = parts.path.strip("/").partition("/")
        if not name or (db and not (db.isascii() and db.isdigit())):
            raise ValueError(f"The store URL names no master, or a database that is no number; it looks like {FORM}.")
        credentials, _, places = parts.netloc.rpartition("@")
        username, _, password = credentials.partition(":")
        scheme = parts.scheme.partition("+")[0]
        sentinel = Address(
            scheme,
            username=options.get("sentinel_username", ""),
            password=options.get("sentinel_password", ""),
            authorities=options.get("ssl_ca_certs", ""),
        )
        sentinels = tuple(_placed(sentinel, place) for place in places.split(","))
        master = replace(sentinel, db=int(db or 0), username=unquote(username), password=unquote(password))
        return cls(sentinels, unquote(name), master, master.tls())

    def __str__(self) -> str:
        places = ",".join(f"{one.host}:{one.port}" for one in self.sentinels)
        return f"{self.master.scheme}+sentinel://{places}/{self.name}/{self.master.db}"

    async def open(self, timeout_s: float, protocol: Callable[[], Connection]) -> Connection:
        """Open a connection to the master that the sentinels name; raise a `StoreError` where none is one."""
        started = asyncio.get_running_loop().time()
        address = await self.named(timeout_s / 2)
        return await self.opened(address, timeout_s - (asyncio.get_running_loop().time() - started), protocol)

    async def opened(self, address: Address, timeout_s: float, protocol: Callable[[], Connection]) -> Connection:
        """Open a connection to a server that believes itself to be the master; raise a `StoreError`."""
        connection = await Server(address, self.tls).open(timeout_s, protocol)
        try:
            await _see_master(connection, timeout_s)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def named(self, timeout_s: float) -> Address:
        """Return the master that more than half of all sentinels name; raise a `StoreError` where they do not.

        Less would not do: sentinels that a fail-over has not reached go on naming the master before it.
        """
        asking = [asyncio.create_task(self.asked(sentinel, timeout_s)) for sentinel in self.sentinels]
        votes: Counter[Address] = Counter()
        fault: StoreError = StoreUnavailable(f"No sentinel knows the master {self.name!r}.")
        try:
            for answered in asyncio.as_completed(asking):
                try:
                    named = await answered
                except StoreError as error:
                    fault = error
                    continue
                votes[named] += 1
                if votes[named] > len(asking) // 2:
                    return named
        finally:
            await _ended(asking)
        if not votes:
            raise fault
        most, of = max(votes.values()), len(asking)
        raise StoreUnavailable(f"No more than {most} of {of} sentinels name the same master; more than half must.")

    async def asked(self, sentinel: Address, timeout_s: float) -> Address:
        """Return the master as one sentinel knows it; raise a `StoreError` where it knows none."""
        connection = await connect(sentinel, self.tls, timeout_s, lambda: Connection(timeout_s=timeout_s))
        try:
            told = await connection.execute("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)
            host, port = told
            return replace(self.master, host=host.decode(), port=int(port))
        except StoreReplied as error:
            raise StoreForbidden(f"The sentinel at {sentinel} does not say who the master is: {error}.") from None
        except (TypeError, ValueError, AttributeError):
            raise StoreUnavailable(f"The sentinel at {sentinel} knows no master {self.name!r}.") from None
        finally:
            await connection.close()


async def _see_master(connection: Connection, timeout_s: float) -> None:
    """See that a server believes itself to be the master; raise a `StoreError` where it does not, or does not say."""
    try:
        role: Reply = await Connection.call(connection, pack("ROLE"), timeout_s)
    except StoreReplied as error:
        raise refused("The server that the sentinels name does not say its role", error) from None
    if not isinstance(role, list) or role[0] != b"master":
        raise StoreUnavailable("The server that the sentinels name is not the master; a fail-over is under way.")


async def _ended(tasks: Iterable[asyncio.Task[Address]]) -> None:
    """End what is still under way, and see what came of the rest."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _placed(sentinel: Address, place: str) -> Address:
    """Return where one sentinel is; raise ValueError where that cannot be read."""
    try:
        parts = urlsplit(f"//{place}")
        host, port = parts.hostname, parts.port or DEFAULT_PORT
    except ValueError:
        host, port = None, 0
    if not host:
        raise ValueError(f"A sentinel of the store URL has no host, or a port that is no number; it looks like {FORM}.")
    return replace(sentinel, host=host, port=port)
