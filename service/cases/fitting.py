"""Take the first candidates that fit, as the store does at commit, but for a case: nothing is kept."""

from __future__ import annotations

from collections.abc import Mapping

from service.core.decision import Bound, Commit, Committed, Counter


def first_that_fit(commit: Commit, used: Mapping[str, tuple[int, ...]]) -> Committed:
    """Return what a store does that holds these uses (ms, ascending) of each cap counter and nothing else."""
    counted = {key: list(times) for key, times in used.items()}
    chosen, bound, taken = [], [], set[str]()
    for place, candidates in enumerate(commit.candidates):
        rank = -1
        for tried, (action, counters) in enumerate(candidates):
            if action in taken:
                continue
            held = _binding(counted, counters, commit.now_ms)
            if held is None:
                rank = tried
                taken.add(action)
                for counter in counters:
                    counted.setdefault(counter.key, []).append(commit.now_ms)
                break
            bound.append(Bound(place, tried, *held))
        chosen.append(rank)
    return Committed(commit.entry, commit.digest, tuple(chosen), tuple(bound), repeated=False)


def _binding(counted: Mapping[str, list[int]], counters: tuple[Counter, ...], now_ms: int) -> tuple[str, int] | None:
    """Return the counter that binds the longest and when it frees (ms), or None where all fit."""
    found = [
        (counter.key, frees_ms)
        for counter in counters
        if (frees_ms := _frees_ms(counted.get(counter.key, []), counter, now_ms)) is not None
    ]
    return max(found, key=lambda one: one[1]) if found else None


def _frees_ms(uses: list[int], counter: Counter, now_ms: int) -> int | None:
    daily = counter.since_ms > 0
    oldest = counter.since_ms - 1 if daily else now_ms - counter.within_ms
    inside = sorted(use for use in uses if use > oldest)
    if len(inside) < counter.at_most:
        return None
    return counter.frees_ms if daily else inside[-counter.at_most] + counter.within_ms
