"""What exploration and learning between trainings cost a decision: the pure steps from the scores to the commit.

    python -m benchmarks.exploring

The demo strategy on its first channel, all placements, with its priors; CPU time of one process, best of seven runs.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from msgspec import structs

from models.context import Scalar, ValueType
from service.core.adapting import Counted, Learned
from service.core.decision import Known, Request
from service.core.engine import Engine
from service.core.exploration import Adaptive, Control, Exploration, Explores
from service.core.loader import load_strategy
from service.core.strategy import Strategy

NOW_MS = 1_796_083_200_000
RUNS, DECISIONS = 7, 400
ADAPTIVE = Adaptive(3, 3_600_000, 864_000_000, 100.0)
EVEN = Exploration(Explores.EPSILON_GREEDY, 0.05, 0.0, True)
SOFTMAX = Exploration(Explores.SOFTMAX, 0.0, 1.0, True)
THOMPSON = Exploration(Explores.THOMPSON, 0.02, 0.0, True)
_ZERO: dict[ValueType, Scalar] = {ValueType.INT: 0, ValueType.BOOL: False, ValueType.DOUBLE: 0.0}


def decision_us(strategy: Strategy) -> float:
    """Return the microseconds of CPU that scoring, planning and packing one decision takes."""
    engine, channel = Engine(strategy, None), strategy.channels[0]
    known = Known(NOW_MS, strategy.levels[-1].id, (), {}, {})
    request = Request("customer", channel.id, channel.placements, {})
    values = (_ZERO.get(field.type, next(iter(field.bounds.values or ()), None)) for field in strategy.schema.fields)
    snapshot = structs.replace(engine.see(known, request), values=tuple(values))
    judged = engine.judge(snapshot, known, request)
    counts = {(action.id, ""): Counted(100, 10, 12) for action in strategy.actions}
    learned = Learned(engine.adapting, counts) if engine.adapting else None
    runs = []
    for _ in range(RUNS):
        start = time.process_time()
        for _ in range(DECISIONS):
            scores = engine.score(snapshot, judged, request, learned)
            entry = engine.arbitrate("d" * 26, request, snapshot, judged, scores, [0.3] * len(channel.placements))
            engine.commit(entry, request)
        runs.append((time.process_time() - start) / DECISIONS * 1e6)
    return min(runs)


def ways(plain: Strategy) -> dict[str, Strategy]:
    """Return the same strategy with more and more to draw by."""
    none = replace(plain, explore=0.0)
    return {
        "as it is": plain,
        "epsilon_greedy": replace(none, exploration=EVEN),
        "softmax and control groups": replace(none, exploration=SOFTMAX, control=Control(0.02, 0.05, "salt")),
        "adaptive": replace(plain, adaptive=ADAPTIVE),
        "thompson and adaptive": replace(none, exploration=THOMPSON, adaptive=ADAPTIVE),
    }


if __name__ == "__main__":
    for way, strategy in ways(load_strategy(Path("strategies/demo"))).items():
        print(f"{way:28} {decision_us(strategy):6.1f} µs")
