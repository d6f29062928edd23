"""Where h2load makes the calls, refusals do not count as answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import floor, h2load, loadgen
from benchmarks.evidence import NotDecided
from benchmarks.loadgen import Load
from benchmarks.processes import Pinned
from benchmarks.section import NotMeasured
from tests.benchmarks.conftest import REPLY_BYTES, REQUEST
from tests.conftest import absent


@pytest.fixture
def load(floor_server: Pinned, requests_file: Path, tmp_path: Path) -> Load:
    """Return a short load."""
    if not h2load.is_there():
        absent("h2load is not installed (Debian: nghttp2-client).")
    return Load(
        floor_server.target, floor.METHOD, requests_file, in_flight=4, seconds=0.5, warmup_s=0.2,
        watched=(floor_server.pid,), samples=tmp_path / "samples",
    )  # fmt: skip


def test_h2load_tells_what_the_load_generator_tells(load: Load) -> None:
    """Answers, their size, latencies in order, CPU of server and client, and samples of the first request."""
    seen = h2load.drive(load)
    assert seen.ok == seen.requests > 50
    assert seen.ok_in_all > seen.ok
    assert seen.reply_bytes == {"min": REPLY_BYTES, "mean": pytest.approx(REPLY_BYTES), "max": REPLY_BYTES}
    assert seen.throughput * seen.latency_us["mean"] / 1e6 == pytest.approx(load.in_flight, rel=0.25)
    assert [seen.latency_us[name] for name in h2load.PERCENTILES] == sorted(
        seen.latency_us[name] for name in h2load.PERCENTILES
    )
    assert 0 < seen.cpu_s[load.watched[0]] <= 1.0
    assert seen.client_cpu_s > 0
    assert load.samples is not None
    samples = list(loadgen.read_samples(load.samples))
    assert len(samples) == h2load.PROBES
    assert {index for index, _ in samples} == {0}
    assert all(reply == (REQUEST * REPLY_BYTES)[:REPLY_BYTES] for _, reply in samples)


def test_refused_calls_are_no_answers(load: Load, tmp_path: Path) -> None:
    """h2load calls NOT_FOUND a success; the probes before it do not, and say what the server said."""
    stranger = loadgen.write_messages(tmp_path / "stranger", [REQUEST.replace(b"anna", b"otto")])
    with pytest.raises(NotDecided, match="NOT_FOUND: the store does not know this customer"):
        h2load.drive(replace(load, requests=stranger))


def test_refusals_in_between_are_noticed(load: Load, tmp_path: Path) -> None:
    """Also while nobody reads the status: answers without a body, or with long headers, end the run."""
    assert h2load.run(load, REQUEST, 0.3, tmp_path).header_bytes < h2load.MOST_HEADER_BYTES / 2
    with pytest.raises(NotDecided, match="some were refusals"):
        h2load.run(load, REQUEST.replace(b"anna", b"otto"), 0.3, tmp_path)


def test_a_schedule_is_not_pretended(load: Load) -> None:
    """h2load keeps none that is free of coordinated omission, so latency at a rate is not measured by it."""
    with pytest.raises(NotMeasured, match="schedule"):
        h2load.drive(replace(load, rate=100.0))
