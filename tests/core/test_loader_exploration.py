"""What a strategy says of exploration, control groups and learning is read as it is written; the guide loads."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.core.exploration import Adaptive, Control, Exploration, Explores
from service.core.loader import load_strategy
from service.core.strategy import Strategy
from tests.project.tree import ROOT
from tests.strategies import edited, write_strategy

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
PLAIN = edited("strategy", "  explore: 0.05\n", "")


def loaded(folder: Path, **sections: str) -> Strategy:
    """Load the small strategy, without `explore`, with these sections."""
    return load_strategy(write_strategy(folder, **{"strategy": PLAIN, **sections}))


def test_a_strategy_that_says_nothing_of_it_has_nothing_of_it(tmp_path: Path) -> None:
    """`explore` alone declares no policy, no group and no learning, so that nothing is paid for them."""
    strategy = load_strategy(write_strategy(tmp_path))
    assert (strategy.exploration, strategy.control, strategy.adaptive) == (None, None, None)
    assert strategy.explore == 0.05


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("{policy: none}", Exploration(Explores.NONE)),
        ("{policy: epsilon_greedy, rate: 0.1}", Exploration(Explores.EPSILON_GREEDY, 0.1, 0.0, True)),
        ("{policy: softmax, temperature: 2}", Exploration(Explores.SOFTMAX, 0.0, 2.0, True)),
        ("{policy: softmax, temperature: 2, rate: 0.1, nothing: false}", Exploration(Explores.SOFTMAX, 0.1, 2.0)),
    ],
)
def test_how_it_explores(tmp_path: Path, written: str, read: Exploration) -> None:
    """Nothing is drawn as well, unless that is left out or nothing is explored."""
    assert loaded(tmp_path, exploration=f"exploration: {written}").exploration == read


def test_control_groups_are_salted_with_the_strategys_name(tmp_path: Path) -> None:
    """Another strategy draws other groups, and one that says a salt keeps them under another name."""
    assert loaded(tmp_path / "a", control="control: {holdout: 0.1}").control == Control(0.0, 0.1, "small")
    assert loaded(tmp_path / "b", control="control: {random: 0.1, salt: x}").control == Control(0.1, 0.0, "x")


def test_learning_has_defaults(tmp_path: Path) -> None:
    """An empty declaration learns from what is accepted within a day, halved each month, without segments."""
    read = loaded(tmp_path / "a", adaptive="adaptive: {on: accepted}").adaptive
    assert read == Adaptive(3, DAY_MS, 30 * DAY_MS, 100.0)
    read = loaded(tmp_path / "b", adaptive="adaptive: {on: clicked, segment: present.waiting}").adaptive
    assert read == Adaptive(2, DAY_MS, 30 * DAY_MS, 100.0, "present.waiting")


def test_the_example_of_the_guide_loads(tmp_path: Path) -> None:
    """What docs/strategies.md shows of exploration can be copied and loads as it is."""
    guide = (ROOT / "docs" / "strategies.md").read_text(encoding="utf-8")
    example = guide.partition("## Exploration")[2].partition("```yaml\n")[2].partition("```")[0]
    strategy = loaded(tmp_path, learning=example)
    assert strategy.exploration == Exploration(Explores.THOMPSON, 0.02, 0.0, True)
    assert strategy.control == Control(0.02, 0.05, "small")
    assert strategy.adaptive == Adaptive(3, 6 * HOUR_MS, 14 * DAY_MS, 100.0, "past.tier")
