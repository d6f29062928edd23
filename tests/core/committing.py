"""A commit without a store: everything fits, or nothing does."""

from __future__ import annotations

from service.core.decision import Bound, Commit, Committed


def committed(commit: Commit, bound: str = "") -> Committed:
    """Return what a store would that takes the first candidate of each placement, or in which `bound` binds all."""
    ranks = [0 if candidates and not bound else -1 for candidates in commit.candidates]
    held = tuple(
        Bound(place, rank, bound, commit.now_ms)
        for place, candidates in enumerate(commit.candidates if bound else ())
        for rank in range(len(candidates))
    )
    return Committed(commit.entry, commit.digest, tuple(ranks), held, False)
