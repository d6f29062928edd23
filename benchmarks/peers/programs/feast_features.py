"""Feast's part: `feast_features prepare FOLDER REDIS_HOST:PORT`."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Float64

from benchmarks.peers.programs.asked import COLUMNS, Asked, want
from benchmarks.peers.programs.messages import write_requests

VIEW = "customer"
NAMES = tuple(f"f{number:02d}" for number in range(COLUMNS))
CONFIG = """project: peers
registry: registry.db
provider: local
entity_key_serialization_version: 3
offline_store: {{type: file}}
online_store: {{type: redis, connection_string: "{redis}"}}
"""


def prepare(folder: Path, redis: str) -> None:
    """Declare 50 features of a customer, write them into a Redis, and requests about each customer."""
    (folder / "feature_store.yaml").write_text(CONFIG.format(redis=redis), encoding="utf-8")
    rows = Asked.read(folder).short
    frame = pd.DataFrame(rows, columns=list(NAMES)).assign(customer=customers(len(rows)), at=datetime.now(UTC))
    frame.to_parquet(folder / "rows.parquet")
    store = FeatureStore(repo_path=str(folder))
    customer = Entity(name="customer", join_keys=["customer"], value_type=ValueType.STRING)
    view = FeatureView(
        name=VIEW,
        entities=[customer],
        ttl=timedelta(days=1),
        schema=[Field(name=name, dtype=Float64) for name in NAMES],
        source=FileSource(path=str(folder / "rows.parquet"), timestamp_field="at"),
    )
    store.apply([customer, view])
    store.write_to_online_store(VIEW, frame)
    want(folder, rows)
    write_requests(folder, map(request, customers(len(rows))))


def customers(number: int) -> list[str]:
    """Name so many customers."""
    return [f"customer-{one:06d}" for one in range(number)]


def request(customer: str) -> bytes:
    """Return a call for all features of one customer."""
    asked = {"features": [f"{VIEW}:{name}" for name in NAMES], "entities": {"customer": [customer]}}
    return json.dumps(asked).encode()


if __name__ == "__main__":
    prepare(Path(sys.argv[2]), sys.argv[3])
