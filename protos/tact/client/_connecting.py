"""Where to connect, how safely, and as whom: what both clients have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc

from tact.client._policy import Keepalive, Options, Place, Retry, channel_options

SERVING = b"\x08\x01"
"""What the health service answers who serves: its `status` is 1. Its contract is not ours, so it is read by hand."""
AT_ONCE = 64
"""Calls that are under way on one connection; the next ones wait here, where the service would refuse them."""
HEALTH = "/grpc.health.v1.Health/Check"


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM form: `ca` of who signed the service's certificate (the machine's own without it), and for mutual
    TLS our `certificate` with its `key`. `name` is the name in the service's certificate, where the target is another.

    The files are read when a client is opened.
    """

    ca: Path | str | None = None
    certificate: Path | str | None = None
    key: Path | str | None = field(default=None, repr=False)
    name: str = ""

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("mutual TLS needs both: `certificate` and its `key`")

    def credentials(self) -> grpc.ChannelCredentials:
        """Return them as gRPC takes them; raise OSError for a file that cannot be read."""
        ca, key, certificate = (
            None if path is None else Path(path).read_bytes() for path in (self.ca, self.key, self.certificate)
        )
        return grpc.ssl_channel_credentials(ca, key, certificate)


@dataclass(frozen=True, slots=True)
class Connecting:
    """How to reach the service, as it was asked for."""

    place: Place
    tls: Tls | None
    options: Options
    connections: int

    @classmethod
    def of(
        cls,
        target: str | Sequence[str],
        *,
        tls: Tls | None,
        bears: bool,
        plaintext: bool,
        retry: Retry,
        keepalive: Keepalive,
        connections: int,
        options: Sequence[tuple[str, Any]],
    ) -> Connecting:
        """Check what was asked for; raise ValueError with what would be right."""
        place = Place.of(target)
        if bears and tls is None and not (place.loopback or plaintext):
            raise ValueError(
                f"a token would go to {place.address} for all to read: give `tls`, or say `plaintext=True` where "
                "something else encrypts on the way"
            )
        if connections < 1:
            raise ValueError(f"there is at least one connection, not {connections}")
        if tls is not None and place.several and place.address.startswith("ipv") and not tls.name:
            raise ValueError("several addresses have no name to verify: give the certificate's as `Tls(name=…)`")
        # gRPC has a budget a connection; below 6 it would repeat nothing after the first failure or two.
        shared = replace(retry, budget=max(min(6, retry.budget), retry.budget // connections))
        chosen = dict(channel_options(shared, keepalive, several=place.several, apart=connections > 1))
        if tls is not None and tls.name:
            chosen["grpc.ssl_target_name_override"] = tls.name
        return cls(place, tls, tuple((chosen | dict(options)).items()), connections)
