"""Time that ends nothing changes no answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from service.core.caps import CapTable
from service.core.decision import Known
from service.core.engine import Engine
from service.core.rules import ALWAYS
from service.core.strategy import Strategy
from tests.core.expressions import NOW_MS
from tests.core.test_metamorphic import RULES, several, told, without, worlds
from tests.core.worlds import HOUR_MS, Case


@several
@given(worlds(), st.floats(0, 1))
def test_time_that_ends_nothing_changes_nothing(world: Any, share: float) -> None:  # noqa: ANN401  drawn
    """Until a promise, a cap's use, a cool-off or a rule's validity begins or ends, the answer is that of before; no
    condition here asks for the time, and without a model nothing is learned from it.
    """
    strategy, _, case, draws = world
    strategy, case = _settled(without(strategy, "now"), case)
    ends = [end for end in _ends(strategy, case.known) if end > NOW_MS]
    last = min(ends, default=NOW_MS + HOUR_MS) - 1
    later_ms = NOW_MS + int(share * (last - NOW_MS))
    later = replace(case, known=structs.replace(case.known, now_ms=later_ms))
    engine = Engine(strategy, None)
    assert told(engine, case, draws) == told(engine, later, draws)


def _settled(strategy: Strategy, case: Case) -> tuple[Strategy, Case]:
    """Return a world in which nothing begins or ends within the next moments, so that there is time to look at."""
    always: dict[str, Any] = {kind: tuple(replace(r, valid=ALWAYS) for r in getattr(strategy, kind)) for kind in RULES}
    memory = case.known.memory
    until = NOW_MS + HOUR_MS // 2
    settled = structs.replace(
        memory,
        promised=tuple(structs.replace(one, until_ms=max(one.until_ms, until)) for one in memory.promised),
        refusals=tuple(structs.replace(one, at_ms=min(one.at_ms, NOW_MS)) for one in memory.refusals),
    )
    return replace(strategy, **always), replace(case, known=structs.replace(case.known, memory=settled))


def _ends(strategy: Strategy, known: Known) -> list[int]:
    """Return all moments at which something that is remembered begins or ends."""
    ends: list[int] = []
    day = CapTable(strategy).day((None,) * len(strategy.schema.fields), NOW_MS)
    day_ms = 25 * HOUR_MS if day is None else 0
    assert day_ms, "no time zone is known here, so a day is 25 hours"
    for times in known.counters.values():
        ends += [at + span for at in times for span in (day_ms, *(cap.within_ms for cap in strategy.caps))]
    ends += [promise.until_ms for promise in known.memory.promised]
    for refusal in known.memory.refusals:
        ends += [
            refusal.at_ms + span for rest in strategy.cool_offs for span in (0, rest.forget_ms, *rest.durations_ms)
        ]
    return ends
