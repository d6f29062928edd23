"""The two levers that make gRPC in Python faster, pulled before grpc is imported: nothing here may import it.

Both together take 14 of 16 context switches off a call. On cores shared with other busy processes SCHED_BATCH can lose,
so it has an off switch.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import MutableMapping, Sequence
from contextlib import suppress

from service.config import Scheduling
from service.workers.waking import may_be_batch

EXPERIMENT = "-event_engine_listener"


def pull_levers(scheduling: Scheduling, environment: MutableMapping[str, str] = os.environ) -> None:
    """Set up this process and its environment for serving; what the environment says already is kept."""
    asked = [each for each in environment.get("GRPC_EXPERIMENTS", "").split(",") if each]
    if EXPERIMENT.lstrip("-") not in [each.lstrip("-") for each in asked]:
        environment["GRPC_EXPERIMENTS"] = ",".join([*asked, EXPERIMENT])
    quiet_grpc(environment)
    if scheduling is Scheduling.BATCH and sys.platform == "linux":
        with suppress(OSError):  # some containers forbid it; then it is as fast as it is
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def chosen(scheduling: Scheduling, cores: Sequence[int] = ()) -> Scheduling:
    """Return the scheduling that was asked for; for `auto` the one that a short try on these cores tells.

    Without cores it is tried wherever Linux puts this process.
    """
    if scheduling is not Scheduling.AUTO:
        return scheduling
    return Scheduling.BATCH if may_be_batch(cores) else Scheduling.NORMAL


def quiet_grpc(environment: MutableMapping[str, str] = os.environ) -> None:
    """Keep the C library of gRPC from writing to stderr, unless the environment asks for it."""
    environment.setdefault("GRPC_VERBOSITY", "NONE")


def settle_memory() -> None:
    """Take what was loaded for good out of the garbage collector, and let it look less often: 5 % of a decision.

    What loading took beyond that goes back to the system: 5 MB of a worker with 1,000 actions.
    """
    import ctypes

    gc.collect()
    with suppress(OSError, AttributeError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)
    gc.freeze()
    gc.set_threshold(30_000, 20, 50)
