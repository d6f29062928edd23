"""The load generator: built from benchmarks/load once, then run as a process of its own."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import bound, ran

SOURCE = Path(__file__).parent / "load"
BUILT = Path(__file__).parent.parent / ".bench" / "load"
LENGTH = struct.Struct("<I")
SAMPLE = struct.Struct("<II")
GRACE_S = 30.0  # for the connection, the last calls and the report, beyond warm-up, window and timeout


class CannotBuild(Exception):
    """The load generator cannot be built here: the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Load:
    """How to load one method: calls open at once, seconds, and calls a second on a fixed schedule (0: closed loop).

    `watched` are processes whose CPU time over the window is reported. One reply in `sample_every` goes to `samples`.
    """

    target: str
    method: str
    requests: Path
    in_flight: int = 8
    seconds: float = 3.0
    warmup_s: float = 1.0
    rate: float = 0.0
    timeout_s: float = 5.0
    watched: tuple[int, ...] = ()
    samples: Path | None = None
    sample_every: int = 100


@dataclass(frozen=True, slots=True)
class Measured:
    """What the load generator saw in the window. Latencies (of OK answers only) in microseconds, by percentile name.

    `requests` counts those started or due in the window, `ok` the OK answers among them, `ok_in_all` all OK answers
    with those before and after; `throughput` is the OK answers a second that arrived in the window. `errors` counts by
    the name of the gRPC status, before and after the window too; `error_texts` holds the first message of each.
    `cpu_s` holds seconds by process.
    `curve` is the whole distribution: share of the calls, and the microseconds within which they were answered.
    """

    requests: int
    ok: int
    ok_in_all: int
    errors: dict[str, int]
    error_texts: dict[str, str]
    unsent: int
    seconds: float
    throughput: float
    latency_us: dict[str, float]
    bytes_received: int
    reply_bytes: dict[str, float]
    client_cpu_s: float
    cpu_s: dict[int, float]
    curve: tuple[tuple[float, float], ...] = ()

    def cpu_us_a_call(self, pid: int) -> float:
        """Return the CPU time that a watched process spent on each answered call, in microseconds."""
        return 1e6 * self.cpu_s[pid] / (self.throughput * self.seconds) if self.throughput else 0.0


def missing() -> str:
    """Say what is missing to build the load generator; empty when nothing is."""
    programs = [name for name in ("g++", "make", "pkg-config") if shutil.which(name) is None]
    if programs:
        return f"not installed: {', '.join(programs)}"
    found = subprocess.run(["pkg-config", "--exists", "grpc++", "protobuf"], check=False)
    return "" if found.returncode == 0 else "gRPC for C++ is not installed (Debian: libgrpc++-dev)"


def build(program: Path = BUILT) -> Path:
    """Build the load generator unless it is newer than its source; return the program. Raise `CannotBuild`."""
    lacking = missing()
    if lacking:
        raise CannotBuild(f"The load generator cannot be built: {lacking}.")
    made = subprocess.run(
        ["make", "--silent", "-C", str(SOURCE), f"OUT={program.resolve()}"], capture_output=True, text=True, check=False
    )
    if made.returncode:
        raise CannotBuild(f"The load generator does not build:\n{made.stderr}")
    return program


def drive(program: Path, load: Load, *, core: int | None = None) -> Measured:
    """Run one load, on one core if named; raise `subprocess.CalledProcessError` when it could not be run."""
    pinned = bound(core) if core is not None else []
    longest_s = load.warmup_s + load.seconds + load.timeout_s + GRACE_S
    return parse(json.loads(ran([*pinned, *command(program, load)], longest_s)))


def command(program: Path, load: Load) -> list[str]:
    """Spell the load as the program wants it."""
    words: list[object] = [program, load.target, load.method, load.requests]
    words += ["--in-flight", load.in_flight, "--seconds", load.seconds, "--warmup", load.warmup_s, "--rate", load.rate]
    words += ["--timeout", load.timeout_s]
    for pid in load.watched:
        words += ["--watch", pid]
    if load.samples is not None:
        words += ["--samples", load.samples, "--sample-every", load.sample_every]
    return [str(word) for word in words]


def parse(said: dict[str, Any]) -> Measured:
    """Read what the program printed."""
    return Measured(
        requests=said["requests"],
        ok=said["ok"],
        ok_in_all=said["ok_in_all"],
        errors=said["errors"],
        error_texts=said["error_texts"],
        unsent=said["unsent"],
        seconds=said["seconds"],
        throughput=said["throughput"],
        latency_us=said["latency_us"],
        bytes_received=said["bytes_received"],
        reply_bytes=said["reply_bytes"],
        client_cpu_s=said["client_cpu_seconds"],
        cpu_s={int(pid): float(seconds) for pid, seconds in said["watched_cpu_seconds"].items()},
        curve=tuple((share, us) for share, us in said["latency_curve"]),
    )


def write_messages(path: Path, messages: Iterable[bytes]) -> Path:
    """Write request messages as the load generator reads them: length, then bytes."""
    with path.open("wb") as file:
        for message in messages:
            file.write(LENGTH.pack(len(message)) + message)
    return path


def read_messages(path: Path) -> Iterator[bytes]:
    """Read what `write_messages` wrote."""
    data = path.read_bytes()
    at = 0
    while at < len(data):
        (size,) = LENGTH.unpack_from(data, at)
        yield data[at + LENGTH.size : at + LENGTH.size + size]
        at += LENGTH.size + size


def read_samples(path: Path) -> Iterator[tuple[int, bytes]]:
    """Read the kept replies, each with the index of its request in the file of requests."""
    data = path.read_bytes()
    at = 0
    while at < len(data):
        request, size = SAMPLE.unpack_from(data, at)
        at += SAMPLE.size
        yield request, data[at : at + size]
        at += size
