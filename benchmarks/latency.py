"""Latency at fixed rates: calls are due on a schedule, whether or not the ones before have been answered.

A caller that waits for each answer slows down with the server and hides its pauses (coordinated omission). Here a call
counts from the moment it was due.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.section import Bench, Figure, NotMeasured, SectionResult
from benchmarks.windows import ROOM, TAIL, Decisions, Floor, Window, figures, ratios, told

SHARES = (0.25, 0.5, 0.75)
QUICK_SHARES = (0.5,)
LONGER = 2  # than other windows: of p99.9 there is only one in a thousand


class Latency:
    """Floor and decide, each at shares of what it can take, and decide and floor at the same rate."""

    name = "latency"
    says = "Latency at fixed rates, from the moment a call was due"

    def run(self, bench: Bench) -> SectionResult:
        """Find what both can take, and measure at shares of it."""
        if bench.client != "load":
            raise NotMeasured("it needs the load generator in C++, which keeps a schedule (Debian: libgrpc++-dev)")
        with bench.stage() as stage:
            decisions = Decisions(bench, stage, stage.service)
            most = {"decide": decisions.window(64), "floor": Floor(decisions).window(64)}
            rates = {name: window.measured.throughput for name, window in most.items()}
            shares = QUICK_SHARES if bench.quick else SHARES
            windows = bench.interleaved(_lanes(bench, decisions, rates, shares))
            decisions.evidence()
        found: list[Figure] = []
        for share in shares:
            found += _figures(share, rates, windows)
        return SectionResult(tuple(found), notes=_notes(rates), details={"curves": _curves(windows), "most": rates})


def _lanes(
    bench: Bench, decisions: Decisions, rates: dict[str, float], shares: tuple[float, ...]
) -> dict[str, Callable[[], Window]]:
    """Return what is measured: each at its own rate, and the floor also at that of the decisions."""
    floor = Floor(decisions)
    lanes: dict[str, Callable[[], Window]] = {}
    for share in shares:
        at = {name: max(1.0, share * rate) for name, rate in rates.items()}
        subjects = {
            _lane("floor", share): partial(_at_rate, floor, at["floor"], bench),
            _lane("decide", share): partial(_at_rate, decisions, at["decide"], bench),
            _lane("floor as often", share): partial(_at_rate, floor, at["decide"], bench),
        }
        lanes |= {name: told(bench, name, measure) for name, measure in subjects.items()}
    return lanes


def _lane(subject: str, share: float) -> str:
    return f"{subject}, {share:.0%}"


def _at_rate(subject: Decisions | Floor, rate: float, bench: Bench) -> Window:
    return subject.window(ROOM, rate=rate, seconds=bench.seconds * LONGER)


def _figures(share: float, rates: dict[str, float], windows: dict[str, tuple[Window, ...]]) -> tuple[Figure, ...]:
    """Return the tail of both at a share of what each can take, and their ratio at the same rate."""
    own, same = {"of what it can take": f"{share:.0%}"}, {"calls a second": round(share * rates["decide"])}
    floor = figures("floor", own, windows[_lane("floor", share)], ("requests", *TAIL))
    decide = figures("decide", own, windows[_lane("decide", share)], ("requests", *TAIL))
    as_often = figures("floor", same, windows[_lane("floor as often", share)], TAIL)
    at_same = figures("decide", same, windows[_lane("decide", share)], TAIL)
    return (*floor, *decide, *as_often, *at_same, *ratios(at_same, as_often, TAIL))


def _curves(windows: dict[str, tuple[Window, ...]]) -> dict[str, list[list[float]]]:
    """Return the distribution of the middle round, by p99, of each."""
    found = {}
    for name, rounds in windows.items():
        middle = sorted(rounds, key=lambda window: window.measured.latency_us["p99"])[len(rounds) // 2]
        found[name] = [list(point) for point in middle.measured.curve]
    return found


def _notes(rates: dict[str, float]) -> tuple[str, ...]:
    return tuple(f"{name} takes {rate:,.0f} calls a second with 64 in flight." for name, rate in rates.items())


SECTION = Latency()
