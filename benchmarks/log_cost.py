"""What the awaited decision log costs: the service as it is, against one that keeps none."""

from __future__ import annotations

import sys
from contextlib import ExitStack

from benchmarks.evidence import NotDecided, logged
from benchmarks.section import Bench, Bound, SectionResult
from benchmarks.windows import Decisions, figures, ratios, told

WITH, WITHOUT = "awaited log", "no log"
IN_FLIGHT = 8
SHOWN = ("requests", "p50", "p99", "server CPU", "store CPU")
LEAST = 0.93


class Log:
    """Two services on one store, of which one writes no log."""

    name = "log"
    says = "The awaited decision log against none"

    def run(self, bench: Bench) -> SectionResult:
        """Measure both in turn, and see that only one of them wrote."""
        with bench.stage() as stage, ExitStack() as opened:
            program = (sys.executable, "-m", "benchmarks.without_log")
            silent = Decisions(bench, stage, opened.enter_context(stage.serve(program=program)), is_logged=False)
            telling = Decisions(bench, stage, opened.enter_context(stage.another(quick=bench.quick)))
            for subject in (silent, telling):
                subject.window(IN_FLIGHT, seconds=0.4)
                subject.evidence()  # what decides nothing is not measured for minutes first
            lanes = {WITH: told(bench, WITH, telling.window), WITHOUT: told(bench, WITHOUT, silent.window)}
            windows = bench.interleaved(lanes)
            telling.evidence()
            silent.evidence()
            if silent.grown:
                raise NotDecided(
                    f"the service without a log wrote {silent.grown} entries; {logged(stage.store)} in all"
                )
        with_it, without = (figures(name, {"in_flight": IN_FLIGHT}, windows[name], SHOWN) for name in (WITH, WITHOUT))
        over = ratios(with_it, without)
        bound = Bound("awaited log over none: requests a second", over[0].median, at_least=LEAST)
        return SectionResult((*without, *with_it, *over), (bound,))


SECTION = Log()
