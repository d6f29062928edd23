"""Decisions as a table: its columns, their types, and the version of this form.

One row is one placement of one decision. A folder of parts holds such rows in `decisions-*.parquet` (or `.csv`) and
what came of them in `outcomes-*.parquet`, joined by `decision_id` and `action`; a table of one file may hold the
outcomes in its column `outcomes` instead. `docs/log.md` shows the same.

    schema = decision_schema({"past.purchases": ValueType.INT})    # pyarrow, imported here and nowhere in serving
    schema.metadata[b"tact.table"]                                 # b"1"

A row that training can use has the columns of `REQUIRED`; every other column may be missing or null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from models.context import ValueType

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 1
"""The version of this form; a reader refuses a greater one. New columns do not change it, new meanings do."""

VERSION_KEY = b"tact.table"
"""Where the version stands in the metadata of a Parquet file."""

NOTHING = "nothing"
"""The action of a placement at which nothing was said."""

FEATURE = "feature."
"""What the names of feature columns begin with; the id of the field follows."""

DECISIONS, OUTCOMES = "decisions-", "outcomes-"
"""What the names of the parts in a folder begin with."""


class Policy(StrEnum):
    """How the action of a row was chosen."""

    GREEDY = "greedy"
    EPSILON_GREEDY = "epsilon_greedy"
    SOFTMAX = "softmax"
    THOMPSON = "thompson"
    CONTROL = "control"
    HOLDOUT = "holdout"


class Kind(StrEnum):
    """The type of a column; `MOMENT` is milliseconds since 1970 in UTC."""

    TEXT = "text"
    REAL = "real"
    WHOLE = "whole"
    TRUTH = "truth"
    MOMENT = "moment"
    TEXTS = "texts"
    CANDIDATES = "candidates"
    SHADOW = "shadow"
    OUTCOMES = "outcomes"
    MOMENTS = "moments"
    USES = "uses"
    REFUSALS = "refusals"
    PROMISES = "promises"
    SEEN = "seen"


@dataclass(frozen=True, slots=True)
class Column:
    """One column, or one part of a struct: its name, type and meaning."""

    name: str
    kind: Kind
    says: str


CANDIDATE: tuple[Column, ...] = (
    Column("action", Kind.TEXT, "The action."),
    Column("propensity", Kind.REAL, "Probability of its outcome when it is said; null where nothing was scored."),
    Column("baseline", Kind.REAL, "Probability of its outcome when nothing is said; null where no model knows it."),
    Column("net_value", Kind.REAL, "What it was thought to be worth over saying nothing, in the strategy's currency."),
    Column("probability", Kind.REAL, "Probability with which it was planned to be said, 0 to 1."),
)
"""The parts of a candidate."""

OUTCOME: tuple[Column, ...] = (
    Column("action", Kind.TEXT, "The action of the decision that this is about."),
    Column("kind", Kind.TEXT, "shown, clicked, accepted, refused, not_now, never, or a name of your own."),
    Column("at", Kind.MOMENT, "When it happened."),
    Column("amount", Kind.REAL, "What it was worth in the strategy's currency; 0 or null where it has no amount."),
)
"""The parts of an outcome."""

OUTCOME_ROW: tuple[Column, ...] = (
    Column("decision_id", Kind.TEXT, "The decision. Required."),
    Column("customer_id", Kind.TEXT, "The person whose decision it is; null where that is not known."),
    *OUTCOME,
)
"""The columns of a part of outcomes."""

SHADOW: tuple[Column, ...] = (
    Column("model", Kind.TEXT, "The version of the challenger that was scored beside and had no say."),
    Column("candidates", Kind.CANDIDATES, "What it said of the candidates."),
)
"""The parts of `shadow`."""

USE: tuple[Column, ...] = (
    Column("counter", Kind.TEXT, "The counter: the id of the cap and, behind a vertical bar, what it counts for."),
    Column("at", Kind.MOMENTS, "When it was used, the latest uses that decide, ascending."),
)
"""The parts of a counter that was used up."""

REFUSAL: tuple[Column, ...] = (
    Column("action", Kind.TEXT, "The action that the customer said no to."),
    Column("group", Kind.TEXT, "Its group of then."),
    Column("intents", Kind.TEXTS, "Its intents of then."),
    Column("kind", Kind.TEXT, "refused, not_now or never."),
    Column("at", Kind.MOMENT, "When the customer said so."),
    Column("mark", Kind.TEXT, "Tells answers apart: the same answer told again has the same mark."),
)
"""The parts of a refusal."""

PROMISE: tuple[Column, ...] = (
    Column("key", Kind.TEXT, "The id of the rule and, behind a vertical bar, which actions it is about."),
    Column("action", Kind.TEXT, "The action that is promised."),
    Column("given", Kind.MOMENT, "Since when."),
    Column("until", Kind.MOMENT, "Until when, if nothing else ends it."),
    Column("decision_id", Kind.TEXT, "The decision that gave it."),
    Column("held", Kind.TRUTH, "Whether it held in this decision: its material facts had not changed."),
)
"""The parts of a promise."""

SEEN: tuple[Column, ...] = (
    Column("draw", Kind.REAL, "The dice of the placement, at least 0 and below 1."),
    Column("permitted", Kind.TRUTH, "Whether the customer might be contacted unasked on the channel."),
    Column("used", Kind.USES, "The counters of caps that were used up."),
    Column("refusals", Kind.REFUSALS, "What the customer had said no to, where the strategy looks at that."),
    Column("promises", Kind.PROMISES, "What had been promised, where the strategy looks at that."),
    Column("off", Kind.TEXTS, "The actions that operators had switched off."),
    Column("everything_off", Kind.TRUTH, "Whether they had switched everything off."),
    Column("trigger", Kind.TEXT, "The trigger that made it due; empty where somebody asked."),
)
"""The parts of `seen`."""

COLUMNS: tuple[Column, ...] = (
    Column("decision_id", Kind.TEXT, "The decision. Required."),
    Column("placement", Kind.TEXT, "The placement of the decision that this row is about; null where there is one."),
    Column("at", Kind.MOMENT, "When it was decided. Required."),
    Column("customer_id", Kind.TEXT, "The person; rows of one person are not independent. Required."),
    Column("channel", Kind.TEXT, "The channel on which it was asked."),
    Column("strategy", Kind.TEXT, "The version of the strategy, such as demo@3f9a0c11d2e4."),
    Column("model", Kind.TEXT, "The version of the model; null where priors were used."),
    Column("level", Kind.TEXT, "The consent level that was decided under."),
    Column("candidates", Kind.CANDIDATES, "The ranked candidates, the first that was tried first."),
    Column("pool", Kind.WHOLE, "Out of how many actions exploration could have drawn."),
    Column("policy", Kind.TEXT, "How it was chosen: " + ", ".join(Policy) + "."),
    Column("action", Kind.TEXT, "What was said, `nothing` where nothing was. Required."),
    Column("probability", Kind.REAL, "The exact probability of that, above 0 and at most 1. Required."),
    Column("propensity", Kind.REAL, "The propensity of what was said."),
    Column("baseline", Kind.REAL, "The baseline of what was said."),
    Column("net_value", Kind.REAL, "The net value of what was said."),
    Column("allowed", Kind.TEXTS, "All actions that might have been said; null where that is not known."),
    Column("shadow", Kind.SHADOW, "What a challenger said of the same decision; null where there was none."),
    Column("seen", Kind.SEEN, "What it was decided from beside the features; null where that is not known."),
    Column("outcomes", Kind.OUTCOMES, "What came of it; null in a folder with parts of outcomes."),
)
"""The columns besides `feature.<field id>`, in their order."""

PARTS: Mapping[Kind, tuple[Column, ...]] = {
    Kind.CANDIDATES: CANDIDATE,
    Kind.SHADOW: SHADOW,
    Kind.OUTCOMES: OUTCOME,
    Kind.USES: USE,
    Kind.REFUSALS: REFUSAL,
    Kind.PROMISES: PROMISE,
    Kind.SEEN: SEEN,
}
"""The parts of the columns that have some."""

REQUIRED = ("decision_id", "at", "customer_id", "action", "probability")
"""The columns without which a table is refused."""

KINDS: Mapping[ValueType, Kind] = {
    ValueType.BOOL: Kind.TRUTH,
    ValueType.INT: Kind.WHOLE,
    ValueType.DOUBLE: Kind.REAL,
    ValueType.STRING: Kind.TEXT,
    ValueType.TIMESTAMP: Kind.MOMENT,
    ValueType.STRINGS: Kind.TEXTS,
}
"""The type of the column of a field's type."""


def feature_column(field: str) -> str:
    """Return the name of the column of a field."""
    return FEATURE + field


def feature_of(column: str) -> str | None:
    """Return the field of a column, or None where it is no feature."""
    return column.removeprefix(FEATURE) if column.startswith(FEATURE) else None


def arrow_type(kind: Kind) -> pa.DataType:
    """Return the Arrow type of a column."""
    import pyarrow as pa

    match kind:
        case Kind.TEXT:
            return pa.string()
        case Kind.REAL:
            return pa.float64()
        case Kind.WHOLE:
            return pa.int64()
        case Kind.TRUTH:
            return pa.bool_()
        case Kind.MOMENT:
            return pa.timestamp("ms", tz="UTC")
        case Kind.TEXTS:
            return pa.list_(pa.string())
        case Kind.MOMENTS:
            return pa.list_(arrow_type(Kind.MOMENT))
        case Kind.SHADOW | Kind.SEEN:
            return _struct(PARTS[kind])
        case _:
            return pa.list_(_struct(PARTS[kind]))


def decision_schema(features: Mapping[str, ValueType], metadata: Mapping[bytes, bytes] | None = None) -> pa.Schema:
    """Return the schema of a table of decisions with these fields, which stand after `level` in their order."""
    import pyarrow as pa

    columns = [pa.field(one.name, arrow_type(one.kind)) for one in COLUMNS]
    place = next(i for i, one in enumerate(COLUMNS) if one.name == "candidates")
    known = [pa.field(feature_column(name), arrow_type(KINDS[kind])) for name, kind in features.items()]
    return pa.schema(columns[:place] + known + columns[place:], metadata=_stamped(metadata))


def outcome_schema(metadata: Mapping[bytes, bytes] | None = None) -> pa.Schema:
    """Return the schema of a part of outcomes: the decision, the person, and the parts of an outcome."""
    import pyarrow as pa

    return pa.schema([pa.field(one.name, arrow_type(one.kind)) for one in OUTCOME_ROW], metadata=_stamped(metadata))


def readable(metadata: Mapping[bytes, bytes] | None) -> bool:
    """Tell whether a table of this metadata can be read: one without a version counts as of this form."""
    version = (metadata or {}).get(VERSION_KEY, b"1")
    return version.isdigit() and 1 <= int(version) <= VERSION


def _struct(parts: tuple[Column, ...]) -> Any:  # noqa: ANN401 - pyarrow is not imported where this is read
    import pyarrow as pa

    return pa.struct([pa.field(one.name, arrow_type(one.kind)) for one in parts])


def _stamped(metadata: Mapping[bytes, bytes] | None) -> dict[bytes, bytes]:
    return {VERSION_KEY: str(VERSION).encode(), **(metadata or {})}
