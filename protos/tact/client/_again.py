"""Repeating beyond gRPC's own budget: a share of the calls of the last seconds, however many fail at once.

gRPC's budget is a small number, so that callers do not make a storm. Of many calls that are under way when a service
ends, more can fail at once than that lets repeat. This allows for as many more as a share of what the client calls
anyway, and so never adds more than that share to what a service in trouble has to bear.
"""

from __future__ import annotations

import math
import random
from time import monotonic

from tact.client._errors import CallFailed
from tact.client._policy import REPEATED, Retry

SHARE = 0.05
WINDOW_S = 5.0


class Again:
    """Tells whether a call that failed is made once more; calls count for a while that fades with `WINDOW_S`."""

    def __init__(self, retry: Retry) -> None:
        self._pause_s = retry.first_pause_s
        self._on = retry.attempts > 1
        self._calls = self._repeated = 0.0
        self._faded_s = monotonic()

    def called(self) -> None:
        """Count a call."""
        self._fade()
        self._calls += 1

    def pause_after(self, failed: CallFailed) -> float | None:
        """Return how many seconds to wait before the call is made once more; None where it is not."""
        if not self._on or failed.code.name not in REPEATED or (failed.pushback_s or 0.0) < 0:
            return None
        self._fade()
        if self._repeated + 1 > SHARE * self._calls:
            return None
        self._repeated += 1
        return max(self._pause_s * random.uniform(0.5, 1.5), failed.pushback_s or 0.0)  # noqa: S311 - no secret

    def _fade(self) -> None:
        now = monotonic()
        kept = math.exp((self._faded_s - now) / WINDOW_S)
        self._calls, self._repeated, self._faded_s = self._calls * kept, self._repeated * kept, now
