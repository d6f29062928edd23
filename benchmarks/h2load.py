"""Where the load generator cannot be built: h2load of nghttp2, with the checks that it does not make itself.

h2load does not read grpc-status: refused calls count as answered ones. So calls of gRPC's own client before and after
must be answered with OK and with something; in between, the mean size of an answer and of its headers must be those of
answers, for a refusal has no body and a long header; and of decisions the log must grow. It sends one request over and
over, keeps no schedule, and tells no tail beyond the latencies of its log: ratios of it are rougher.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import grpc

from benchmarks.evidence import NotDecided
from benchmarks.loadgen import SAMPLE, Load, Measured, read_messages
from benchmarks.processes import bound
from benchmarks.section import NotMeasured

PROBES = 20
LEAST_S = 1.0  # it starts slowly, and decisions about one customer wait for each other
MOST_HEADER_BYTES = 40.0  # of an answer, as HPACK packs it: 5 to 15; a refusal without a text takes 60 and more
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
_COUNTS = re.compile(r"requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded")
_TRAFFIC = re.compile(r"traffic: .*\((\d+)\) total, .*\((\d+)\) headers .*\((\d+)\) data")


def is_there() -> bool:
    """Return whether h2load is installed."""
    return shutil.which("h2load") is not None


def drive(load: Load, core: int | None = None) -> Measured:
    """Run one load; raise `NotDecided` where answers were no answers, `NotMeasured` where h2load cannot do it."""
    if load.rate:
        raise NotMeasured("h2load keeps no schedule; the load generator in C++ does (Debian: libgrpc++-dev)")
    place, request = _telling(load)
    replies = _probed(load, [request] * PROBES)
    if load.samples:
        load.samples.write_bytes(b"".join(SAMPLE.pack(place, len(reply)) + reply for reply in replies))
    with tempfile.TemporaryDirectory(prefix="tact-h2load-") as folder:
        warmed = run(load, request, LEAST_S, Path(folder), core) if load.warmup_s else None
        before, own = [_cpu_s(pid) for pid in load.watched], _own_cpu_s()
        ran = run(load, request, max(LEAST_S, load.seconds), Path(folder), core)
        spent = {pid: _cpu_s(pid) - then for pid, then in zip(load.watched, before, strict=True)}
        own = _own_cpu_s() - own
    _probed(load, [request] * PROBES)
    calls = ran.done + (warmed.done if warmed else 0) + len(replies)
    sizes = {"min": float(min(map(len, replies))), "mean": ran.mean_bytes, "max": float(max(map(len, replies)))}
    return Measured(
        requests=ran.done, ok=ran.done, ok_in_all=calls, errors={}, error_texts={}, unsent=0, seconds=ran.seconds,
        throughput=ran.done / ran.seconds, latency_us=_percentiles(ran.latencies_us),
        bytes_received=round(ran.mean_bytes * ran.done), reply_bytes=sizes, client_cpu_s=own, cpu_s=spent,
    )  # fmt: skip


class Ran:
    """What one run of h2load printed and logged."""

    def __init__(self, said: str, log: Path, seconds: float) -> None:
        counts, traffic = _COUNTS.search(said), _TRAFFIC.search(said)
        if not counts or not traffic or not int(counts[2]):
            raise NotDecided(f"h2load was not answered:\n{said[-1500:]}")
        self.done, self.seconds = int(counts[2]), seconds
        self.header_bytes = int(traffic[2]) / self.done
        self.mean_bytes = int(traffic[3]) / self.done - 5  # what gRPC puts before each message
        self.latencies_us = sorted(int(line.split("\t")[2]) for line in log.read_text().splitlines())


def run(load: Load, request: bytes, seconds: float, folder: Path, core: int | None = None) -> Ran:
    """Run h2load for so long; raise `NotDecided` where the answers were no answers."""
    body, log = folder / "request", folder / "log"
    body.write_bytes(b"\0" + struct.pack(">I", len(request)) + request)
    log.unlink(missing_ok=True)
    command = ["h2load", "-c", "1", "-t", "1", "-m", str(load.in_flight), "-D", f"{seconds * 1000:.0f}ms"]
    command += ["-d", str(body), "--log-file", str(log), "-H", "content-type: application/grpc", "-H", "te: trailers"]
    pinned = bound(core) if core is not None else []
    began = time.monotonic()
    said = subprocess.run(
        [*pinned, *command, f"http://{load.target}{load.method}"],
        capture_output=True, text=True, check=True, timeout=seconds + 60,
    ).stdout  # fmt: skip
    ran = Ran(said, log, min(seconds, time.monotonic() - began))
    if ran.mean_bytes < 1 or ran.header_bytes > MOST_HEADER_BYTES:
        raise NotDecided(
            f"{load.method}: answers of {ran.mean_bytes:.0f} bytes with headers of {ran.header_bytes:.0f} bytes in the "
            "mean, so some were refusals"
        )
    return ran


def _telling(load: Load) -> tuple[int, bytes]:
    """Return, of the first requests, the one that is answered with most, and its place: a decision, not a silence."""
    first = list(islice(read_messages(load.requests), PROBES))
    sizes = [len(reply) for reply in _probed(load, first)]
    place = sizes.index(max(sizes))
    return place, first[place]


def _probed(load: Load, requests: Sequence[bytes]) -> list[bytes]:
    """Call as any client would, which reads the status; return the answers."""
    with grpc.insecure_channel(load.target) as channel:
        call: Callable[..., bytes] = channel.unary_unary(load.method)
        try:
            replies = [call(request, timeout=load.timeout_s) for request in requests]
        except grpc.RpcError as error:
            raise NotDecided(f"{load.method}: {error.code().name}: {error.details()}") from None
    if not all(replies):
        raise NotDecided(f"{load.method}: an empty answer")
    return replies


def _percentiles(latencies_us: list[int]) -> dict[str, float]:
    last = len(latencies_us) - 1
    found = {name: float(latencies_us[min(last, int(share * (last + 1)))]) for name, share in PERCENTILES.items()}
    return found | {"mean": sum(latencies_us) / len(latencies_us)}


def _cpu_s(pid: int) -> float:
    """Return the user and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _own_cpu_s() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime
