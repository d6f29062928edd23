"""The way to the store for tests that are not about time: beside other tests a machine can stand still for a second."""

from __future__ import annotations

from service.store.connection import Connections, MakeConnection
from service.store.pipeline import Connection

PATIENT_MS = 30_000


def patient(url: str, *, size: int = 1, protocol: MakeConnection = Connection) -> Connections:
    """Return connections that wait for a store that is slow, where a service would not."""
    return Connections(url, size=size, timeout_ms=PATIENT_MS, connect_timeout_ms=PATIENT_MS, protocol=protocol)
