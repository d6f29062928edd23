"""The kinds of server that are compared answer alike: an echo after a read that found the customer."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from redis import Redis

from benchmarks import floor, kinds
from benchmarks.processes import Pinned
from benchmarks.stage import port_said
from service.store.keys import context_key

CORE = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0


def asked(customer: bytes) -> bytes:
    """Return a request about a customer, as the load generator sends it."""
    return (b"\n" + bytes([len(customer)]) + customer).ljust(kinds.REQUEST_BYTES, b".")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps a process on a core")
@pytest.mark.parametrize("kind", ["aio, both levers", "16 threads, no lever"])
def test_each_kind_reads_the_customer_and_echoes(clean_store_url: str, tmp_path: Path, kind: str) -> None:
    """The answer has the size that is compared; a customer whom the store does not know is an error, so it was read."""
    with Redis.from_url(clean_store_url) as store:
        store.hset(context_key("ina"), mapping=dict.fromkeys(floor.FIELDS, b"x") | {"i": b"ina"})
    with (
        Pinned(kinds.command(kind, clean_store_url), CORE, tmp_path / "log", port_said) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        echo: Callable[..., bytes] = channel.unary_unary(floor.METHOD)
        for _ in range(3):
            assert echo(asked(b"ina"), timeout=10.0) == (asked(b"ina") * 10)[: kinds.REPLY_BYTES]
        with pytest.raises(grpc.RpcError, match="NOT_FOUND"):
            echo(asked(b"nobody"), timeout=10.0)
        assert kinds.switches(server.pid) > 0
