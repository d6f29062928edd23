"""Whose place a newcomer takes where all connections are taken: that of who waits, and is nobody that is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Protocol, TypeVar


class Holder(Protocol):
    """A connection that holds a place, and the host that it comes from."""

    host: str

    @property
    def waits_since_s(self) -> float | None:
        """Since when nothing is answered here; None while something is."""
        ...

    @property
    def known(self) -> bool:
        """Whether a gate let a call of it in."""
        ...


H = TypeVar("H", bound=Holder)


def who_gives_way(holders: Iterable[H]) -> H | None:
    """Return the connection that gives way; None where all are at work.

    Strangers first, those of the host that has the most of them, and among these who waits longest; then who is known
    and waits longest, for a browser opens another connection by itself.
    """
    waiting = [(one, one.waits_since_s) for one in holders if one.waits_since_s is not None]
    strangers = Counter(one.host for one, _ in waiting if not one.known)
    if not waiting:
        return None

    def gives_way_before(pair: tuple[H, float]) -> tuple[bool, int, float]:
        one, since_s = pair
        return not one.known, 0 if one.known else strangers[one.host], -since_s

    return max(waiting, key=gives_way_before)[0]
