"""The one place that says which class is the way to a store, by the scheme of its URL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

from service.store import address, cluster_address, sentinel
from service.store.address import Address
from service.store.breaker import Told
from service.store.cluster import ClusterConnections
from service.store.cluster_address import ClusterAddress
from service.store.cluster_confirmed import ConfirmedCluster
from service.store.connection import Connection, Connections, MakeConnection
from service.store.durable import Confirmation
from service.store.pipeline import StoreUnavailable
from service.store.sentinel import Sentinels
from service.store.sentinel_way import SentinelConnections
from service.store.way import Way

SCHEMES = (*address.SCHEMES, *sentinel.SCHEMES, *cluster_address.SCHEMES)
"""How the URL of a store may begin."""


class Options(TypedDict):
    """How connections are made and how long they may take, as `open_store` says it."""

    size: int
    timeout_ms: float
    connect_timeout_ms: float
    protocol: MakeConnection


@dataclass(frozen=True, slots=True)
class Ways:
    """How a store is talked to: quickly, and so that what is written is confirmed; the same where that is the same."""

    quick: Way
    confirmed: Way

    def told(self, breaker: Told, hedges: Told) -> None:
        """Let somebody count what the breakers of one server do, and which reads are asked again."""
        for way in {id(way): way for way in (self.quick, self.confirmed)}.values():
            if isinstance(way, Connections | ClusterConnections | ConfirmedCluster):
                way.told(breaker, hedges)

    async def opened(self, protocol: Callable[[], Connection]) -> Connection:
        """Open one connection more to a server that hears what is published anywhere; raise a `StoreError`."""
        if not isinstance(self.quick, Connections | ClusterConnections):
            raise StoreUnavailable("This way to the store opens no connection more.")
        return await self.quick.opened(protocol)

    async def close(self) -> None:
        """Close all connections."""
        await self.quick.close()
        await self.confirmed.close()


def open_store(
    url: str,
    *,
    size: int = 1,
    timeout_ms: float = 1000,
    connect_timeout_ms: float = 1000,
    protocol: MakeConnection = Connection,
) -> Way:
    """Return the way to the store at `url`; nothing is opened before the first call.

    `size` is how many connections take turns to each server, `timeout_ms` the longest silence that is borne,
    `connect_timeout_ms` how long opening one may take, and `protocol` makes each. Raises ValueError, without the URL
    in it, where it is none, and OSError where its certificate authorities cannot be read.
    """
    if url.partition("://")[0] in cluster_address.SCHEMES:
        if protocol is Connection:
            return ClusterConnections(url, timeout_ms=timeout_ms, connect_timeout_ms=connect_timeout_ms)
        return ConfirmedCluster(url, protocol, timeout_ms=timeout_ms, connect_timeout_ms=connect_timeout_ms)
    options = Options(size=size, timeout_ms=timeout_ms, connect_timeout_ms=connect_timeout_ms, protocol=protocol)
    if url.partition("://")[0] in sentinel.SCHEMES:
        return SentinelConnections(Sentinels.at(url), **options)
    return Connections(url, **options)


def open_ways(url: str, confirmation: Confirmation | None, *, timeout_ms: float = 1000) -> Ways:
    """Return the ways to a store; what writes has connections of its own where it is to be confirmed by replicas."""
    quick = open_store(url, timeout_ms=timeout_ms)
    if confirmation is None:
        return Ways(quick, quick)
    return Ways(quick, open_store(url, timeout_ms=timeout_ms, protocol=confirmation.connection))


def named(url: str) -> str:
    """Return a store's URL without its secrets; raise ValueError where it is none."""
    if url.partition("://")[0] in sentinel.SCHEMES:
        return str(Sentinels.at(url))
    if url.partition("://")[0] in cluster_address.SCHEMES:
        return str(ClusterAddress.parse(url))
    return str(Address.parse(url))
