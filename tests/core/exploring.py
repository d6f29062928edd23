"""Strategies that explore, adapt and have control groups, at random, and sweeps of their dice."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st
from msgspec import structs

from models.propensity import Folded
from service.core.adapting import Counted, Learned
from service.core.arbitrate import Scores
from service.core.decision import Request
from service.core.engine import Engine
from service.core.exploration import Adaptive, Control, Exploration, Explores
from service.core.plan import Entry, PlacementPlan
from service.core.policy import Judged
from service.core.snapshot import Snapshot
from service.core.strategy import Strategy
from tests.core.worlds import Case, cases, models, strategies

DAY_MS = 86_400_000
ADAPTIVE = Adaptive(3, DAY_MS, 30 * DAY_MS, 50.0, "past.tier")
PEOPLE = tuple(f"somebody-{number}" for number in range(12))
_COUNTS = st.builds(Counted, st.floats(0, 500), st.floats(0, 200), st.floats(0, 200))


@st.composite
def exploring(draw: st.DrawFn) -> Strategy:
    """Draw a strategy that explores in one of all ways, with control groups and learning or without."""
    policy = draw(st.sampled_from(Explores))
    even = policy is Explores.EPSILON_GREEDY
    rate = draw(st.sampled_from([0.1, 0.5] if even else [0.0, 0.2])) if policy is not Explores.NONE else 0.0
    adapts = policy is Explores.THOMPSON or draw(st.booleans())
    return replace(
        draw(strategies()),
        explore=0.0,
        exploration=Exploration(policy, rate, draw(st.sampled_from([0.1, 5.0])), draw(st.booleans())),
        control=draw(st.sampled_from([None, Control(0.2, 0.3, "salt"), Control(0.4, 0.0, "salt")])),
        adaptive=ADAPTIVE if adapts else None,
    )


@st.composite
def learned(draw: st.DrawFn, engine: Engine) -> Learned | None:
    """Draw what outcomes may have said of an engine's actions."""
    if engine.adapting is None or draw(st.booleans()):
        return None
    places = [(action.id, tier) for action in engine.strategy.actions for tier in ("", "gold", "basic")]
    return Learned(engine.adapting, draw(st.dictionaries(st.sampled_from(places), _COUNTS, max_size=8)))


class Asked:
    """One case before an engine, as far as the draw."""

    def __init__(self, strategy: Strategy, model: Folded | None, case: Case, customer: str) -> None:
        self.model = model
        self.engine = Engine(strategy, model)
        self.request: Request = structs.replace(case.request, customer=customer)
        self.known = case.known
        self.snapshot: Snapshot = self.engine.see(case.known, self.request)
        self.judged: Judged = self.engine.judge(self.snapshot, case.known, self.request)
        self.scores: Scores = self.engine.score(self.snapshot, self.judged, self.request)

    def knowing(self, known: Learned | None) -> Asked:
        """Let the scores be those of what was learned."""
        self.scores = self.engine.score(self.snapshot, self.judged, self.request, known)
        return self

    def entry(self, *draws: float) -> Entry:
        """Return the plan that these dice give."""
        return self.engine.arbitrate("d", self.request, self.snapshot, self.judged, self.scores, draws)

    def first(self, draw: float) -> PlacementPlan:
        """Return the plan of the first placement."""
        return self.entry(draw, *[0.999] * (len(self.request.placements) - 1)).placements[0]


@st.composite
def asked(draw: st.DrawFn) -> Asked:
    """Draw everything that one decision depends on, but for the dice."""
    strategy = draw(exploring())
    model, case = draw(models(strategy)), draw(cases())
    found = Asked(strategy, model, case, draw(st.sampled_from(PEOPLE)))
    return found.knowing(draw(learned(found.engine)))


def name_of(placed: PlacementPlan) -> str:
    """Return what a placement says first; `nothing` for nothing."""
    return placed.candidates[0].action if placed.candidates else "nothing"
