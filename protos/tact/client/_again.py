"""Repeating beyond gRPC's own budget: a share of the calls of the last seconds, however many fail at once.

gRPC's budget is a small number, so that callers do not make a storm. Of many calls that are under way when a service
ends, more can fail at once than that lets repeat. This allows for as many more as a share of what the client calls
anyway, and so never adds more than that share to what a service in trouble has to bear.
"""

from __future__ import annotations

import math
import random
from threading import Lock
from time import monotonic

from tact.client._errors import CallFailed
from tact.client._policy import REPEATED, Retry

SHARE = 0.05
WINDOW_S = 5.0


class Again:
    """Tells whether a call that failed is made once more; calls count for a while that fades with `WINDOW_S`."""

    def __init__(self, retry: Retry) -> None:
        self._retry = retry
        self._counting = Lock()
        self._calls = self._repeated = 0.0
        self._faded_s = monotonic()

    def called(self) -> None:
        """Count a call."""
        with self._counting:
            self._fade()
            self._calls += 1

    def pause_after(self, failed: CallFailed, *, alone: bool = False) -> float | None:
        """Return how many seconds to wait before the call is made once more; None where it is not.

        What gRPC does not repeat, `alone`, is made once more whatever the share.
        """
        if self._retry.attempts == 1 or failed.code.name not in REPEATED or (failed.pushback_s or 0.0) < 0:
            return None
        with self._counting:
            self._fade()
            if not alone and self._repeated + 1 > SHARE * self._calls:
                return None
            self._repeated += 1
        pause_s = self._retry.first_pause_s * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
        return max(pause_s, failed.pushback_s or 0.0)

    def _fade(self) -> None:
        now = monotonic()
        kept = math.exp((self._faded_s - now) / WINDOW_S)
        self._calls, self._repeated, self._faded_s = self._calls * kept, self._repeated * kept, now
