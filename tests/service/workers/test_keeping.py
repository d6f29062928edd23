"""Workers that end soon are begun again later and later, and never too late."""

from __future__ import annotations

import pytest

from service.workers.keeping import pause_after
from service.workers.process import Ended

DIED, REFUSED, SERVED = Ended("died", False, 0.0), Ended("bad", True, 0.0), Ended("died", False, 1.0)


@pytest.mark.parametrize(
    ("failures", "pause_s"), [(0, 0.0), (1, 0.0), (2, 0.5), (3, 1.0), (4, 2.0), (7, 16.0), (8, 30.0), (10_000, 30.0)]
)
def test_pauses_double_up_to_half_a_minute(failures: int, pause_s: float) -> None:
    """The first one after a long service begins at once; a crash loop costs little."""
    assert pause_after(failures, DIED) == pause_s


@pytest.mark.parametrize(("failures", "pause_s"), [(1, 0.0), (3, 1.0), (6, 5.0), (10_000, 5.0)])
def test_what_somebody_mends_is_tried_soon(failures: int, pause_s: float) -> None:
    """A worker that refuses, as a bad strategy, tries again within 5 s, however often it did."""
    assert pause_after(failures, REFUSED) == pause_s


@pytest.mark.parametrize(("failures", "pause_s"), [(1, 0.0), (2, 0.5), (3, 1.0), (10_000, 1.0)])
def test_who_served_is_replaced_in_time(failures: int, pause_s: float) -> None:
    """After a worker that served, another one serves within 5 s of its end, however often that happens."""
    assert pause_after(failures, SERVED) == pause_s
