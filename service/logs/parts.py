"""A folder of parts that grows exactly once: what was written and how far it goes change in one step, or not at all.

The parts of a step are written beside their names first. Then one file, `export.json`, is replaced: with it the step
has happened, and all that is left is to give the parts their names, which whoever opens the folder next makes up for.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from models.decision_table import DECISIONS, OUTCOMES, VERSION
from service.logs.batch import Batch

STATE = "export.json"
_PARTIAL, _REMADE = ".partial", ".remade"


class PartsRefused(Exception):
    """A folder cannot take the parts: the message says why and what to do."""


class Format(StrEnum):
    """How tables are written."""

    PARQUET = "parquet"
    CSV = "csv"


class State(Struct, frozen=True):
    """How far a folder goes: the form and format of its parts, the positions by bucket, the number of the next part,
    and the parts of the last step.
    """

    table: int
    format: Format
    source: str
    positions: dict[int, tuple[str, str]] = {}
    next: int = 1
    last: tuple[str, ...] = ()


class Parts:
    """The parts of one folder, which this process alone writes."""

    def __init__(self, folder: Path, state: State) -> None:
        self._folder = folder
        self._state = state

    @property
    def positions(self) -> Mapping[int, tuple[str, str]]:
        """How far the log is in the folder, by bucket."""
        return self._state.positions

    @property
    def names(self) -> tuple[Path, ...]:
        """All parts, in the order in which they were written."""
        return tuple(sorted(self.named(DECISIONS) + self.named(OUTCOMES), key=lambda path: path.stem[-6:]))

    def named(self, prefix: str) -> list[Path]:
        """Return the parts of one kind, in the order in which they were written."""
        return sorted(self._folder.glob(f"{prefix}*.{self._state.format}"))

    def add(self, batches: Sequence[Batch], positions: Mapping[int, tuple[str, str]]) -> None:
        """Take one step: all these rows with all these positions, or nothing."""
        number, names = self._state.next, []
        for batch in batches:
            name = f"{batch.prefix}{number:06d}.{self._state.format}"
            written(self._folder / f".{name}{_PARTIAL}", partial(batch.write, form=str(self._state.format)))
            names.append(name)
            number += 1
        self._state = msgspec.structs.replace(
            self._state, positions={**self._state.positions, **positions}, next=number, last=tuple(names)
        )
        _save(self._folder, self._state)
        _name(self._folder, names)

    def remake(self, part: Path, write: Callable[[BinaryIO], object] | None) -> None:
        """Replace a part by what is written, or by nothing."""
        if write is None:
            part.unlink()
        else:
            remade = part.with_name(f".{part.name}{_REMADE}")
            written(remade, write)
            remade.replace(part)
        _settle(self._folder)


def written(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file, so that it is on the disk."""
    with open(path, "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def opened(folder: Path, form: Format | None, source: str) -> Iterator[Parts]:
    """Open a folder to add to it, alone; what an interrupted process left half done is finished or removed.

    `source` says where the rows come from: those of one folder come from one place. Raises `PartsRefused` in words.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PartsRefused(f"{folder} is written by another process; wait for it, or name another folder") from None
        yield Parts(folder, _recovered(folder, form, source))


def _recovered(folder: Path, form: Format | None, source: str) -> State:
    state = _state_of(folder)
    if state is None:
        found = [*folder.glob(f"{DECISIONS}*"), *folder.glob(f"{OUTCOMES}*")]
        if found:
            raise PartsRefused(f"{folder} has parts but no {STATE}, which says how far they go; name an empty folder")
        state = State(VERSION, form or Format.PARQUET, source)
    if form is not None and form is not state.format:
        raise PartsRefused(f"{folder} is in the format {state.format}; name that, or another folder")
    if state.source != source:
        raise PartsRefused(f"{folder} holds the log of {state.source}, not of {source}; name another folder")
    _name(folder, state.last)
    for leftover in (*folder.glob(f".*{_PARTIAL}"), *folder.glob(f".*{_REMADE}"), *folder.glob(f".{STATE}*")):
        leftover.unlink()
    return state


def _state_of(folder: Path) -> State | None:
    try:
        state = msgspec.json.decode((folder / STATE).read_bytes(), type=State)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError:
        raise PartsRefused(f"{folder / STATE} cannot be read; name an empty folder, and the log is told anew") from None
    if state.table != VERSION:
        raise PartsRefused(f"{folder} has tables of form {state.table}, not {VERSION}; name another folder")
    return state


def _save(folder: Path, state: State) -> None:
    new = folder / f".{STATE}"
    packed = msgspec.json.encode(state)
    written(new, lambda file: file.write(packed))
    new.replace(folder / STATE)
    _settle(folder)


def _name(folder: Path, names: Sequence[str]) -> None:
    """Give parts their names; those that have theirs keep them."""
    for name in names:
        waiting = folder / f".{name}{_PARTIAL}"
        if waiting.exists():
            waiting.replace(folder / name)
    _settle(folder)


def _settle(folder: Path) -> None:
    """See that names are on the disk."""
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)
