"""The most memory that this process ever had in use, not counting what it was before it became this program."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_bytes() -> int:
    """Return the largest resident size of this program.

    On Linux `ru_maxrss` survives exec: what a large process starts counts as large as that. So the kernel's count of
    this program's own memory is read instead.
    """
    if STATUS.exists():
        most_kb = next(line.split()[1] for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(most_kb) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
