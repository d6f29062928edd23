"""What callers see while a worker is replaced: some calls to repeat, and nothing else."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

from tact.v1 import control_pb2, control_pb2_grpc
from tests.service.workers.crew import ANOTHER, answering, served, workers_of
from tests.strategies import write_strategy

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/sched").exists(), reason="only Linux shares a port out among processes"
)
CALLERS = 4
ASKED = control_pb2.GetStatusRequest()


class Caller(threading.Thread):
    """Calls over a connection of its own until told to stop, and counts how the calls ended."""

    def __init__(self, target: str, stop: threading.Event) -> None:
        super().__init__()
        self.ended: Counter[str] = Counter()
        self._target, self._stop_calling = target, stop

    def run(self) -> None:
        """Call, wait for the answer, call again."""
        with grpc.insecure_channel(self._target, options=ANOTHER) as channel:
            stub = control_pb2_grpc.ControlServiceStub(channel)
            while not self._stop_calling.wait(0.002):
                try:
                    stub.GetStatus(ASKED, timeout=10.0)
                except grpc.RpcError as error:
                    self.ended[error.code().name] += 1
                else:
                    self.ended["OK"] += 1


def test_callers_of_a_worker_that_dies_repeat_their_call(tmp_path: Path) -> None:
    """While one of two workers is killed under load, calls succeed or end as UNAVAILABLE; then all succeed again."""
    stop = threading.Event()
    with ExitStack() as opened:
        strategy, place = write_strategy(tmp_path / "strategy"), f"embedded:{tmp_path / 'store'}"
        process = opened.enter_context(served(strategy, place)).serving()
        opened.callback(stop.set)
        callers = [Caller(process.target, stop) for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        answering(process.target, lambda said: len(said) == 2)
        killed, other = workers_of(process)
        os.kill(killed, signal.SIGKILL)
        answering(
            process.target,
            lambda said: len(said) == 2 and killed not in {one.worker.process_id for one in said.values()},
            20.0,
        )
        before = [caller.ended["OK"] for caller in callers]
        gives_up = time.monotonic() + 10.0  # gRPC waits a second and more before it connects again
        while any(caller.ended["OK"] <= past for caller, past in zip(callers, before, strict=True)):
            assert time.monotonic() < gives_up, "a caller is not served any more"
            time.sleep(0.02)
        stop.set()
        for caller in callers:
            caller.join(15.0)
        assert other in workers_of(process)
    ended = sum((caller.ended for caller in callers), Counter[str]())
    assert set(ended) <= {"OK", "UNAVAILABLE"}
    assert ended["OK"] > 100
