"""Services of several workers, and who of them answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import grpc
import psutil

from service.workers.process import PROGRAM
from tact.v1 import control_pb2, control_pb2_grpc
from tests.cli.commands import Process, command_of

ANOTHER = (("grpc.use_local_subchannel_pool", 1),)
"""Has a channel open a connection of its own, which may lead to another worker."""
REPLACED_WITHIN_S = 5.0


def served(strategy: Path, store: str, *words: object, workers: int = 2) -> Process:
    """Return a service that begins, of which a slow store is not the point."""
    common = ("--port", "0", "--json", "--store-wait", "5", "--workers", workers)
    return Process("serve", "--strategy", strategy, "--store", store, *common, *words)


def workers_of(process: Process) -> tuple[int, ...]:
    """Return the ids of the workers of a service that run, the oldest first."""
    found = [pid for pid in process.offspring() if PROGRAM in command_of(pid)]
    return tuple(sorted(found, key=_began_s))


def _began_s(pid: int) -> float:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).create_time()
    return 0.0


def status(target: str) -> control_pb2.GetStatusResponse:
    """Return what whichever worker answers on a new connection says of itself."""
    with grpc.insecure_channel(target, options=ANOTHER) as channel:
        answer: control_pb2.GetStatusResponse = control_pb2_grpc.ControlServiceStub(channel).GetStatus(
            control_pb2.GetStatusRequest(), timeout=1.0
        )
        return answer


def answering(
    target: str, wanted: Callable[[dict[int, control_pb2.GetStatusResponse]], object], within_s: float = 10.0
) -> dict[int, control_pb2.GetStatusResponse]:
    """Ask over new connections until what the workers said last, by number, is as wanted; return it.

    A worker that is stuck still gets connections; nobody waits for it longer than a second.
    """
    said: dict[int, control_pb2.GetStatusResponse] = {}
    gives_up = time.monotonic() + within_s
    while not wanted(said):
        assert time.monotonic() < gives_up, f"it did not happen in time: {said}"
        try:
            answer = status(target)
        except grpc.RpcError:
            time.sleep(0.02)
        else:
            said[answer.worker.number] = answer
    return said


def libraries(pid: int) -> set[str]:
    """Return the files that a process has mapped into its memory."""
    return {one.path for one in psutil.Process(pid).memory_maps()}


def verifying() -> list[psutil.Process]:
    """Return the processes that verify models for this one."""
    return [child for child in psutil.Process().children() if "--waiting" in child.cmdline()]
