"""A service that a test kills and starts again."""

from __future__ import annotations

import signal
import subprocess
import threading
from typing import IO, cast

from service.store.embedded import free_port
from tests.cli.commands import DEMO, Process


class Service:
    """A service as a process of its own, on a port that stays the same when it is started again."""

    def __init__(self, store: str, *options: object) -> None:
        self._port = free_port()
        self._command = ("serve", "--store", store, "--strategy", DEMO, "--port", self._port, "--json", *options)
        self.target = f"127.0.0.1:{self._port}"
        self.starts = 0
        self.complaints: list[str] = []
        self._process: Process | None = None

    def start(self) -> None:
        """Start it, and wait until it serves; what it logs is read all the time, so that it never waits for that."""
        self._process = Process(*self._command).serving()
        threading.Thread(target=self._listen, args=(self._process._process,), daemon=True).start()
        self.starts += 1

    def kill(self) -> None:
        """Kill it, with what it may have started."""
        if self._process is not None:
            assert self._process.told(signal.SIGKILL) == -signal.SIGKILL
            self.end()

    def end(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self._process.__exit__(None, None, None)
            self._process = None

    def _listen(self, process: subprocess.Popen[str]) -> None:
        """Read what the service logs, and keep the errors."""
        try:
            for line in cast(IO[str], process.stderr):
                if " ERROR " in line:
                    self.complaints.append(line)
        except ValueError:
            return  # it was closed meanwhile
