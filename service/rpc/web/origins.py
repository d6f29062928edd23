"""Whose pages may call: the service's own, and those of the origins that the settings name. Closed by default.

A page of another origin is refused before anything else, not only kept from reading: where nobody has to say who they
are, a call that is answered unread has done its harm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Headers: TypeAlias = "tuple[tuple[bytes, bytes], ...]"

_MAY_SEND = (
    b"authorization, connect-protocol-version, connect-timeout-ms, content-encoding, content-type, grpc-timeout, "
    b"traceparent, tracestate, x-grpc-web, x-user-agent"
)
_MAY_READ = (
    b"grpc-message, grpc-retry-pushback-ms, grpc-status, grpc-status-details-bin, trailer-grpc-retry-pushback-ms, "
    b"trailer-traceresponse"
)
_KEPT_S = b"600"


@dataclass(frozen=True, slots=True)
class Origins:
    """The origins that may call, as browsers write them."""

    named: frozenset[bytes]
    own: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, named: tuple[str, ...], hosts: tuple[str, ...], port: int, *, encrypted: bool) -> Origins:
        """Return the origins that are named, and the service's own at a port of some hosts."""
        scheme = "https" if encrypted else "http"
        own = (f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}".lower() for host in hosts)
        usual = f":{443 if encrypted else 80}"
        return cls(frozenset(map(str.encode, named)), frozenset(one.removesuffix(usual).encode() for one in own))

    def allow(self, origin: bytes | None) -> bool:
        """Tell whether a page of an origin may call. Who names none is no page of another origin: browsers tell it."""
        return origin is None or origin in self.named or origin in self.own

    def headers(self, origin: bytes | None) -> Headers:
        """Return what lets a page of a named origin read an answer; nothing for all others."""
        if not self.named:
            return ()
        if origin not in self.named:
            return ((b"vary", b"origin"),)
        return (
            (b"access-control-allow-origin", origin or b""),
            (b"access-control-expose-headers", _MAY_READ),
            (b"vary", b"origin"),
        )

    def preflight(self, headers: Mapping[bytes, bytes]) -> Headers | None:
        """Return the answer to a browser that asks whether a page may call; None where it may not."""
        origin = headers.get(b"origin")
        if origin not in self.named or headers.get(b"access-control-request-method") != b"POST":
            return None
        asked = (
            (b"access-control-allow-methods", b"POST"),
            (b"access-control-allow-headers", _MAY_SEND),
            (b"access-control-max-age", _KEPT_S),
        )
        return (*self.headers(origin), *asked)
