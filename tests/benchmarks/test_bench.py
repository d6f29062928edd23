"""What a run makes before it measures, and what it may ask of a service."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis

from benchmarks.bench import Plan
from benchmarks.loadgen import Measured
from benchmarks.preparing import _work, prepare
from benchmarks.putting_back import kept, put_back
from benchmarks.section import Figure
from benchmarks.two_workers import BUSY, EACH_IN_FLIGHT, _together, family, room
from benchmarks.windows import ROOM
from service.rpc.server import OPTIONS
from service.store.keys import context_key


def test_no_more_calls_are_open_on_a_schedule_than_the_server_takes_of_one_connection() -> None:
    """What is refused beyond that limit would be told as a failure of the server, and is one of the benchmark."""
    streams = dict(OPTIONS)["grpc.max_concurrent_streams"]
    assert 2 * max(ROOM, EACH_IN_FLIGHT, *Plan().in_flight) < streams  # twice: those answered and not put away, too


def test_a_quick_run_leaves_time_to_end_in_three_minutes() -> None:
    """What is running when the time is up is stopped, and servers, tables and plots take some seconds then."""
    assert Plan.short().within_s == pytest.approx(165.0)
    assert Plan().within_s is None


def test_only_what_the_sections_need_is_prepared(tmp_path: Path) -> None:
    """One model for the decisions alone; three, and the generator of streams, for sections that serve more sizes."""
    few, many = (len([*_work(tmp_path, 100, names, print)]) for names in (["decide"], ["decide", "matrix", "stream"]))
    assert many - few in (2, 3)  # without gRPC for C++ nothing is built


def test_what_cannot_be_prepared_is_left_to_its_section(tmp_path: Path) -> None:
    """A strategy of three actions cannot be made: whoever wants it says so, and the others are measured."""
    said: list[str] = []
    prepare(tmp_path, 3, ["decide"], said.append)
    assert said == []


def test_a_family_is_a_process_and_all_below_it() -> None:
    """Workers are children of their supervisor, and what they started counts too."""
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'])"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdin is not None
        parent.stdout.readline()
        found = family(parent.pid)
        parent.stdin.write(b"\n")
        parent.stdin.flush()
    assert len(found) == 2
    assert found[0] == parent.pid
    assert {*found} < {*family(os.getpid()), *found}


def test_clients_together_are_the_sum_of_their_rates() -> None:
    """Two clients of 1,000 and 500 calls a second see two processes of the service and its store.

    Those of the service spend 0.6 s of each second, 400 µs a call; the store 0.2 s, each client 0.1 s: 1 core in all.
    """
    seen = [
        Measured(
            2, 2, 2, {}, {}, 0, seconds, rate, {"p50": p50, "p99": 9.0}, 0, {}, seconds / 10,
            {1: 0.3 * seconds, 2: 0.3 * seconds, 3: 0.2 * seconds},
        )
        for seconds, rate, p50 in ((2.0, 1_000.0, 1.0), (1.0, 500.0, 3.0))
    ]  # fmt: skip
    together = _together(seen, (1, 2), 95.0)
    assert (together.throughput, together.p50_us, together.p99_us, together.memory_mb) == (1_500.0, 2.0, 9.0, 95.0)
    assert together.cpu_us == pytest.approx(400.0)
    assert together.cores == pytest.approx(1.0)


def test_room_for_two_workers_is_what_one_leaves() -> None:
    """One that keeps 1.6 of two cores busy leaves room for a quarter more."""
    assert " 1.25 times " in room([Figure("one worker", {"workers": 1}, BUSY, "share", (1.5, 1.6, 1.9))])


def test_every_section_finds_customers_as_they_were_loaded(clean_store_url: str) -> None:
    """What one section counted is gone in the next, and how long something lives stays; nobody is made up."""
    ada, bo, nobody = map(context_key, ("ada", "bo", "nobody"))
    with Redis.from_url(clean_store_url) as store:
        store.hset(ada, mapping={"i": "ada", "f": b"\x00\xff"})
        store.hset(bo, mapping={"i": "bo"})
        store.pexpire(bo, 90_000)
        loaded = kept(store, ("ada", "bo", "nobody"))
        store.hset(ada, mapping={"u": "used", "f": "changed"})
        store.persist(bo)
        put_back(store, loaded)
        assert store.hgetall(ada) == {b"i": b"ada", b"f": b"\x00\xff"}
        assert 0 < store.pttl(bo) <= 90_000
        assert store.pttl(ada) == -1
        assert not store.exists(nobody)
