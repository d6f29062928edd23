"""Versions: a strategy with the model that scores for it, read from their folders and verified before they serve."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias, TypeVar

from models.artifacts import FILES, ArtifactRefused, load_folded
from models.documents import DocumentsRefused
from models.features import FeatureRefused, FeatureSpace
from models.propensity import Folded
from service.challenging import Challenging
from service.core.engine import Engine
from service.core.loader import load_strategy
from service.core.strategy import Strategy
from service.shrinking import GuardrailsGone
from service.store.retention import Retention
from service.store.settings import StoreRefused
from service.verifying import Verify

SWITCH_EVERY_S = 0.0005
"""How long a thread that loads keeps decisions waiting: a tenth of Python's own 5 ms, and only while it loads."""

T = TypeVar("T")
Look: TypeAlias = tuple[object, ...]
"""What the file system says of a folder; it is another one after every change of what is read there."""


class KeptTooShort(Exception):
    """What was said before is forgotten before the strategy's caps allow that."""


FORESEEN = (DocumentsRefused, FeatureRefused, ArtifactRefused, KeptTooShort, StoreRefused, GuardrailsGone)


@dataclass(frozen=True, slots=True)
class Version:
    """A strategy, the model that scores for it (None: the priors do), and both compiled.

    `challenger` is a model that is scored beside it; `unchallenged` says why the one that was asked for is not.
    """

    strategy: Strategy
    model: Folded | None
    engine: Engine
    challenger: Folded | None = None
    unchallenged: str = ""

    @property
    def name(self) -> tuple[str, str]:
        """The versions of the two, which every decision bears; the second is empty without a model."""
        return self.engine.strategy.version, self.engine.model_version

    @property
    def stamp(self) -> tuple[str, str, str]:
        """The versions of all that is in it: two of the same stamp are the same."""
        return *self.name, self.challenger.version if self.challenger else ""


@dataclass(frozen=True, slots=True)
class Folders:
    """Where a version is read from, and how long a customer's context is kept."""

    strategy: Path
    model: Path | None
    keep: Retention
    challenger: Path | None = None

    def look(self) -> Look:
        """Return what the file system says of the folders, without reading a file."""
        models = (
            None if folder is None else _look(folder, FILES.__contains__) for folder in (self.model, self.challenger)
        )
        return _look(self.strategy, _is_document), *models


async def load_version(
    folders: Folders,
    verified: Folded | None = None,
    *,
    verify: Verify,
    challenging: Challenging | None = None,
    beside: bool = False,
) -> Version:
    """Load what the folders hold and `verify` its model; one that is `verified` is only checked against the strategy.

    With `beside` it is loaded in a thread, so that decisions go on meanwhile. Raises DocumentsRefused, FeatureRefused,
    ArtifactRefused or KeptTooShort, in words; never for what is wrong with a challenger.
    """
    work = _beside if beside else _at_once
    strategy, model = await work(lambda: _read(folders))
    if model is not None and folders.model is not None:
        if verified is not None and model.version == verified.version:
            model = verified
        else:
            await verify(folders.model, model)
    if challenging is None:
        return await work(lambda: Version(strategy, model, Engine(strategy, model)))
    rival = await challenging.challenger(strategy, model, work)
    why = challenging.refused
    return await work(lambda: Version(strategy, model, Engine(strategy, model, rival), rival, why))


def _read(folders: Folders) -> tuple[Strategy, Folded | None]:
    strategy = load_strategy(folders.strategy)
    _check_kept(strategy, folders.keep)
    if folders.model is None:
        return strategy, None
    return strategy, load_folded(folders.model, FeatureSpace.of(strategy.schema, strategy.features))


def _check_kept(strategy: Strategy, keep: Retention) -> None:
    """Refuse to forget what was said, promised or refused before the strategy allows that."""
    spans = [("a cap of the strategy counts", max(cap.within_ms, cap.hold_ms)) for cap in strategy.caps]
    for rest in strategy.cool_offs:
        if not rest.permanent:  # which holds for as long as anything is known of the customer
            spans.append(("a cool-off of the strategy remembers", max(rest.forget_ms, *rest.durations_ms, 0)))
    spans += [("a promise of the strategy holds", promise.for_ms) for promise in strategy.promises]
    what, longest_ms = max(spans, key=lambda span: span[1], default=("", 0))
    longest = timedelta(milliseconds=longest_ms)
    if keep.context < longest:
        raise KeptTooShort(
            f"--keep: the context, {keep.context}, is shorter than {what}, {longest}. Keep it for at least so long."
        )
    within = timedelta(milliseconds=strategy.adaptive.within_ms if strategy.adaptive else 0)
    if keep.decision < within:
        raise KeptTooShort(
            f"--keep: decisions, {keep.decision}, are kept shorter than the outcomes may take from which the strategy "
            f"learns, {within}. Keep them for at least so long, or write a shorter `within` under adaptive."
        )


async def _at_once(work: Callable[[], T]) -> T:
    return work()


async def _beside(work: Callable[[], T]) -> T:
    """Work in a thread that the one which answers may interrupt after half a millisecond."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_EVERY_S)
    try:
        return await asyncio.to_thread(work)
    finally:
        sys.setswitchinterval(before)


def problems_of(refused: Exception) -> tuple[str, ...]:
    """Return what was wrong, one sentence each, with file and line where they are known."""
    if isinstance(refused, DocumentsRefused):
        return tuple(map(str, refused.problems))
    if not isinstance(refused, FORESEEN):
        return (f"It fails in a way that was not foreseen ({type(refused).__name__}).",)
    return tuple(line for line in str(refused).splitlines() if line.strip())


def _look(folder: Path, wanted: Callable[[str], bool]) -> Look:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if wanted(entry.name))
        return os.path.realpath(folder), *((name, _stat(folder / name)) for name in names)
    except OSError as error:
        return (error.errno,)


def _stat(path: Path) -> Look:
    """Return what changes with a file; its inode tells of renames, the time that changed of copies that keep dates."""
    try:
        about = path.stat()
    except OSError as error:
        return (error.errno,)
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def _is_document(name: str) -> bool:
    return name.lower().endswith((".yaml", ".yml")) and not name.startswith(".")
