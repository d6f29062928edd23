"""What docs/policy.md shows can be copied: it loads, decides, and means what the guide says of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from service.core.advice import advice
from service.core.decision import ReasonCode
from service.core.loader import REQUIRED, load_strategy
from service.core.strategy import Strategy
from tests.core.deciding import MOMENT_MS, decisions
from tests.core.policies import POLICY
from tests.strategies import write_strategy

GUIDE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
NEW_PHONE = re.compile(r"  - id: new-phone\n.*?(?=  - id: )", re.DOTALL)
ABOUT = ("strategy", "consent", "channels", "events", "fields", "eligibility")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Strategy:
    """Return a strategy of all that the guide shows, beside the events, fields and actions that it speaks of."""
    base = {name: POLICY[name] for name in ABOUT} | {"actions": NEW_PHONE.sub("", POLICY["actions"])}
    blocks = {f"guide{place}": block for place, block in enumerate(BLOCKS)}
    left_out = dict.fromkeys(POLICY)
    return load_strategy(write_strategy(tmp_path_factory.mktemp("guide"), **{**left_out, **base, **blocks}))


def test_what_the_guide_shows_loads_and_decides(shown: Strategy) -> None:
    """All examples together make one strategy, which needs no advice and decides."""
    assert advice(shown, MOMENT_MS) == ()
    assert len(set(decisions(shown))) > 10


def test_the_guide_shows_every_section_of_policy(shown: Strategy) -> None:
    """Each section of the guide's table but eligibility, which docs/strategies.md shows, has an example."""
    sections = {section for block in BLOCKS for section in yaml.safe_load(block)}
    told = set(re.findall(r"^\| `([a-z_]+)` \|", GUIDE.partition("## What is counted")[0], re.MULTILINE))
    assert told - {"eligibility", "applicability"} <= sections
    assert sections - told == {"attributes", "actions", "time_zone", "household"}
    assert not told & set(REQUIRED)
    assert len(shown.caps) == 3


def test_the_guide_names_reasons_that_there_are() -> None:
    """Every reason in the guide's table is one of the public contract."""
    named = set(re.findall(r"\b[A-Z]{3,}(?:_[A-Z]+)*\b", "".join(re.findall(r"^\|.*\|$", GUIDE, re.MULTILINE))))
    assert named <= set(ReasonCode.__members__)
    assert len(named) > 10
