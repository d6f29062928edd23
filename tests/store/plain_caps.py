"""The plain rule of caps, for one person at a time: what the store must do, written as simply as it can be said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from service.core.decision import Bound, Counter

Candidates = tuple[tuple[tuple[str, tuple[Counter, ...]], ...], ...]


@dataclass(slots=True)
class Use:
    """One use of a counter: when it counts from, and, while it is only held, until when."""

    at_ms: int
    ends_ms: int = 0
    decision: str = ""
    action: str = ""
    on: int = 0

    def frees_ms(self, counter: Counter, now_ms: int) -> int | None:
        """Return when this stops counting; None when it does not count now."""
        if self.ends_ms:
            return self.ends_ms if self.ends_ms > now_ms else None
        if counter.since_ms:
            return counter.frees_ms if self.at_ms >= counter.since_ms else None
        return self.at_ms + counter.within_ms if self.at_ms > now_ms - counter.within_ms else None


@dataclass(slots=True)
class Room:
    """All uses of a person, by counter."""

    uses: dict[str, list[Use]] = field(default_factory=lambda: defaultdict(list))

    def frees_ms(self, counter: Counter, now_ms: int) -> int:
        """Return when a counter fits again, 0 when it does now."""
        found = (use.frees_ms(counter, now_ms) for use in self.uses[counter.key])
        inside = sorted(frees for frees in found if frees is not None)
        if len(inside) < counter.at_most:
            return 0
        if counter.at_most == 0:
            return counter.frees_ms or now_ms + counter.within_ms
        return inside[-counter.at_most]

    def count(self, counter: Counter, now_ms: int, decision: str = "", action: str = "") -> None:
        """Count one use more."""
        ends_ms = now_ms + counter.hold_ms if counter.hold_ms else 0
        self.uses[counter.key].append(Use(now_ms, ends_ms, decision, action, counter.on))

    def told(self, decision: str, action: str, kind: int, at_ms: int) -> None:
        """Make uses of what an outcome was waited for by; whoever answers has been shown it."""
        for use in (use for uses in self.uses.values() for use in uses):
            if use.ends_ms and (use.decision, use.action) == (decision, action) and use.on in (1, kind):
                use.at_ms, use.ends_ms = max(at_ms, use.at_ms), 0

    def take(
        self, now_ms: int, candidates: Candidates, decision: str = ""
    ) -> tuple[tuple[int, ...], tuple[Bound, ...]]:
        """Take the first candidates that fit and count them; return their ranks, and what bound the others."""
        chosen, bound, said = [], [], set[str]()
        for placement, ranked in enumerate(candidates):
            chosen.append(-1)
            for rank, (action, counters) in enumerate(ranked):
                if action in said:
                    continue
                binding = [(frees, one.key) for one in counters if (frees := self.frees_ms(one, now_ms))]
                if not binding:
                    said.add(action)
                    chosen[-1] = rank
                    for one in counters:
                        self.count(one, now_ms, decision, action)
                    break
                latest = max(frees for frees, _ in binding)
                bound.append(Bound(placement, rank, next(key for frees, key in binding if frees == latest), latest))
        return tuple(chosen), tuple(bound)


def taken(candidates: Candidates, chosen: tuple[int, ...]) -> Iterator[tuple[str, tuple[Counter, ...]]]:
    """Yield what was taken."""
    for ranked, rank in zip(candidates, chosen, strict=True):
        if rank >= 0:
            yield ranked[rank]
