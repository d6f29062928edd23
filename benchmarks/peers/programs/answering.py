"""What answers in process: says that it is ready, then answers as often as it is told to and says what that cost."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from time import perf_counter_ns, process_time_ns

PASSES = 2  # over everything that is asked, before the first is measured


def answer_when_told(answer: Callable[[int], object], different: int, seen: Mapping[str, object]) -> None:
    """Answer about `different` questions in turn, as many as each line of standard input says.

    Prints a line of JSON with what was `seen` of the answers, and one for each line that is read: the CPU time of the
    whole process and the time that it took, in microseconds an answer.
    """
    for number in range(PASSES * different):
        answer(number % different)
    print(json.dumps({"ready": True, **seen}), flush=True)
    for line in sys.stdin:
        print(json.dumps(_measured(answer, different, int(line))), flush=True)


def _measured(answer: Callable[[int], object], different: int, times: int) -> dict[str, float]:
    cpu, clock = process_time_ns(), perf_counter_ns()
    for number in range(times):
        answer(number % different)
    return {
        "cpu_us": (process_time_ns() - cpu) / times / 1000,
        "took_us": (perf_counter_ns() - clock) / times / 1000,
    }
