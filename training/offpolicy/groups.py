"""What each group of people would get: the table that somebody has to look at before a model is promoted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ..decisions import Decisions
from ..errors import AskedWrongly

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_PARTS = 4
FEWEST = 30


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group: how many decisions are about its people, and the share of them in which arms say something."""

    field: str
    group: str
    rows: int
    said: Mapping[str, float]


def group_columns(columns: Sequence[str], field: str) -> list[int]:
    """Return the places of a feature's columns; raise `AskedWrongly` for a field that is no feature."""
    own = [place for place, name in enumerate(columns) if _field_of(name) == field]
    if not own:
        fields = dict.fromkeys(map(_field_of, columns))
        raise AskedWrongly(f"there is no feature {field!r} to group by; there are {', '.join(fields)}")
    return own


def members(decisions: Decisions, field: str) -> Iterator[tuple[str, Flags]]:
    """Yield the groups by a feature, each with a mask (n,): texts by value, truths by truth, numbers by quarters.

    Raises `AskedWrongly` for a field that is no feature.
    """
    own = group_columns(decisions.columns, field)
    unknown = decisions.x[:, own[-1]] > 0.5
    if len(own) > 2 or "=" in decisions.columns[own[0]]:
        for place in own[:-1]:
            yield decisions.columns[place].partition("=")[2], decisions.x[:, place] > 0.5
    else:
        yield from _by_number(decisions.x[:, own[0]], ~unknown)
    yield "unknown", unknown


def _field_of(column: str) -> str:
    return column.partition("=")[0].removesuffix("?").removesuffix(":days")


def _by_number(values: Floats, known: Flags) -> Iterator[tuple[str, Flags]]:
    if np.isin(values[known], (0.0, 1.0)).all():
        yield "no", known & (values == 0.0)
        yield "yes", known & (values == 1.0)
        return
    edges = np.unique(np.quantile(values[known], np.linspace(0.0, 1.0, _PARTS + 1))) if known.any() else np.zeros(0)
    for place, (low, high) in enumerate(pairwise(edges)):
        last = place == len(edges) - 2
        inside = (values >= low) & ((values <= high) if last else (values < high))
        yield f"{low:.4g} to {high:.4g}", known & inside


def by_group(decisions: Decisions, said: Mapping[str, Floats], fields: Sequence[str]) -> list[GroupRow]:
    """Return what each group gets: `said` holds for each arm the probability of saying anything, (n,)."""
    found = []
    for field in fields:
        for name, mask in members(decisions, field):
            if mask.sum() >= FEWEST:
                shares = {arm: float(probability[mask].mean()) for arm, probability in said.items()}
                found.append(GroupRow(field, name, int(mask.sum()), shares))
    return found
