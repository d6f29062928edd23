"""The cluster that the tests of a process share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.edge.cluster.servers import Cluster, cluster
from tests.edge.durability.servers import program
from tests.profile import cases, full


@pytest.fixture(scope="session", params=["valkey", "redis-server"] if full() else ["redis-server"])
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Form a cluster: three masters, each with a replica in the full profile."""
    found = program(request.param)
    with cluster(tmp_path_factory.mktemp("cluster"), found, replicas=cases(0, 1)) as formed:
        yield formed
