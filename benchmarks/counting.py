"""What one decision touches in process, counted: `python -m benchmarks.counting [ACTIONS]`.

Time swings with the machine; these counts do not. Each is a mean over the answers to 256 customers (`peers.ours`):

- *functions*: calls of functions written in Python, generators that go on included;
- *calls*: whatever Python code calls, types, methods and C functions included, from Python 3.12 on; what C calls is not
  seen;
- *numpy*: those of them that are numpy's or about an array, from Python 3.12 on;
- *lookups*: subscripts that are read, `mapping[key]` and `list[at]`;
- *made*: tuples, lists, dictionaries, sets, texts and slices that the code builds in place.
"""

from __future__ import annotations

import argparse
import asyncio
import dis
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from benchmarks import world
from benchmarks.model import trained
from benchmarks.peers.ours import Ours, answering

KINDS = ("functions", "calls", "numpy", "lookups", "made")
LOOKS_UP = ("BINARY_SUBSCR", "BINARY_SLICE")
LEAST_ACTIONS = 8
WARM = 3  # times that every answer is given before: what is cached is cached


def counted(answer: Callable[[int], object], number: int) -> dict[str, float]:
    """Return the mean counts of so many answers, by kind; without `calls` and `numpy` on Python 3.11."""
    for at in range(WARM * number):
        answer(at % number)
    found = _executed(answer, number)
    if sys.version_info >= (3, 12):
        found |= _called(answer, number)
    return {kind: found[kind] / number for kind in KINDS if kind in found}


def _called(answer: Callable[[int], object], number: int) -> Counter[str]:
    found = Counter(calls=0, numpy=0)
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined]  # not there in 3.11

    def call(code: CodeType, offset: int, called: object, first: object) -> None:
        if code is not _called.__code__:
            found["calls"] += 1
            found["numpy"] += _is_numpy(called) or _is_numpy(first)

    tool, events = monitoring.PROFILER_ID, monitoring.events
    monitoring.use_tool_id(tool, "tact.benchmarks.counting")
    try:
        monitoring.register_callback(tool, events.CALL, call)
        monitoring.set_events(tool, events.CALL)
        for at in range(number):
            answer(at)
    finally:
        monitoring.set_events(tool, 0)
        monitoring.free_tool_id(tool)
    return found


def _is_numpy(called: object) -> bool:
    kind = called if isinstance(called, type) else type(called)
    return "numpy" in (str(getattr(called, "__module__", "")).partition(".")[0], kind.__module__.partition(".")[0])


def _executed(answer: Callable[[int], object], number: int) -> Counter[str]:
    found = Counter(functions=0, lookups=0, made=0)

    def trace(frame: FrameType, event: str, _: object) -> Any:  # noqa: ANN401 - the type of trace functions
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        found["functions"] += event == "call"
        if event == "opcode":
            name = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            found["lookups"] += name in LOOKS_UP
            found["made"] += name.startswith("BUILD_")
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for at in range(number):
            answer(at)  # code that was never traced does not tell all of its first time
        for kind in ("functions", "lookups", "made"):
            found[kind] = 0
        for at in range(number):
            answer(at)
    finally:
        sys.settrace(before)
    return found


def main() -> None:
    """Print the counts of the bare logic and of the decider around it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("actions", nargs="?", type=int, default=100, help="actions of the strategy, 8 or more")
    actions = parser.parse_args().actions
    if actions < LEAST_ACTIONS:
        parser.error(f"{actions} actions are too few: {LEAST_ACTIONS} or more")
    with tempfile.TemporaryDirectory() as folder:
        strategy = world.write_strategy(Path(folder) / "strategy", actions)
        ours = Ours(strategy, trained(strategy, print))
        for how in ("logic", "decide"):
            counts = counted(asyncio.run(answering(ours, how)), len(ours.requests))
            print(how, ", ".join(f"{kind} {count:.1f}" for kind, count in counts.items()))


if __name__ == "__main__":
    main()
