"""Where a cluster is and how to get in, read from a URL once; secrets stay out of every text."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import NamedTuple, Self
from urllib.parse import parse_qs, unquote, urlsplit

from service.store.address import Address

SCHEMES = ("redis+cluster", "rediss+cluster")
FORM = "redis+cluster://[user:password@]host:port,host:port/ or rediss+cluster://… (TLS, ?ssl_ca_certs=FILE)"


class Place(NamedTuple):
    """Where one server of a cluster listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read host:port, as a URL and a cluster write it; raise ValueError for anything else."""
        host, separator, port = text.rpartition(":")
        if not separator or not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
            raise ValueError("The port is not a number from 1 to 65535.")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))


@dataclass(frozen=True, slots=True)
class ClusterAddress:
    """Some servers of a cluster, which name the others; the text of it names neither user nor password."""

    scheme: str
    seeds: tuple[Place, ...]
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    authorities: str = ""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read the URL of a cluster; raise ValueError, without the URL in it, when it is not one."""
        parts = urlsplit(url)
        options = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        if parts.scheme not in SCHEMES:
            raise ValueError(f"The store URL begins with {parts.scheme or 'no scheme'!r}; it looks like {FORM}.")
        if unknown := sorted(options.keys() - {"password", "ssl_ca_certs"}):
            raise ValueError(f"The store URL has the unknown option {unknown[0]!r}; it looks like {FORM}.")
        if parts.path.strip("/") not in ("", "0"):
            raise ValueError(f"A cluster has no database but 0, and the store URL names one; it looks like {FORM}.")
        secret, _, servers = parts.netloc.rpartition("@")
        username, _, password = secret.partition(":")
        return cls(
            scheme=parts.scheme,
            seeds=_seeds(servers),
            username=unquote(username),
            password=unquote(password) or options.get("password", ""),
            authorities=options.get("ssl_ca_certs", ""),
        )

    def __str__(self) -> str:
        return f"{self.scheme}://{','.join(map(str, self.seeds))}/"

    def of(self, place: Place) -> Address:
        """Return the address of one server of the cluster: all let us in with the same words."""
        return Address(
            scheme="rediss" if self.scheme == "rediss+cluster" else "redis",
            host=place.host,
            port=place.port,
            username=self.username,
            password=self.password,
            authorities=self.authorities,
        )

    def tls(self) -> ssl.SSLContext | None:
        """Return what verifies the servers of a `rediss+cluster` address; None for the others."""
        return self.of(self.seeds[0]).tls()


def _seeds(servers: str) -> tuple[Place, ...]:
    try:
        seeds = tuple(Place.parse(server) for server in servers.split(","))
    except ValueError:
        raise ValueError(f"A server of the store URL has no port from 1 to 65535; it looks like {FORM}.") from None
    if not all(seed.host for seed in seeds):
        raise ValueError(f"A server of the store URL has no host; it looks like {FORM}.")
    return tuple(dict.fromkeys(seeds))
