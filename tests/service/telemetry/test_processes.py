"""Telemetry of services that run in processes of their own, as they are started from the command line."""

import asyncio
import signal
import subprocess
import sys
import time

import pytest

from tests.cli.commands import ROOT, Process
from tests.service.telemetry.collector import collecting
from tests.service.telemetry.collector import until as it_is
from tests.service.telemetry.world import number, scraped


def test_a_collector_that_never_answers_holds_up_neither_prometheus_nor_the_end(store: str) -> None:
    """Whoever starts a service with any port for metrics hears which one it is, and Prometheus reads there.

    With a collector that hangs as well; and SIGTERM ends the service within 2 seconds and what the rest of it takes.
    """
    with collecting(how="hangs") as collector:
        words = ("serve", "--store", store, "--port", 0, "--metrics-port", 0, "--otlp", collector.url, "--json")
        with Process(*words, "--trace-share", 1).serving() as running:
            it_is(lambda: collector.asked)
            families = asyncio.run(scraped(running.said["metrics_port"]))
            assert number(families, "tact_version_info", strategy=running.said["strategy"]) == 1
            assert number(families, "process_resident_memory_bytes") > 2**20
            assert number(families, "process_cpu_seconds_total") > 0.1
            assert number(families, "process_open_fds") > 3
            began = time.monotonic()
            assert running.told(signal.SIGTERM) == 0
            assert time.monotonic() - began < 4.0


def test_what_sends_is_loaded_only_where_something_is_sent() -> None:
    """A service without a collector holds neither the SDK of OpenTelemetry nor its encoders in memory."""
    program = "import sys, service.app; print(*(name for name in sys.modules if name.startswith('opentelemetry')))"
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name for name in ran.stdout.split() if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))}
    assert "opentelemetry.metrics" in ran.stdout
    assert loaded == set()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shares a port out among processes")
def test_each_worker_tells_of_itself(store: str, free_port: int) -> None:
    """Of two workers each has a port of its own, in a row, and is a process of its own to a collector."""
    with collecting() as collector:
        words = ("serve", "--store", store, "--port", 0, "--workers", 2, "--metrics-port", free_port, "--json")
        with Process(*words, "--otlp", collector.url).serving() as running:
            assert running.said["metrics_port"] == free_port
            told = [asyncio.run(scraped(free_port + worker)) for worker in range(2)]
            assert all(number(families, "tact_store_away") == 0 for families in told)
            it_is(lambda: len({each["service.instance.id"] for each in collector.resources}) == 2)
