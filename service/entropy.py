"""Random bytes of the operating system, fetched in advance: to ask it at every decision costs several times more."""

from __future__ import annotations

import os

POOL_BYTES = 4096


class Entropy:
    """Gives random bytes, each of them once.

    For one thread of one process: a fork would give the same ones twice, and none of Tact's processes is forked.
    """

    def __init__(self) -> None:
        self._pool = b""
        self._at = 0

    def __call__(self, size: int) -> bytes:
        """Return so many random bytes, at most `POOL_BYTES`."""
        begin = self._at
        end = begin + size
        if end > len(self._pool):
            self._pool = os.urandom(POOL_BYTES)
            begin, end = 0, size
        self._at = end
        return self._pool[begin:end]
