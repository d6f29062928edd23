"""Claims about candidates: those that the kernel makes in one call are those that the arbiter ranks step by step."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import kernel
from models.propensity import Folded
from service.core.engine import Engine
from service.core.plan import Entry
from service.core.strategy import Strategy
from tests.core.worlds import Case, cases, models, strategies

PLANS = int(os.environ.get("TACT_RANKINGS", "40"))


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Strategy, Folded | None, Case, tuple[float, ...]]:
    """Draw a strategy, perhaps a model for it, a customer, and the dice."""
    strategy = draw(strategies())
    case = draw(cases())
    draws = tuple(draw(st.floats(0, 1, exclude_max=True)) for _ in case.request.placements)
    return strategy, draw(models(strategy)), case, draws


def planned(engine: Engine, case: Case, draws: tuple[float, ...], swift: list[bool]) -> Entry:
    """Return the plan of one decision, and note for each placement whether the kernel makes its candidates."""
    snapshot = engine.see(case.known, case.request)
    judged = engine.judge(snapshot, case.known, case.request)
    scores = engine.score(snapshot, judged, case.request)
    for place, survivors in enumerate(judged.survivors):
        usual = engine._arbiter.candidates(survivors, judged.preferred(place), scores, draws[place], 3)
        swift.append(usual is not None)
    return engine.arbitrate("d" * 26, case.request, snapshot, judged, scores, draws)


@pytest.mark.skipif(not kernel.COMPILED, reason="nothing is compiled here, so there is only one way")
def test_the_kernel_ranks_as_the_arbiter_does() -> None:
    """Whatever is worth saying, liked, drawn or equal: a plan is the same with the kernel's candidates and without.

    Plans of both kinds are among those compared.
    """
    swift: list[bool] = []

    @settings(max_examples=PLANS, deadline=None)
    @given(worlds())
    def compare(world: tuple[Strategy, Folded | None, Case, tuple[float, ...]]) -> None:
        strategy, model, case, draws = world
        compiled, plain = Engine(strategy, model), Engine(strategy, model)
        plain._arbiter._ranker = None
        assert planned(compiled, case, draws, swift) == planned(plain, case, draws, [])

    compare()
    assert 0.05 < sum(swift) / len(swift) < 0.95
