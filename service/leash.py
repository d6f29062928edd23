"""Run a module as a program that ends when its owner ends, however the owner ends.

    python -m service.leash OWNER_PID MODULE ARGS…

Linux kills it with the owner (PR_SET_PDEATHSIG); elsewhere a thread sees within half a second that the owner is gone.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys
import threading
import time

PR_SET_PDEATHSIG = 1
POLL_S = 0.5


def main(arguments: list[str]) -> None:
    """Put this process on its owner's leash and turn it into the module."""
    owner, module = int(arguments[0]), arguments[1]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=follow, args=(owner,), daemon=True).start()
    sys.argv = [module, *arguments[2:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def follow(owner: int) -> None:
    """End this process as soon as another one than its owner is its parent."""
    while os.getppid() == owner:
        time.sleep(POLL_S)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
