"""Run a server that may have children of its own, say when it serves, and leave nothing of it behind.

Started as a script: `python -I -S nurse.py PORT HEALTH_URL FOLDER COMMAND…`. It prints `serving on 127.0.0.1:PORT`
once the health address answers well, and ends with the command. However it is ended itself, by a signal or because the
process that started it is gone, the command and all its descendants are killed first: peers start workers in sessions
of their own, which no signal to one process would reach.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
BOUND = Path(__file__).parent.with_name("bound.py")
LOOK_EVERY_S = 0.1
SETTLES_WITHIN_S = 3.0


class Ended(Exception):
    """It is time to end."""


def nurse(port: int, health: str, folder: str, command: list[str]) -> int:
    """Run the command in a folder until it ends or a signal comes; return how it ended."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)  # whoever loses their parent becomes ours, so that nobody is lost
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # instead of SIGKILL, which would leave no time to clear up
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    try:
        with subprocess.Popen(
            [*_leashed(), *command], stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno(), cwd=folder
        ) as server:
            try:
                _say_when_it_serves(port, health, server)
                return server.wait()
            finally:
                _kill_all()
    except Ended:
        return 0


def _leashed() -> list[str]:
    """Return what to put before a command that is killed even where this process is killed outright."""
    core = min(os.sched_getaffinity(0))
    return [sys.executable, "-I", "-S", str(BOUND), str(os.getpid()), str(core)]


def _end(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise Ended


def _say_when_it_serves(port: int, health: str, server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        try:
            with urllib.request.urlopen(health, timeout=1.0):  # noqa: S310 - an address of this machine
                print(f"serving on 127.0.0.1:{port}", flush=True)
                return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(LOOK_EVERY_S)


def _kill_all() -> None:
    """Kill descendants until there are none: one that is killed may just have had another."""
    gives_up = time.monotonic() + SETTLES_WITHIN_S
    while (family := list(descendants(os.getpid()))) and time.monotonic() < gives_up:
        for pid in family:
            _kill(pid)
        _bury()


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _bury() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, 0)[0]:
            pass


def descendants(pid: int) -> Iterator[int]:
    """Give the children of a process, theirs, and so on (Linux)."""
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in tasks.read_text().split()]
        except OSError:  # it ended meanwhile
            continue
        for child in children:
            yield child
            yield from descendants(child)


if __name__ == "__main__":
    sys.exit(nurse(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]))
