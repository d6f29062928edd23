"""A small world to decide about in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import world
from benchmarks.model import trained
from benchmarks.peers.ours import Ours

ACTIONS = 8
CUSTOMERS = 40


@pytest.fixture(scope="session")
def version(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the folders of a strategy and of a model for it."""
    strategy = world.write_strategy(tmp_path_factory.mktemp("peers") / "strategy", ACTIONS)
    return strategy, trained(strategy, print)


@pytest.fixture(scope="session")
def ours(version: tuple[Path, Path]) -> Ours:
    """Return our logic with a few customers."""
    return Ours(*version, CUSTOMERS)
