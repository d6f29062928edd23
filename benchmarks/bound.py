"""Become another program, on the named cores, that is killed when its parent is gone.

Started as a script by `benchmarks.processes`: `python -I -S bound.py PARENT_PID CORE,… PROGRAM ARGS…`. A program of its
own, because code between fork and exec is not safe in a parent that runs threads, as gRPC does.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, cores, command = int(sys.argv[1]), {int(core) for core in sys.argv[2].split(",")}, sys.argv[3:]
    if sys.platform == "linux":
        os.sched_setaffinity(0, cores)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
