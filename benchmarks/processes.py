"""Server processes of a benchmark: pinned to a core, and gone when the benchmark is gone, kill -9 included."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, cast

START_WITHIN_S = 60.0
STOP_WITHIN_S = 15.0
BOUND = Path(__file__).with_name("bound.py")


class DidNotStart(Exception):
    """A server did not say in time where it serves: the message has the end of its log."""


class Pinned:
    """Run one server process on one core, or on several, from `with` to its end.

    `command` prints a line to standard output once it serves; `port_of` reads the port from it (None: another line).
    Everything that it writes to standard error goes to `log`.
    """

    def __init__(
        self,
        command: Sequence[str],
        core: int | Sequence[int],
        log: Path,
        port_of: Callable[[str], int | None],
        starts_within_s: float = START_WITHIN_S,
    ) -> None:
        self._command = command
        self._cores = core
        self._log = log
        self._port_of = port_of
        self._starts_within_s = starts_within_s
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._running.pid

    @property
    def target(self) -> str:
        """Where it serves, as gRPC names it."""
        return f"127.0.0.1:{self.port}"

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started"
        return self._process

    def __enter__(self) -> Pinned:
        try:
            with self._log.open("wb") as errors, uninterrupted():
                self._process = subprocess.Popen(
                    [*bound(self._cores), *self._command],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    bufsize=0,
                    cwd=BOUND.parent.parent,
                    start_new_session=True,  # Ctrl-C is for the benchmark, which then stops its servers in order
                )
            self.port = self._wait_for_port(cast(IO[bytes], self._process.stdout))
        except BaseException:
            if self._process is not None:
                self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def _wait_for_port(self, said: IO[bytes]) -> int:
        gives_up = time.monotonic() + self._starts_within_s
        text = b""
        with selectors.DefaultSelector() as selector:
            selector.register(said, selectors.EVENT_READ)
            while _there(selector, gives_up):
                part = os.read(said.fileno(), 4096)
                text += part
                for line in text.decode(errors="replace").splitlines():
                    if (port := self._port_of(line)) is not None:
                        return port
                if not part:
                    break
        raise DidNotStart(f"{' '.join(self._command)}: said {text!r}; its log ends:\n{self._log.read_text()[-2000:]}")

    def _end(self) -> None:
        process = self._running
        process.terminate()
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        cast(IO[bytes], process.stdout).close()


_asked_to_end = threading.Event()


def end_when_asked() -> None:
    """Let Ctrl-C and SIGTERM end this process as KeyboardInterrupt, whatever it does at the moment.

    One that is raised while an object is finalized, or in what C calls, is printed and forgotten by Python: so it is
    also remembered, and raised again by whoever waits for a program next.
    """

    def end(number: int, frame: FrameType | None) -> None:
        _asked_to_end.set()
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait until a program is started: one that is begun and not known yet would go on."""
    if threading.current_thread() is not threading.main_thread():  # no signal interrupts another one
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda told, frame: came.append(told))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for told in came:
            signal.raise_signal(told)


def ran(command: Sequence[str], within_s: float) -> str:
    """Run a program to its good end and return what it printed; whatever ends the wait for it ends it, too."""
    process: subprocess.Popen[str] | None = None
    try:
        with uninterrupted():
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        said = _said(process, time.monotonic() + within_s)
    finally:
        if process is not None:
            process.kill()  # nothing where it has ended
            process.wait()
            cast(IO[str], process.stdout).close()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command), said)
    return said


def _said(process: subprocess.Popen[str], gives_up: float) -> str:
    """Return what a program printed; look up again and again whether to end."""
    while True:
        if _asked_to_end.is_set():
            raise KeyboardInterrupt
        left_s = gives_up - time.monotonic()
        try:
            return process.communicate(timeout=max(0.0, min(0.5, left_s)))[0]
        except subprocess.TimeoutExpired:
            if left_s <= 0.5:
                raise


def _there(selector: selectors.BaseSelector, gives_up: float) -> bool:
    """Wait until there is something to read; False when the time is over. Look up now and then whether to end."""
    while (left_s := gives_up - time.monotonic()) > 0:
        if _asked_to_end.is_set():
            raise KeyboardInterrupt
        if selector.select(min(0.5, left_s)):
            return True
    return False


def bound(cores: int | Sequence[int]) -> list[str]:
    """Return what to put before a command so that it runs on these cores and is killed when this process is gone."""
    named = str(cores) if isinstance(cores, int) else ",".join(map(str, cores))
    return [sys.executable, "-I", "-S", str(BOUND), str(os.getpid()), named]


def pin(pid: int, core: int) -> None:
    """Put a process, with all the threads it has, on one core, where the platform can."""
    if sys.platform == "linux":
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})
