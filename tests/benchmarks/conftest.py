"""The load generator, built once, and a floor to drive it against."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from benchmarks import loadgen
from benchmarks.processes import Pinned
from benchmarks.stage import SERVER_CORE, port_said
from service.store.embedded import EmbeddedStore
from service.store.keys import context_key
from tests.conftest import absent

CUSTOMER = "anna"
REQUEST = b"\x0a\x04anna" + b"\x12\x03web"
REPLY_BYTES = 333


@pytest.fixture(scope="session")
def load_program() -> Path:
    """Return the load generator."""
    if lacking := loadgen.missing():
        absent(f"The load generator cannot be built: {lacking}.")
    return loadgen.build()


@pytest.fixture(scope="session")
def floor_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pinned]:
    """Return a floor whose store knows one customer."""
    folder = tmp_path_factory.mktemp("floor")
    with EmbeddedStore(folder / "store") as url:
        with Redis.from_url(url) as store:
            store.hset(context_key(CUSTOMER).decode(), mapping={"i": CUSTOMER, "s": "a little context"})
        command = [sys.executable, "-m", "benchmarks.floor", "--store", url, "--reply-bytes", str(REPLY_BYTES)]
        with Pinned(command, SERVER_CORE, folder / "floor.log", port_said) as server:
            yield server


@pytest.fixture
def requests_file(tmp_path: Path) -> Path:
    """Return a file with two requests about the customer."""
    return loadgen.write_messages(tmp_path / "requests", [REQUEST, REQUEST + b"again"])
