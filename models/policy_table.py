"""Policies as a table: what the service computes of a log row by row, and what evaluations read.

One row is one row of the log, in the same order. Actions are numbers into the list `actions` of the metadata.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 1
METADATA = b"tact.policies"
"""Where the metadata of the file hold a JSON object: version, actions, strategy, model, currency, against."""
ARM = "arm."
"""What the names of the columns of arms begin with."""


def arm_column(arm: str) -> str:
    """Return the name of the column of an arm."""
    return ARM + arm


def policy_schema(arms: Sequence[str], metadata: Mapping[bytes, bytes]) -> pa.Schema:
    """Return the columns of a table of policies of these arms."""
    import pyarrow as pa

    chance = pa.struct([pa.field("action", pa.int32()), pa.field("probability", pa.float64())])
    return pa.schema(
        [
            pa.field("decision_id", pa.string()),
            pa.field("placement", pa.string()),
            pa.field("customer_id", pa.string()),
            pa.field("at", pa.int64()),
            pa.field("permitted", pa.list_(pa.int32())),
            pa.field("propensity", pa.float64()),
            pa.field("baseline", pa.float64()),
            pa.field("top", pa.int32()),
            pa.field("net", pa.float64()),
            pa.field("lift", pa.float64()),
            *(pa.field(arm_column(arm), pa.list_(chance)) for arm in arms),
        ],
        metadata=dict(metadata),
    )
