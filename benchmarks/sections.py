"""The parts of the benchmark, in the order in which they run. A part is a module with a `SECTION`."""

from __future__ import annotations

from importlib import import_module

from benchmarks.section import Section

MODULES = (
    "compare",
    "streaming",
    "telemetry_cost",
    "log_cost",
    "matrix",
    "latency",
    "two_workers",
    "store_cost",
    "commit_script",
    "ingestion",
    "cold_start",
    "peers.section",
    "growth",
    "soak",
)


def sections() -> tuple[Section, ...]:
    """Return all parts; raise `ImportError` where one needs what is not installed."""
    return tuple(import_module(f"benchmarks.{name}").SECTION for name in MODULES)
