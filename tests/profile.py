"""How much a test tries: the short profile by default, the full one with TACT_FULL=1 (`make test-full`)."""

from __future__ import annotations

import os


def full() -> bool:
    """Tell whether the full profile runs."""
    return os.environ.get("TACT_FULL", "") == "1"


def cases(short: int, in_full: int) -> int:
    """Return how many cases a test tries in the profile that runs."""
    return in_full if full() else short
