"""What answers in process, each in a process of its own on the same core, in turn."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast

from benchmarks.processes import BOUND, bound

ROOT = BOUND.parents[1]
READY_WITHIN_S = 120.0
ANSWERS_WITHIN_S = 60.0
ENDS_WITHIN_S = 5.0
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""What several threads of one process win on one core is less than what they lose in waiting for each other."""


class DoesNotAnswer(Exception):
    """What should answer in process ended or said nothing in time: the message has the end of its log."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What answers cost: CPU time of the process and time that passed, in microseconds an answer."""

    cpu_us: float
    took_us: float


class Worker:
    """Run a module with `programs.answering` in it on one core, from `with` to its end; `seen` is what it saw."""

    def __init__(self, python: Path, module: str, words: Sequence[str], core: int, log: Path) -> None:
        self._command = [*bound(core), str(python), "-m", module, *words]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.seen: dict[str, Any] = {}

    def __enter__(self) -> Worker:
        with self._log.open("wb") as errors:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
                cwd=ROOT,
                env={**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "protos")))},
                start_new_session=True,  # Ctrl-C is for the benchmark, which then ends what it started
            )
        try:
            self.seen = self._line(READY_WITHIN_S)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def answers(self, times: int) -> Spent:
        """Let it answer so many times; raise `DoesNotAnswer`."""
        try:
            self._pipe("stdin").write(b"%d\n" % times)
        except OSError:
            raise self._silent() from None
        said = self._line(ANSWERS_WITHIN_S)
        return Spent(said["cpu_us"], said["took_us"])

    def _line(self, within_s: float) -> dict[str, Any]:
        gives_up, text, said = time.monotonic() + within_s, b"", self._pipe("stdout")
        with selectors.DefaultSelector() as selector:
            selector.register(said, selectors.EVENT_READ)
            while selector.select(max(0.0, gives_up - time.monotonic())):
                part = os.read(said.fileno(), 65536)
                text += part
                if text.endswith(b"\n"):
                    return cast("dict[str, Any]", json.loads(text.splitlines()[-1]))
                if not part:
                    break
        raise self._silent()

    def _pipe(self, name: str) -> IO[bytes]:
        assert self._process is not None, "not started"
        return cast("IO[bytes]", getattr(self._process, name))

    def _silent(self) -> DoesNotAnswer:
        words = " ".join(self._log.read_text(errors="replace").split())[-400:]
        return DoesNotAnswer(f"does not answer; its log ends: {words or 'without a word'}")

    def _end(self) -> None:
        process = self._process
        assert process is not None, "not started"
        self._pipe("stdin").close()  # at the end of its input it ends by itself
        try:
            process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._pipe("stdout").close()
