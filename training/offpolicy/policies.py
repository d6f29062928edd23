"""Read a table of policies, and put its rows in the order of logged decisions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.policy_table import ARM, METADATA, VERSION

from ..decisions import NOTHING, Decisions
from ..errors import TrainingRefused
from ..log.build import Built
from ..log.chunk import code_of, is_kept

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]

_NUMBERS = ("propensity", "baseline", "top", "net", "lift")
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Sparse:
    """A matrix of shape (rows, actions) of which most is 0: row i holds the entries from `starts[i]` on.

    `actions` and `chances` are (entries,), `starts` is (rows + 1,).
    """

    starts: Whole
    actions: Codes
    chances: Floats

    def filled(self, rows: Whole, size: int) -> Floats:
        """Return some rows in full, (rows, size)."""
        counts = self.starts[rows + 1] - self.starts[rows]
        entries = np.repeat(self.starts[rows] - np.concatenate(([0], counts.cumsum()[:-1])), counts)
        entries += np.arange(len(entries))
        full = np.zeros((len(rows), size))
        np.add.at(full, (np.repeat(np.arange(len(rows)), counts), self.actions[entries]), self.chances[entries])
        return full

    def policy(self, rows: Whole, size: int) -> Floats:
        """Return some rows as a policy: what a row lacks to 1 is the probability of nothing, which has the code 0."""
        full = self.filled(rows, size)
        left = 1.0 - full.sum(axis=1)
        full[:, 0] += np.where(np.abs(left) < _ROUNDING, 0.0, left)
        return full


@dataclass(frozen=True, slots=True, eq=False)
class PolicyTable:
    """What arms would do at n logged decisions, in the order of these; actions are codes of `actions`, nothing first.

    `permitted` has the probability 1 for every action that may be said. `propensity` and `baseline` (n,) are those of
    what was said, `top`, `net` and `lift` (n,) those of the action worth most: NaN, and -1 for `top`, where there is
    none. `about` names the versions.
    """

    actions: tuple[str, ...]
    arms: Mapping[str, Sparse]
    permitted: Sparse
    propensity: Floats
    baseline: Floats
    top: Whole
    net: Floats
    lift: Floats
    about: Mapping[str, Any]
    order: Whole

    def policies(self, rows: Whole) -> dict[str, Floats]:
        """Return the policies of all arms at some decisions, by their places: (rows, actions) each."""
        return {name: arm.policy(self.order[rows], len(self.actions)) for name, arm in self.arms.items()}

    def part(self, rows: Whole) -> PolicyTable:
        """Return some decisions, by their places."""
        kept = {name: getattr(self, name)[rows] for name in ("propensity", "baseline", "top", "net", "lift", "order")}
        return replace(self, **kept)

    def may_be_said(self, rows: Whole) -> npt.NDArray[np.bool_]:
        """Return which actions may be said at some decisions, (rows, actions); nothing always."""
        may = self.permitted.filled(self.order[rows], len(self.actions)) > 0.0
        may[:, 0] = True
        return may


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """Some rows of the file as arrays; lists are (how many entries each row has, the entries)."""

    keys: Whole
    whose: Whole
    place: Whole
    numbers: Mapping[str, Floats]
    permitted: tuple[Whole, Codes]
    arms: Mapping[str, tuple[Whole, Codes, Floats]]


def read_policies(path: Path, built: Built) -> PolicyTable:
    """Read the policies on a log for its decisions, in batches.

    Raises `TrainingRefused` where they are those of another log.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        about = _about(file.schema_arrow.metadata)
        actions = tuple(dict.fromkeys((*built.decisions.actions, *about["actions"])))
        codes = np.array([actions.index(name) for name in about["actions"]], dtype=np.int32)
        places = {name: code for code, name in enumerate(built.placements)}
        pieces = [_piece(batch, codes, places) for batch in file.iter_batches(use_threads=False)]
    except (pa.ArrowException, OSError) as error:
        raise TrainingRefused(f"the policies cannot be read ({error})") from None
    if not pieces:
        raise TrainingRefused("the policies are those of another log; compute them again")
    order = _order(pieces, built)
    numbers = {name: np.concatenate([one.numbers[name] for one in pieces])[order] for name in _NUMBERS}
    top = numbers.pop("top")
    return PolicyTable(
        actions=actions,
        arms={name: _sparse([one.arms[name] for one in pieces]) for name in pieces[0].arms},
        permitted=_sparse([(*one.permitted, np.ones(len(one.permitted[1]))) for one in pieces]),
        top=np.where(np.isnan(top), -1, codes[np.nan_to_num(top).astype(np.int64)]),
        about=about,
        order=order,
        **numbers,
    )


def widened(decisions: Decisions, actions: Sequence[str]) -> Decisions:
    """Return decisions with more actions behind theirs, which the log never says and so could not."""
    more = len(actions) - len(decisions.actions)
    if not more:
        return decisions
    return replace(
        decisions,
        actions=tuple(actions),
        allowed=np.pad(decisions.allowed, ((0, 0), (0, more))),
        happened=np.pad(decisions.happened, ((0, 0), (0, more)), constant_values=np.nan),
    )


def _about(metadata: Mapping[bytes, bytes] | None) -> dict[str, Any]:
    about: dict[str, Any] = json.loads((metadata or {}).get(METADATA, b"{}"))
    if about.get("version") != VERSION or NOTHING in about["actions"]:
        raise TrainingRefused("these are no policies, or another version of Tact wrote them; compute them again")
    return about


def _piece(batch: Any, codes: Codes, places: Mapping[str, int]) -> _Piece:  # noqa: ANN401  pyarrow has no types
    def named(column: str) -> Whole:
        return np.array([code_of(name) for name in batch[column].to_pylist()], dtype=np.int64)

    arms = [name for name in batch.schema.names if name.startswith(ARM)]
    numbers = {name: np.asarray(batch[name].to_numpy(zero_copy_only=False), dtype=np.float64) for name in _NUMBERS}
    permitted = batch["permitted"]
    return _Piece(
        keys=named("decision_id"),
        whose=named("customer_id"),
        place=np.array([places.get(name, -1) for name in batch["placement"].to_pylist()], dtype=np.int64),
        numbers=numbers,
        permitted=(_counts(permitted), codes[permitted.flatten().to_numpy(zero_copy_only=False)]),
        arms={name.removeprefix(ARM): _chances(batch[name], codes) for name in arms},
    )


def _chances(column: Any, codes: Codes) -> tuple[Whole, Codes, Floats]:  # noqa: ANN401  pyarrow has no types
    flat = column.flatten()
    actions = flat.field("action").to_numpy(zero_copy_only=False)
    return _counts(column), codes[actions], flat.field("probability").to_numpy(zero_copy_only=False)


def _counts(column: Any) -> Whole:  # noqa: ANN401  pyarrow has no types
    starts: Whole = np.asarray(column.offsets.to_numpy(), dtype=np.int64)
    return starts[1:] - starts[:-1]


def _sparse(parts: Sequence[tuple[Whole, Codes, Floats]]) -> Sparse:
    counts, actions, chances = (np.concatenate(pieces) for pieces in zip(*parts, strict=True))
    return Sparse(np.concatenate((np.zeros(1, dtype=np.int64), counts.cumsum())), actions, chances)


def _order(pieces: Sequence[_Piece], built: Built) -> Whole:
    """Return the row of each decision, found by the decision's id and the placement; of repeats the first one."""
    keys, whose = np.concatenate([one.keys for one in pieces]), np.concatenate([one.whose for one in pieces])
    place = np.concatenate([one.place for one in pieces])
    _, first = np.unique(np.stack((keys, place)), axis=1, return_index=True)
    kept = built.counts.kept
    if kept < 1.0:
        first = first[[is_kept(code, kept) for code in whose[first].tolist()]]
    wanted = np.lexsort((built.placement, built.key))
    found = first[np.lexsort((place[first], keys[first]))]
    same = len(found) == len(wanted) and (keys[found] == built.key[wanted]).all()
    if not same or not (whose[found] == built.decisions.customer[wanted]).all():
        raise TrainingRefused("the policies are those of another log; compute them again")
    order = np.empty(len(found), dtype=np.int64)
    order[wanted] = found
    return order
