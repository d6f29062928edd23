"""Several identities of one person are seen as one: merged states are those of all their events together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import folds
from models.context import Attribute, Field, Fold, FoldKind, Purpose, ValueType
from models.fold_merge import merged, merged_groups
from models.folds import LARGEST_INT, PERIODS, State
from models.states import arrivals, packed, unpacked
from tests.folding import DETERMINISTIC, HALF_LIFE_MS, START_MS, TEXTS, WINDOW_MS, Happening, folded, happenings

T = START_MS


def a_field(key: int, kind: FoldKind, keep: int = 3) -> Field:
    """Return a field that is folded as the made-up events are."""
    fold = Fold(kind, "e", window_ms=WINDOW_MS, half_life_ms=HALF_LIFE_MS, keep=keep)
    return Field(f"past.f{key}", ValueType.INT, Purpose.SERVICE, "", fold, None, Attribute("x", ValueType.INT), key)


def fields(keep: int) -> dict[int, Field]:
    """Return a field for each operation of a made-up event."""
    operations = Happening("", 0, "", False, 0, 0, 0.0, False).operations(keep, len(TEXTS))
    return {one.key: a_field(one.key, one.kind, one.keep) for one in operations}


def merged_states(known: dict[int, Field], identities: Sequence[dict[int, State]]) -> dict[int, State]:
    """Merge the states of identities one after another."""

    def both(one: dict[int, State], other: dict[int, State]) -> dict[int, State]:
        return {key: merged(known[key], one[key], other[key]) for key in known}

    return reduce(both, identities)


@DETERMINISTIC
@given(happenings(), st.lists(st.integers(0, 2), min_size=24, max_size=24), st.integers(1, 4), st.booleans())
def test_merging_is_folding_everything_into_one(
    events: list[Happening], owners: list[int], keep: int, backwards: bool
) -> None:
    """However a person's events lie with one to three identities, the merged states are those of one life."""
    lives = [[event for event, owner in zip(events, owners, strict=False) if owner == who] for who in range(3)]
    identities = [folded(life, keep, len(TEXTS)) for life in lives if life]
    if backwards:
        identities.reverse()
    whole = folded(events, keep, len(TEXTS))
    assert merged_states(fields(keep), identities) == whole
    assert unpacked(merged_groups(fields(keep), map(packed, identities))) == whole


@DETERMINISTIC
@given(happenings(60))
def test_merging_keeps_what_is_bounded_bounded(events: list[Happening]) -> None:
    """However many items two identities remember, the person remembers no more than one customer may."""
    halves = [folded(events[start::2], 2, 2) for start in (0, 1)]
    if not all(halves):
        return
    known = fields(2)
    for key, state in merged_states(known, halves).items():
        kind = known[key].fold
        assert kind is not None
        if kind.kind in (FoldKind.DISTINCT, FoldKind.RECENT, FoldKind.WINDOW_COUNT, FoldKind.WINDOW_SUM):
            assert len(state[1]) <= 2


@pytest.mark.parametrize(
    ("kind", "one", "other", "whole"),
    [
        (FoldKind.OPEN, [T, {"a": [T, 0]}], [T + 1, {"a": [0, T + 1]}], [T + 1, {"a": [T, T + 1]}]),
        (
            FoldKind.OPEN,
            [T + 3, {"a": [T, T + 1], "b": [T, T + 3]}],
            [T + 2, {"c": [T + 2, 0], "d": [T, T + 2]}],
            [T + 3, {"b": [T, T + 3], "c": [T + 2, 0], "d": [T, T + 2]}],
        ),
        (FoldKind.SUM, [T, LARGEST_INT], [T, 5], [T, LARGEST_INT]),
        (
            FoldKind.DECAY,
            [T, [[T // HALF_LIFE_MS, 3]], HALF_LIFE_MS],
            [T - PERIODS * HALF_LIFE_MS, [[T // HALF_LIFE_MS - PERIODS, 9]], HALF_LIFE_MS],
            [T, [[T // HALF_LIFE_MS, 3]], HALF_LIFE_MS],
        ),
        (
            FoldKind.DECAY,
            [T, [[T // HALF_LIFE_MS, -LARGEST_INT]], HALF_LIFE_MS],
            [T, [[T // HALF_LIFE_MS, -5]], HALF_LIFE_MS],
            [T, [[T // HALF_LIFE_MS, -LARGEST_INT]], HALF_LIFE_MS],
        ),
        (FoldKind.MODEL, [T, 0.3, "v2"], [T, 0.3, "v1"], [T, 0.3, "v2"]),
        (FoldKind.LAST, [T, "old"], [T + 1, 7], [T + 1, 7]),
        (FoldKind.COUNT, [T, 3], [T + 1, {"a": T}], [T, 3]),
        (FoldKind.DISTINCT, [T, 3], [T + 1, {"a": T}], [T + 1, {"a": T}]),
    ],
    ids=[
        "opened by one, closed by the other",
        "the longest closed go first",
        "sums stop where folding stops",
        "periods that have decayed are gone",
        "decaying sums stop there too",
        "versions break ties",
        "types that differ: the later one",
        "another fold's state counts as none",
        "another fold's state counts as none, the other way round",
    ],
)
def test_how_two_states_merge(kind: FoldKind, one: State, other: State, whole: State) -> None:
    """Each bound and tie goes as it would have gone event by event, whichever identity comes first."""
    known = a_field(1, kind)
    assert merged(known, one, other) == whole
    assert merged(known, other, one) == whole


def test_the_arrival_is_that_of_the_event_that_dates_the_state() -> None:
    """The merged state arrived when its own event did, and of two events of the same moment when the later one did."""
    known = {1: a_field(1, FoldKind.LAST), 2: a_field(2, FoldKind.SUM)}
    mine = packed({1: [T + 9_000, "new"], 2: [T, 1]}, {1: T + 20_000, 2: T + 30_000})
    theirs = packed({1: [T, "old"], 2: [T, 2]}, {1: T + 90_000, 2: T + 40_000})
    for groups in ((mine, theirs), (theirs, mine)):
        whole = merged_groups(known, groups)
        assert unpacked(whole) == {1: [T + 9_000, "new"], 2: [T, 3]}
        assert arrivals(whole) == {1: T + 20_000, 2: T + 40_000}


def test_what_cannot_be_read_or_is_not_declared_is_not_shown() -> None:
    """A group that cannot be read makes the whole purpose unknown; a field that the strategy lacks is left out."""
    known = {1: a_field(1, FoldKind.COUNT)}
    good = packed({1: [T, 1], 9: [T, 1]})
    with pytest.raises(ValueError, match="cannot be read"):
        merged_groups(known, (good, b"\xc1"))
    assert unpacked(merged_groups(known, (good, good))) == {1: [T, 2]}


def test_states_are_not_changed_by_merging() -> None:
    """What was read stays as it was, whatever is merged into it."""
    one, other = [T, {"a": [T, 0]}], [T, {"a": [0, T], "b": [T, 0]}]
    merged(a_field(1, FoldKind.OPEN), one, other)
    assert (one, other) == ([T, {"a": [T, 0]}], [T, {"a": [0, T], "b": [T, 0]}])
    assert folds.value(a_field(1, FoldKind.OPEN), one, T) == 1
