"""What a challenger costs is measured on decisions that are made, with one and without."""

from __future__ import annotations

from pathlib import Path

from benchmarks import shadow, world
from service.core.loader import load_strategy


def test_the_cost_of_a_challenger_is_measured_on_whole_decisions(tmp_path: Path) -> None:
    """Both entries hold candidates, and the one with a challenger also holds what that one said."""
    strategy = load_strategy(world.write_strategy(tmp_path, 12))
    cost = shadow.measured(strategy, rounds=1, turns=1)
    assert cost.alone_us > 0.0
    assert cost.ratio > 1.0
    assert cost.beside_bytes > cost.alone_bytes + 30
