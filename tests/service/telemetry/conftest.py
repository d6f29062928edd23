"""The store of the services whose telemetry is tested: one is enough, for what it is does not matter here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from service.store.embedded import EmbeddedStore


@pytest.fixture(scope="session")
def any_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of a store that the tests of telemetry share."""
    with EmbeddedStore(tmp_path_factory.mktemp("telemetry")) as url:
        yield url


@pytest.fixture
def store(any_store: str) -> str:
    """Return the URL of that store, empty but for its functions."""
    with Redis.from_url(any_store) as client:
        client.flushdb()
    return any_store
