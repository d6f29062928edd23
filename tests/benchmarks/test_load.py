"""The load generator tells what happened: answers, statuses, sizes and latencies as they were."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from benchmarks import floor, loadgen
from benchmarks.loadgen import Load, Measured
from benchmarks.processes import Pinned
from tests.benchmarks.conftest import REPLY_BYTES, REQUEST


@pytest.fixture
def load(floor_server: Pinned, requests_file: Path) -> Load:
    """Return one second of eight calls in flight."""
    return Load(
        floor_server.target,
        floor.METHOD,
        requests_file,
        in_flight=8,
        seconds=1.0,
        warmup_s=0.3,
        watched=(floor_server.pid,),
    )


def test_the_floor_answers_every_request(load_program: Path, load: Load) -> None:
    """One second of load: every request is answered with OK, in full size, in a time that fits their number."""
    seen = loadgen.drive(load_program, load)
    assert seen.errors == {}
    assert seen.ok == seen.requests > 100
    assert seen.ok_in_all > seen.ok
    assert seen.reply_bytes == {"min": REPLY_BYTES, "mean": REPLY_BYTES, "max": REPLY_BYTES}
    assert seen.bytes_received == seen.ok * REPLY_BYTES
    assert seen.throughput * seen.seconds == pytest.approx(seen.ok, abs=2 * load.in_flight)
    # Little's law: calls in flight = calls a second x seconds a call.
    assert seen.throughput * seen.latency_us["mean"] / 1e6 == pytest.approx(load.in_flight, rel=0.15)
    names = ("p50", "p90", "p99", "p99.9", "max")
    assert sorted(seen.latency_us[name] for name in names) == [seen.latency_us[name] for name in names]


def test_cpu_time_is_that_of_the_window(load_program: Path, load: Load) -> None:
    """The server's CPU time over the window is more than nothing and at most the window, for it has one core."""
    seen = loadgen.drive(load_program, load)
    (spent,) = seen.cpu_s.values()
    assert 0.1 < spent <= 1.05
    assert 20 < seen.cpu_us_a_call(load.watched[0]) < 10_000
    assert 0 < seen.client_cpu_s < 1.5


def test_a_method_that_does_not_exist_is_no_success(load_program: Path, load: Load) -> None:
    """Calls to an unknown method count as UNIMPLEMENTED, with what the server said, and never as answers."""
    seen = loadgen.drive(load_program, dataclasses.replace(load, method="/tact.benchmarks.Floor/Nothing"))
    assert set(seen.errors) == {"UNIMPLEMENTED"}
    assert sum(seen.errors.values()) > seen.requests > 100  # those of the warm-up count, too
    assert seen.error_texts["UNIMPLEMENTED"]
    assert (seen.ok, seen.ok_in_all, seen.throughput, seen.bytes_received) == (0, 0, 0, 0)


def test_the_floor_reads_the_store(load_program: Path, load: Load, tmp_path: Path) -> None:
    """A customer whom the store does not know is NOT_FOUND: the floor cannot leave out the read."""
    stranger = loadgen.write_messages(tmp_path / "stranger", [REQUEST.replace(b"anna", b"otto")])
    seen = loadgen.drive(load_program, dataclasses.replace(load, requests=stranger, seconds=0.3))
    assert set(seen.errors) == {"NOT_FOUND"}


def test_more_in_flight_than_streams_is_no_error(load_program: Path, load: Load) -> None:
    """A client that keeps 64 calls open on one connection has none refused."""
    seen = loadgen.drive(load_program, dataclasses.replace(load, in_flight=64))
    assert seen.errors == {}
    assert seen.ok == seen.requests


def test_a_schedule_is_kept(load_program: Path, load: Load) -> None:
    """At 400 calls a second, 400 calls are due in a second and all are sent and answered."""
    seen = loadgen.drive(load_program, dataclasses.replace(load, rate=400.0))
    assert seen.requests == pytest.approx(400, abs=1)
    assert (seen.ok, seen.unsent, seen.errors) == (seen.requests, 0, {})


@pytest.mark.parametrize(("rate", "noticed"), [(400.0, True), (0.0, False)], ids=["schedule", "closed loop"])
def test_a_schedule_does_not_hide_a_stall(
    load_program: Path, load: Load, floor_server: Pinned, rate: float, noticed: bool
) -> None:
    """A server that stands still for 0.7 s of 3 s delays a tenth and more of the scheduled calls by more than 0.1 s.

    In a closed loop only the calls that are open notice: that is the coordinated omission that the schedule avoids.
    """
    with ThreadPoolExecutor(1) as pool:
        longer = dataclasses.replace(load, rate=rate, in_flight=8, warmup_s=0.0, seconds=3.0)
        running = pool.submit(loadgen.drive, load_program, longer)
        time.sleep(1.0)  # into the window, however slowly the program starts: the stall is the point, not a wait
        os.kill(floor_server.pid, signal.SIGSTOP)
        try:
            time.sleep(0.7)  # shorter than the floor waits for its store
        finally:
            os.kill(floor_server.pid, signal.SIGCONT)
        seen = running.result()
    assert seen.errors == {}
    assert (seen.latency_us["p90"] > 100_000) is noticed
    assert seen.latency_us["max"] > 300_000


def test_too_much_for_the_server_is_told(load_program: Path, load: Load) -> None:
    """What is due and cannot be sent in time is counted as unsent, not forgotten."""
    hurried = dataclasses.replace(load, rate=100_000.0, in_flight=4, seconds=0.2, timeout_s=0.5)
    seen = loadgen.drive(load_program, hurried)
    assert seen.requests == pytest.approx(20_000, abs=1)
    assert seen.unsent > 5_000
    assert seen.ok + seen.unsent + sum(seen.errors.values()) == seen.requests


def test_samples_name_their_request(load_program: Path, load: Load, tmp_path: Path) -> None:
    """Kept replies come with the index of the request they answer."""
    kept = tmp_path / "samples"
    loadgen.drive(load_program, dataclasses.replace(load, samples=kept, sample_every=7, seconds=0.4))
    samples = list(loadgen.read_samples(kept))
    assert {index for index, _ in samples} == {0, 1}
    for index, reply in samples:
        asked = (REQUEST, REQUEST + b"again")[index]
        assert reply == (asked * REPLY_BYTES)[:REPLY_BYTES]


@pytest.mark.parametrize("content", [b"", b"\x05\x00\x00\x00abc", b"\x01\x00"], ids=["empty", "cut", "cut length"])
def test_a_broken_file_of_requests_is_refused(load_program: Path, tmp_path: Path, content: bytes) -> None:
    """A file without messages, or with a cut one, ends the program with 2 and a sentence."""
    file = tmp_path / "broken"
    file.write_bytes(content)
    ran = subprocess.run([load_program, "127.0.0.1:1", "/a.B/C", file], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert str(file) in ran.stderr


def test_a_server_does_not_outlive_its_benchmark(tmp_path: Path) -> None:
    """After kill -9 of a benchmark its servers are gone, too."""
    script = (
        "import sys, time; from pathlib import Path; from benchmarks.processes import Pinned\n"
        "said = \"import time; print('serving on x:1', flush=True); time.sleep(600)\"\n"
        "with Pinned([sys.executable, '-c', said], 0, Path(sys.argv[1]), lambda line: 1) as server:\n"
        "    print(server.pid, flush=True); time.sleep(600)"
    )
    root = Path(loadgen.__file__).parent.parent
    command = [sys.executable, "-c", script, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as runner:
        assert runner.stdout is not None
        server = psutil.Process(int(runner.stdout.readline()))
        assert server.is_running()
        runner.kill()
        psutil.wait_procs([server], timeout=10)
    assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE


def test_cpu_a_call_counts_answers_of_the_window() -> None:
    """Half a second of CPU for 1,000 answers a second over two seconds is 250 microseconds a call."""
    seen = Measured(2000, 2000, 2500, {}, {}, 0, 2.0, 1000.0, {}, 0, {}, 0.0, {7: 0.5})
    assert seen.cpu_us_a_call(7) == pytest.approx(250)
