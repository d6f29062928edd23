"""The load generator for peers that speak HTTP: built from peers/load once, like the one for gRPC."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from benchmarks.loadgen import BUILT, CannotBuild

SOURCE = Path(__file__).with_name("load")
PROGRAM = BUILT.with_name("http_load")


def build(program: Path = PROGRAM) -> Path:
    """Build it unless it is newer than its source; return the program. Raise `CannotBuild`."""
    lacking = [name for name in ("g++", "make") if shutil.which(name) is None]
    if lacking:
        raise CannotBuild(f"the load generator for HTTP cannot be built: not installed: {', '.join(lacking)}")
    command = ["make", "--silent", "-C", str(SOURCE), f"OUT={program.resolve()}"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        raise CannotBuild(f"the load generator for HTTP does not build:\n{made.stderr}")
    return program
