"""Run `tact` in processes of its own, and see what they leave behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

import psutil

from service.cli.program import run
from service.proving.kept import FOLDER

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "strategies" / "demo"
TACT = (sys.executable, "-m", "service.cli")
SOON_S = 30.0
ENDS_WITHIN_S = 5.0

Report = dict[str, Any]
Ran = subprocess.CompletedProcess[str]


def tact(
    *words: object, env: Mapping[str, str] | None = None, timeout_s: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    command = [*TACT, *map(str, words)]
    return subprocess.run(
        command, cwd=ROOT, env=clean(env), capture_output=True, text=True, timeout=timeout_s, check=False
    )


def typed(*words: object) -> Ran:
    """Run one command to its end in this process, which is much faster; for commands that end by themselves."""
    command, out, errors = [str(word) for word in words], StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(errors):
        code = run(command)
    return subprocess.CompletedProcess(command, code, out.getvalue(), errors.getvalue())


def report(*words: object) -> Report:
    """Run one command that must succeed with --json and return what it says."""
    ran = typed(*words, "--json")
    assert ran.returncode == 0, ran.stderr
    said: Report = json.loads(ran.stdout)
    return said


def one_line(ran: Ran, code: int) -> str:
    """Return the one line that a command which failed with `code` wrote to stderr."""
    assert ran.returncode == code, (ran.returncode, ran.stdout, ran.stderr)
    lines = ran.stderr.splitlines()
    assert len(lines) == 1, ran.stderr
    return lines[0]


def clean(env: Mapping[str, str] | None) -> dict[str, str]:
    """Return this environment without settings of its own but for where proofs are kept, and with these."""
    kept = {name: value for name, value in os.environ.items() if name == FOLDER or not name.startswith("TACT_")}
    return {**kept, **(env or {})}


class Process:
    """A `tact` that goes on until it is told to end; it is ended at the end of the test, with all it started."""

    def __init__(self, *words: object, env: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [*TACT, *map(str, words)], cwd=ROOT, env=clean(env), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self.pid = self._process.pid
        self.said: Report = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()  # so that it clears up behind itself
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(ENDS_WITHIN_S)
        for left in self.offspring():
            with suppress(ProcessLookupError):
                os.kill(left, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            cast(IO[str], pipe).close()

    @property
    def port(self) -> int:
        """The port that it said it serves on."""
        return int(self.said["port"])

    @property
    def target(self) -> str:
        """Where it said it serves."""
        return f"127.0.0.1:{self.port}"

    def serving(self) -> Self:
        """Wait for the line of JSON that says that it serves."""
        self.said = json.loads(self.line())
        return self

    def line(self) -> str:
        """Return the next line of its stdout, when it is there."""
        line = cast(IO[str], self._process.stdout).readline()
        assert line, f"it ended with {self._process.wait()}: {cast(IO[str], self._process.stderr).read()}"
        return line

    def grumbled(self) -> str:
        """Return what is there of its stderr by now, without waiting for more."""
        number = cast(IO[str], self._process.stderr).fileno()
        os.set_blocking(number, False)
        try:
            return os.read(number, 10_000_000).decode(errors="replace")
        except BlockingIOError:
            return ""
        finally:
            os.set_blocking(number, True)

    def offspring(self) -> tuple[int, ...]:
        """Return the ids of all processes that it has started and that run."""
        with suppress(psutil.NoSuchProcess):
            return tuple(child.pid for child in psutil.Process(self.pid).children(recursive=True))
        return ()

    def wait_for_child(self, part: str) -> int:
        """Wait until a process with these words in its command runs below it; return its id."""
        return cast(int, until(lambda: next((pid for pid in self.offspring() if part in command_of(pid)), None)))

    def told(self, number: signal.Signals) -> int:
        """Send a signal and return how it ended; it must end soon."""
        os.kill(self.pid, number)
        return self._process.wait(ENDS_WITHIN_S)

    def ended(self) -> int:
        """Wait until it ends by itself, which must be soon, and return how."""
        return self._process.wait(SOON_S)

    def errors(self) -> str:
        """Return what it wrote to stderr, when it has ended."""
        return cast(IO[str], self._process.stderr).read()


def command_of(pid: int) -> str:
    """Return the command of a process; empty when it is gone."""
    with suppress(psutil.Error):
        return " ".join(psutil.Process(pid).cmdline())
    return ""


def gone(pids: tuple[int, ...]) -> bool:
    """Tell whether none of these processes runs any more; one that only waits to be reaped does not run."""
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                return False
    return True


def until(question: Callable[[], object], within_s: float = SOON_S) -> object:
    """Ask until the answer is yes, and return it."""
    gives_up = time.monotonic() + within_s
    while not (answer := question()):
        assert time.monotonic() < gives_up, "it did not happen in time"
        time.sleep(0.02)
    return answer
