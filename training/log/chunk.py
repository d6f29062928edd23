"""One part of a log as arrays: what was known at each decision, as serving encodes it, and what came of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import blake2b
from itertools import chain
from pathlib import Path

import numpy as np

from models.context import Scalar
from models.history import as_of
from training.decisions import NOTHING, Flags, Floats, Whole
from training.strategy import Declared

from .attribution import Attribution, Life
from .rows import Came, Decided, Happened
from .spool import unpacked

_BATCH = 256
_LARGEST = (1 << 63) - 1
UNSET = -1


@dataclass(frozen=True, slots=True)
class Plan:
    """How rows become arrays: everything that a part needs beside its rows, so that any machine can do it.

    `actions` are the names by code, `nothing` first. `told` are the indexes of the fields that the table tells; the
    others are folded from the events where `by_events`. Of the customers a share of `kept` is taken.
    """

    declared: Declared
    actions: tuple[str, ...]
    placements: tuple[str, ...]
    told: frozenset[int]
    by_events: bool
    until_ms: int
    unfinished: bool = False
    kept: float = 1.0

    @property
    def attribution(self) -> Attribution:
        """What attributes outcomes to decisions."""
        return Attribution(self.declared.outcomes, self.until_ms, self.by_events, self.unfinished)


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Some decisions as arrays, n of them, as `Decisions` has them, not in order of time.

    `key` (n,) tells decisions apart, `placement` (n,) is a code. `allowed` is all false where the log
    does not say what else might have been said. `amounts` is (n, outcomes); `influenced` and `delay_ms` are (n,).
    """

    key: Whole
    customer: Whole
    at_ms: Whole
    placement: Whole
    x: Floats
    action: Whole
    probability: Floats
    allowed: Flags
    happened: Floats
    influenced: Floats
    delay_ms: Floats
    amounts: Floats
    worth: Floats
    unfinished: Flags

    def __len__(self) -> int:
        return len(self.key)

    @classmethod
    def empty(cls, rows: int, columns: int, actions: int, outcomes: int) -> Chunk:
        """Return arrays of so many rows, in which nothing is known yet."""

        def whole() -> Whole:
            return np.zeros(rows, dtype=np.int64)

        def unknown(*shape: int) -> Floats:
            return np.full((rows, *shape), np.nan)

        no, x = np.zeros(rows, dtype=np.bool_), np.zeros((rows, columns))
        allowed = np.zeros((rows, actions), dtype=np.bool_)
        return cls(
            whole(), whole(), whole(), whole(), x, whole(), unknown(), allowed, unknown(actions), unknown(), unknown(),
            unknown(outcomes), unknown(), no,
        )  # fmt: skip

    @classmethod
    def read(cls, path: Path) -> Chunk:
        """Read what `write` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{one.name: arrays[one.name] for one in fields(cls)})

    def write(self, path: Path) -> None:
        """Write the arrays to a file."""
        with path.open("wb") as file:
            np.savez(file, **{one.name: getattr(self, one.name) for one in fields(self)})

    def put(self, places: Whole, other: Chunk) -> None:
        """Copy the rows of another chunk to these places."""
        for one in fields(self):
            getattr(self, one.name)[places] = getattr(other, one.name)


def code_of(name: str) -> int:
    """Return a whole number of 63 bits that stands for a name, the same in every process."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little") & _LARGEST


def is_kept(customer: int, share: float) -> bool:
    """Say whether a customer, by code, is among a share of them; whoever is in a smaller one is in every larger one."""
    return customer < share * _LARGEST


def built_part(plan: Plan, decisions: bytes, outcomes: bytes, events: bytes) -> Chunk:
    """Return the arrays of a part: of its decisions, what was reported of them, and the events of their customers."""
    came: defaultdict[str, list[Came]] = defaultdict(list)
    for decision, one in unpacked(outcomes, tuple[str, Came]):
        came[decision].append(one)
    taken: dict[tuple[str, str], Decided] = {}
    for row in unpacked(decisions, Decided):
        if plan.kept >= 1.0 or is_kept(code_of(row.customer), plan.kept):
            taken.setdefault((row.id, row.placement), row)
    said = {(row.id, row.action) for row in taken.values()} if came else set()
    rows = [_with(row, came[row.id], said) if row.id in came else row for row in taken.values()]
    return _arrays(plan, rows, _by_customer(unpacked(events, Happened)))


def _with(row: Decided, came: Sequence[Came], said: Collection[tuple[str, str]]) -> Decided:
    """Add what came of this placement: of its action, or, where it said nothing, of what no other placement said."""
    silent = row.action == NOTHING
    mine = tuple(one for one in came if one.action == row.action or (silent and (row.id, one.action) not in said))
    return Decided(
        row.id, row.placement, row.customer, row.at_ms, row.action, row.probability, row.told, row.allowed,
        (*row.came, *mine), row.labels,
    )  # fmt: skip


def _by_customer(events: Iterable[Happened]) -> Mapping[str, list[Happened]]:
    found: defaultdict[str, list[Happened]] = defaultdict(list)
    for event in events:
        found[event.customer].append(event)
    return found


def _arrays(plan: Plan, rows: Sequence[Decided], events: Mapping[str, list[Happened]]) -> Chunk:
    outcomes = plan.declared.outcomes
    chunk = Chunk.empty(len(rows), len(plan.declared.space.columns), len(plan.actions), len(outcomes.declared))
    codes = {name: code for code, name in enumerate(plan.actions)}
    placements = {name: code for code, name in enumerate(plan.placements)}
    attribution = plan.attribution
    lives: dict[str, Life] = {}
    people: dict[str, int] = {}
    for place, row in enumerate(rows):
        life = lives.get(row.customer)
        if life is None:
            life = lives[row.customer] = Life.of(events.get(row.customer, ()))
            people[row.customer] = code_of(row.customer)
        chunk.key[place] = code_of(row.id)
        chunk.customer[place] = people[row.customer]
        chunk.at_ms[place], chunk.placement[place] = row.at_ms, placements[row.placement]
        chunk.action[place], chunk.probability[place] = codes[row.action], row.probability
        if row.allowed is not None:
            chunk.allowed[place, [0, codes[row.action], *(codes[name] for name in row.allowed if name in codes)]] = True
        came = attribution.of(row, life)
        for action, happened in came.happened.items():
            if action in codes:
                chunk.happened[place, codes[action]] = happened
        chunk.influenced[place], chunk.delay_ms[place], chunk.worth[place] = came.influenced, came.delay_ms, came.worth
        chunk.amounts[place], chunk.unfinished[place] = came.amounts, came.unfinished
    _see(plan, rows, events, chunk.x)
    return chunk


def _see(plan: Plan, rows: Sequence[Decided], events: Mapping[str, list[Happened]], x: Floats) -> None:
    """Write what was known at each decision, a batch at a time."""
    declared, size = plan.declared, len(plan.declared.schema.fields)
    if not plan.by_events or {declared.schema.index[name] for name in declared.space.features} <= plan.told:
        for place, row in enumerate(rows):
            x[place] = declared.space.encode(_told(row, [None] * size), row.at_ms)
        return
    order = sorted(range(len(rows)), key=lambda place: rows[place].customer)
    for start in range(0, len(order), _BATCH):
        places = order[start : start + _BATCH]
        own = [rows[place] for place in places]
        known = as_of(
            declared.schema,
            declared.space.features,
            chain.from_iterable(events.get(customer, ()) for customer in dict.fromkeys(row.customer for row in own)),
            [(row.customer, row.at_ms) for row in own],
            [{index: value for index, value in row.told.items() if value is not None} for row in own],
        )
        for place, row, values in zip(places, own, known, strict=True):
            x[place] = declared.space.encode(_told(row, list(values)), row.at_ms)


def _told(row: Decided, values: list[Scalar | None]) -> list[Scalar | None]:
    """Put what the row tells over what the events tell: it was known, or unknown, like that."""
    for index, value in row.told.items():
        values[index] = value
    return values
