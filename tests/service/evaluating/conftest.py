"""What the tests of this folder share: the pilot of a small demo world, made once."""

from __future__ import annotations

import pytest

from service.core.loader import load_strategy
from service.core.strategy import Strategy
from tests.service.evaluating.world import Pilot, make_pilot
from training.worlds.tastes import STRATEGY


@pytest.fixture(scope="module")
def pilot(tmp_path_factory: pytest.TempPathFactory) -> Pilot:
    """Make the pilot in every form."""
    return make_pilot(tmp_path_factory.mktemp("pilot"))


@pytest.fixture(scope="module")
def demo() -> Strategy:
    """Load the demo strategy."""
    return load_strategy(STRATEGY)
