"""Signs: what a moment is to all that steers one decision, so that moments which are the same to it are told apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from models.context import Scalar
from service.core.changes import Scene
from service.core.decision import ReasonCode
from service.core.policy import Judged
from service.core.snapshot import Snapshot

Sign = tuple[object, ...]
Truths = Callable[[Sequence[Scalar | None], int], tuple[object, ...]]
"""Takes a snapshot's values and a moment (ms); gives what is true then of all that time changes."""
_BY_RULES = frozenset(ReasonCode(code) for code in (4, 5, 6, 7, 8, 9, 24, 25, 26, 27))
"""What follows from truths, consent and permission alone."""


class Signs:
    """The signs of moments in one scene: truths, rules in force, and what caps, answers and promises hold back."""

    def __init__(self, scene: Scene, truths: Truths, moments: Sequence[int], indexes: Sequence[int]) -> None:
        made = scene.made
        self._scene, self._truths, self._moments, self._indexes = scene, truths, moments, indexes
        self._base = tuple(made.snapshot.values[index] for index in indexes)
        self._policed = bool(made.judged.used or made.snapshot.memory.refusals or made.snapshot.memory.promised)

    def first_of_each(self, from_ms: int, looked_at: Iterable[int]) -> Iterator[int]:
        """Yield the first moment of every sign that is another than those before it, of moments in their order."""
        told, before, last = {self._at(from_ms)}, from_ms, self._at(from_ms)
        for at_ms in looked_at:
            sign = self._at(at_ms)
            while sign not in told:
                before = self._first(before, last, at_ms)
                last = self._at(before)
                if last not in told:
                    told.add(last)
                    yield before
            before, last = at_ms, sign

    def _at(self, at_ms: int) -> Sign:
        snapshot = self._scene.later.at(self._scene.made.snapshot.level, at_ms).snapshot
        held = _held(self._scene.judged(snapshot)) if self._policed else ()
        begun = sum(end <= at_ms for end in self._moments)
        return self._truths(snapshot.values, at_ms), begun, held, self._steering(snapshot)

    def _steering(self, snapshot: Snapshot) -> Sign:
        """Return which values that promises and supply depend on are as they were."""
        both = zip(self._indexes, self._base, strict=True)
        return tuple(snapshot.values[index] == value for index, value in both)

    def _first(self, low_ms: int, same: Sign, high_ms: int) -> int:
        """Return the first moment after one that has another sign than it, up to a moment that has, by halving."""
        while high_ms - low_ms > 1:
            middle = (low_ms + high_ms) // 2
            low_ms, high_ms = (middle, high_ms) if self._at(middle) == same else (low_ms, middle)
        return high_ms


def _held(judged: Judged) -> Sign:
    """Return what holds back beside conditions, without until when."""
    vetoes = [veto for veto in judged.verdicts.vetoes if veto.reason.code not in _BY_RULES]
    held = tuple((veto.mask, veto.reason.code, veto.reason.rule) for veto in vetoes)
    capped = tuple(tuple((veto.mask, veto.reason.rule) for veto in place) for place in judged.capped)
    asked = tuple(tuple(mask for mask, _ in place) for place in judged.asked)
    return held, capped, asked, judged.kept.keys
