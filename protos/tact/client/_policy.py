"""How calls are repeated, connections kept and addresses written: the options of a channel, as values."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Options: TypeAlias = tuple[tuple[str, str | int], ...]
EVERY_METHOD: tuple[Mapping[str, str], ...] = ({},)
ONCE: tuple[Mapping[str, str], ...] = ({"service": "tact.v1.ContextService", "method": "SetConsent"},)
"""What is not repeated by gRPC: a consent without a moment, repeated, undoes a withdrawal that came between."""
REPEATED = ("UNAVAILABLE", "CANCELLED")
"""What ends a call that may be repeated: the service was not there, or ended the call because it ends itself."""
LARGEST_REPEATED = 4_194_304
"""Bytes of a call that are kept to be sent again: as many as the service takes in one message."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a call is attempted altogether, how long to pause before the next attempt, and the budget of retries.

    Pauses double, and vary by a fifth. Each failed attempt costs one of `budget` tokens and each answer brings back
    `regained`; below half of the budget nothing is repeated, but for one call in twenty of the last seconds, once more.
    A service that says how long to wait is heeded. One attempt means that nothing is repeated; 5 are the most.
    """

    attempts: int = 4
    first_pause_s: float = 0.05
    longest_pause_s: float = 1.0
    budget: int = 10
    regained: float = 0.1

    def __post_init__(self) -> None:
        if not 1 <= self.attempts <= 5:
            raise ValueError(f"attempts are 1 to 5, not {self.attempts}: gRPC makes no more than 5 of one call")
        if not 0 < self.first_pause_s <= self.longest_pause_s:
            raise ValueError("a pause is longer than nothing, and the first at most the longest")
        if not (1 <= self.budget <= 1000 and 0 < self.regained <= 1):
            raise ValueError("a budget has 1 to 1,000 tokens, and an answer brings back at most one")


@dataclass(frozen=True, slots=True)
class Keepalive:
    """How soon a connection with calls is asked whether it is alive, and how long it may take to say so.

    The service drops who asks more often than every 30 s.
    """

    every_s: float = 60.0
    within_s: float = 10.0


def service_config(
    retry: Retry,
    names: Iterable[Mapping[str, str]] = EVERY_METHOD,
    *,
    waits: bool = True,
    several: bool = False,
) -> str:
    """Return the policy of calls as gRPC reads it, for the methods that `names` has.

    SetConsent is never repeated by it. `waits` lets calls wait for a connection until their deadline. With `several`
    addresses calls go round among them.
    """
    waiting = {"waitForReady": True} if waits else {}
    calls: dict[str, Any] = {"name": list(names), **waiting}
    if retry.attempts > 1:
        calls["retryPolicy"] = {
            "maxAttempts": retry.attempts,
            "initialBackoff": f"{retry.first_pause_s:g}s",
            "maxBackoff": f"{retry.longest_pause_s:g}s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": list(REPEATED),
        }
    config: dict[str, Any] = {
        "methodConfig": [calls, {"name": list(ONCE), **waiting}],
        "retryThrottling": {"maxTokens": retry.budget, "tokenRatio": retry.regained},
    }
    if several:
        config["loadBalancingConfig"] = [{"round_robin": {}}]
    return json.dumps(config)


def channel_options(retry: Retry, keepalive: Keepalive, *, several: bool, apart: bool) -> Options:
    """Return the options of a channel; `apart` gives it connections of its own."""
    options: Options = (
        ("grpc.service_config", service_config(retry, several=several)),
        ("grpc.service_config_disable_resolution", 1),  # what a name server says of it does not count
        ("grpc.per_rpc_retry_buffer_size", LARGEST_REPEATED),
        ("grpc.keepalive_time_ms", round(1000 * keepalive.every_s)),
        ("grpc.keepalive_timeout_ms", round(1000 * keepalive.within_s)),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 2_000),  # so long may a connection take to come about
        ("grpc.max_reconnect_backoff_ms", 1_000),
        ("grpc.enable_http_proxy", 0),
    )
    return (*options, ("grpc.use_local_subchannel_pool", 1)) if apart else options


@dataclass(frozen=True, slots=True)
class Place:
    """Where the service is, as gRPC writes it; whether that may be several processes, and whether all are near."""

    address: str
    several: bool
    loopback: bool

    @classmethod
    def of(cls, target: str | Sequence[str]) -> Place:
        """Read `host:port`, a gRPC target, or several `address:port`; raise ValueError for what is neither."""
        if isinstance(target, str):
            host = _host(target)
            literal = _literal(host)
            return cls(target, literal is None and _is_name(target, host), _near(target, host))
        hosts = [_literal(_host(one)) for one in target]
        families = {one.version for one in hosts if one is not None}
        if not hosts or None in hosts or len(families) > 1:
            raise ValueError(
                "several addresses are all IPv4 or all IPv6, each with its port, such as "
                "('10.0.0.1:50051', '10.0.0.2:50051'); of names give one that stands for all of them"
            )
        near = all(one is not None and one.is_loopback for one in hosts)
        return cls(f"ipv{families.pop()}:{','.join(target)}", len(hosts) > 1, near)


def _host(target: str) -> str:
    bare = target.removeprefix("dns:///").removeprefix("dns:").removeprefix("ipv4:").removeprefix("ipv6:")
    return bare.rpartition(":")[0].strip("[]")


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_name(target: str, host: str) -> bool:
    return host.lower() != "localhost" and not target.startswith("unix")


def _near(target: str, host: str) -> bool:
    literal = _literal(host)
    near = literal.is_loopback if literal is not None else host.lower() == "localhost"
    return near or target.startswith(("unix:", "unix-abstract:"))
