"""The timeline of one decision: when each of its steps ended. Filled on the hot path, so it is plain and small."""

from __future__ import annotations

from struct import Struct
from time import perf_counter_ns as now_ns
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.telemetry.sampling import Trace

__all__ = ["MARKS", "PACK_INTO", "STAGES", "UNTIMED", "Timeline", "now_ns"]

STAGES = (
    "admit", "again", "read", "see", "judge", "score", "arbitrate", "check", "commit", "answer", "serialise",
)  # fmt: skip
"""The steps in their order. `again` is what attempts took that had to be given up, because others changed what is
remembered of the customer, or the consent, meanwhile.
"""

MARKS = len(STAGES) + 1
"""The beginning, and the end of every stage."""

PACK_INTO = Struct(f"{MARKS + 1}q").pack_into
"""Write a number and the moments of one decision, in the order of the stages, as int64."""


class Timeline:
    """When one decision began and when its steps ended, in nanoseconds of `now_ns`; 0 for a step it did not come to.

    `channel` is set once the request was admitted. `trace` is set where the decision is traced.
    """

    __slots__ = (
        "admitted", "answered", "arbitrated", "began", "channel", "checked", "committed", "judged", "read", "retried",
        "scored", "seen", "serialised", "trace",
    )  # fmt: skip

    def __init__(self, began: int, trace: Trace | None = None) -> None:
        self.began, self.trace, self.channel = began, trace, ""
        self.admitted = self.retried = self.read = self.seen = self.judged = self.scored = 0
        self.arbitrated = self.checked = self.committed = self.answered = self.serialised = 0

    @property
    def moments(self) -> tuple[int, ...]:
        """The moments in the order of the stages, the beginning first."""
        return (
            self.began, self.admitted, self.retried, self.read, self.seen, self.judged, self.scored, self.arbitrated,
            self.checked, self.committed, self.answered, self.serialised,
        )  # fmt: skip

    def stages(self) -> dict[str, int]:
        """Return the nanoseconds of each step that this decision came to."""
        took, before = {}, self.began
        for stage, ended in zip(STAGES, self.moments[1:], strict=True):
            if ended >= before:
                took[stage], before = ended - before, ended
        return took


UNTIMED = Timeline(0)
"""What is written where nothing is measured; nobody reads it."""
