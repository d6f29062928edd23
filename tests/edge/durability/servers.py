"""Real servers that a test starts, pauses, kills and starts again: stores, their replicas, and sentinels."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis import Redis
from redis.exceptions import RedisError

from service.store.embedded import bundled_server, free_port
from tests.conftest import absent

STARTS_WITHIN_S = 20.0
MASTER = "tact"
FAILOVER_TIMEOUT_MS = 3000
"""For twice as long Sentinel starts no second fail-over: it needs a second to see that a new master answers."""


def programs() -> dict[str, Path]:
    """Return the servers that this machine has, by name: Valkey, which Tact brings, and redis-server."""
    found = shutil.which("redis-server")
    return {"valkey": bundled_server()} | ({"redis-server": Path(found)} if found else {})


def program(name: str) -> Path:
    """Return a server; skip where this machine does not have it."""
    if name not in programs():
        absent("There is no redis-server on the PATH (Debian: apt-get install redis-server).")
    return programs()[name]


def until(there: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait until something is so, and return how long that took (s); fail where it takes longer."""
    started = time.monotonic()
    while not there():
        assert time.monotonic() - started < seconds, f"after {seconds} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - started


class Server:
    """One server in a folder of its own, on a port that stays the same when it is started again."""

    def __init__(self, folder: Path, *options: object, program: Path, sentinel: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._folder, self._program, self._sentinel = folder, program, sentinel
        self.follows: Server | None = None
        self._options = [str(option) for option in options]
        self.bus_port = free_port() if "--cluster-enabled" in options else 0
        if self.bus_port:
            self._options += ["--cluster-port", str(self.bus_port)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """Its URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, *, wait: bool = True) -> Self:
        """Start it, and wait until it answers."""
        place = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--daemonize", "no"]
        if self._sentinel:
            command = [str(self._program), str(self._folder / "sentinel.conf"), "--sentinel"]
        else:
            of = ["--replicaof", f"127.0.0.1 {self.follows.port}"] if self.follows else []
            command = [str(self._program), *place, "--save", "", *self._options, *of]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        if wait:
            until(self._serves, STARTS_WITHIN_S, f"no answer; see {self._folder}/server.log")
        return self

    def kill(self) -> None:
        """Kill it, as a power cut of its process would; nothing where it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stop it where it is; it keeps its connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def ask(self, *command: object) -> Any:  # noqa: ANN401 - what a server replies
        """Send one command, with a client of another make."""
        with Redis(port=self.port, socket_timeout=10) as client:
            return client.execute_command(*command)

    def _serves(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "server.log").read_text()[-2000:]
        with suppress(RedisError, OSError):
            return bool(self.ask("PING"))
        return False


def sentinel_of(folder: Path, master: Server, *, down_after_ms: int, program: Path) -> Server:
    """Make a sentinel that watches a master with two others."""
    folder.mkdir(parents=True)
    sentinel = Server(folder, program=program, sentinel=True)
    (folder / "sentinel.conf").write_text(
        f"port {sentinel.port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor {MASTER} 127.0.0.1 {master.port} 2\n"
        f"sentinel down-after-milliseconds {MASTER} {down_after_ms}\n"
        f"sentinel failover-timeout {MASTER} {FAILOVER_TIMEOUT_MS}\nsentinel parallel-syncs {MASTER} 2\n"
    )
    return sentinel


class Watched:
    """A master with replicas under three sentinels.

    A fail-over that comes while the killed server still copies could promote that copy: Sentinel does not look whether
    a replica is in step, only which one has most.
    """

    def __init__(self, folder: Path, *, program: Path, replicas: int = 2, down_after_ms: int = 1000) -> None:
        options = (
            "--appendonly", "yes", "--min-replicas-to-write", 1, "--min-replicas-max-lag", 2,
            "--repl-diskless-sync-delay", 0, "--repl-ping-replica-period", 1, "--maxmemory-policy", "noeviction",
        )  # fmt: skip
        first = Server(folder / "0", *options, program=program)
        self.servers = [first, *(Server(folder / str(n + 1), *options, program=program) for n in range(replicas))]
        for replica in self.servers[1:]:
            replica.follows = first
        self.sentinels = [
            sentinel_of(folder / f"s{n}", first, down_after_ms=down_after_ms, program=program) for n in range(3)
        ]

    def __enter__(self) -> Self:
        try:
            for server in self.servers:
                server.start()
            until(lambda: self.led_by(self.servers[0]), STARTS_WITHIN_S, "the replicas do not follow")
            for sentinel in self.sentinels:
                sentinel.start()
            until(self.watched, STARTS_WITHIN_S, "the sentinels do not see one another")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for server in (*self.sentinels, *self.servers):
            server.kill()

    @property
    def url(self) -> str:
        """The URL of the master, by its sentinels."""
        places = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{places}/{MASTER}/0"

    @property
    def master(self) -> Server:
        """The server that the first sentinel names."""
        port = int(self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)[1])
        return next(server for server in self.servers if server.port == port)

    def led_by(self, master: Server) -> bool:
        """Tell whether a server is a master, and all others follow it."""
        with suppress(RedisError, OSError):
            told = master.ask("INFO", "replication")
            states = [told.get(f"slave{n}", {}).get("state") for n in range(len(self.servers) - 1)]
            return bool(told["role"] == "master" and all(state == "online" for state in states))
        return False

    def fail_over(self, *, within_s: float) -> float:
        """Kill the master, wait for the next one, and let the killed one follow that; return how long it was away."""
        killed = self.master
        killed.kill()
        took = until(lambda: self.master is not killed and _is_master(self.master), within_s, "nobody took over")
        killed.follows = self.master
        killed.start()
        until(lambda: self.led_by(self.master), STARTS_WITHIN_S, "the killed one does not follow")
        until(self.watched, STARTS_WITHIN_S, "the sentinels do not see all")
        return took

    def watched(self) -> bool:
        """Tell whether every sentinel knows the two others and all replicas."""
        for sentinel in self.sentinels:
            flat = sentinel.ask("SENTINEL", "MASTER", MASTER)
            told = flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))
            names = {_text(name): _text(value) for name, value in told.items()}
            if names["num-other-sentinels"] != "2" or names["num-slaves"] != str(len(self.servers) - 1):
                return False
        return True


def _is_master(server: Server) -> bool:
    with suppress(RedisError, OSError):
        return bool(server.ask("INFO", "replication")["role"] == "master")
    return False


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
