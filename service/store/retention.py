"""How long the store keeps what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Retention:
    """How long the store keeps what. Times run from the last write, for streams from each entry.

    `context` must be at least the longest cap. `decision` bounds both how long a request can be repeated and how long
    its outcomes can come in; `log` must be at least as long.
    """

    context: timedelta = timedelta(days=730)
    decision: timedelta = timedelta(days=14)
    log: timedelta = timedelta(days=90)
    outcomes: timedelta = timedelta(days=90)

    def __post_init__(self) -> None:
        if self.log < self.decision:
            raise ValueError(f"the log is kept for {self.log}, shorter than decisions can be repeated: {self.decision}")


def milliseconds(span: timedelta) -> int:
    """Return a span in whole milliseconds, as the store counts."""
    return span // timedelta(milliseconds=1)
