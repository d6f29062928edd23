"""Made-up events for the tests of folds: every kind of fold over every type of value, with ties and odd texts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from models import folds
from models.context import FoldKind

DETERMINISTIC = settings(
    derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
START_MS = 1_790_000_000_000
WINDOW_MS = 3_600_000
HALF_LIFE_MS = 86_400_000
TEXTS = ("", "a", "ab", "b", "Z", "z", "é", "1", "2", "\uffff", "\U0001f600", "a\x00b")
NUMBERS = (0, 1, 2, -1, 2.5, -0.25, 1e300, -1e300, 3.0, folds.LARGEST_INT, -folds.LARGEST_INT, 0.1, 1 / 3)
MILLIONTHS = (0, 1, -1, 2_500_000, 10**12, -(10**12))
AMOUNTS = (0.0, 1.0, 0.1, 99.99, -3.5, 1e6)
MOMENTS_MS = tuple(START_MS + ms for ms in (0, 1, 2, 1000, WINDOW_MS, 25 * WINDOW_MS, 26 * WINDOW_MS, 60 * WINDOW_MS))


@dataclass(frozen=True, slots=True)
class Happening:
    """One event with the value that each kind of fold takes from it."""

    event_id: str
    t_ms: int
    text: str
    flag: bool
    number: float
    millionths: int
    amount: float
    closed: bool

    def operations(self, keep: int, keep_open: int) -> tuple[folds.Operation, ...]:
        """Return one operation a field: every kind, and every type for the kinds that compare."""
        kinds = FoldKind
        plain: tuple[tuple[FoldKind, bool | int | float | str], ...] = (
            *((kind, self.text) for kind in (kinds.LAST, kinds.FIRST, kinds.MIN, kinds.MAX)),
            *((kind, self.flag) for kind in (kinds.LAST, kinds.FIRST, kinds.MIN, kinds.MAX)),
            *((kind, self.number) for kind in (kinds.LAST, kinds.FIRST, kinds.MIN, kinds.MAX)),
            (kinds.COUNT, 1),
            (kinds.SUM, self.millionths),
            (kinds.DISTINCT, self.text),
            (kinds.RECENT, self.text),
            (kinds.WINDOW_COUNT, 1),
            (kinds.WINDOW_SUM, self.millionths),
            (kinds.SINCE, 1),
            (kinds.OPEN, self.text),
            (kinds.DECAY, self.amount),
        )
        return tuple(
            folds.Operation(
                key, "spf"[key % 3], kind, value, WINDOW_MS, HALF_LIFE_MS,
                keep_open if kind is FoldKind.OPEN else keep, kind is FoldKind.OPEN and self.closed,
            )
            for key, (kind, value) in enumerate(plain, 1)
        )  # fmt: skip


def happenings(most: int = 24) -> st.SearchStrategy[list[Happening]]:
    """Return lists of events with ids of their own and many equal times and values."""
    one = st.tuples(
        st.sampled_from(MOMENTS_MS), st.sampled_from(TEXTS), st.booleans(), st.sampled_from(NUMBERS),
        st.sampled_from(MILLIONTHS), st.sampled_from(AMOUNTS), st.booleans(),
    )  # fmt: skip
    return st.lists(one, min_size=1, max_size=most).map(
        lambda drawn: [Happening(f"event-{n}", *values) for n, values in enumerate(drawn)]
    )


def folded(events: Iterable[Happening], keep: int, keep_open: int) -> dict[int, folds.State]:
    """Return the states after these events in this order, as Python folds them."""
    states: dict[int, folds.State] = {}
    for event in events:
        for operation in event.operations(keep, keep_open):
            states[operation.key] = folds.apply(states.get(operation.key), operation, event.t_ms)
    return states


def decay_key() -> int:
    """Return the key of the decaying field, whose states are equal but for rounding."""
    return len(Happening("", 0, "", False, 0, 0, 0.0, False).operations(1, 1))


def assert_equal(found: dict[int, folds.State], wanted: dict[int, folds.State], sizes: float) -> None:
    """Require equal states; the decaying one may differ by a millionth of a millionth of the amounts' sizes."""
    key = decay_key()
    assert {k: v for k, v in found.items() if k != key} == {k: v for k, v in wanted.items() if k != key}
    assert found[key][0] == wanted[key][0]
    assert abs(found[key][1] - wanted[key][1]) <= 1e-12 * sizes
