"""One running service for all tests here that do not end it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.edge.client.world import Replica, replicas


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    """Return a running service."""
    with replicas(tmp_path_factory.mktemp("service"), ()) as (one,):
        yield one
