"""Versions: a strategy with the model that scores for it, read from their folders and verified before they serve."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

from models.artifacts import FILES, ArtifactRefused, load_folded
from models.documents import DocumentsRefused
from models.features import FeatureRefused, FeatureSpace
from models.propensity import Folded
from service.challenging import Challenging
from service.children import Waiting
from service.core.engine import Engine
from service.core.loader import load_strategy
from service.core.strategy import Strategy
from service.shrinking import GuardrailsGone
from service.store.retention import Retention
from service.store.settings import StoreRefused

VERIFY_WITHIN_S = 120.0
SWITCH_EVERY_S = 0.0005
"""How long a thread that loads keeps decisions waiting: a tenth of Python's own 5 ms, and only while it loads."""

T = TypeVar("T")
Look: TypeAlias = tuple[object, ...]
"""What the file system says of a folder; it is another one after every change of what is read there."""


class KeptTooShort(Exception):
    """What was said before is forgotten before the strategy's caps allow that."""


class NotVerified(ArtifactRefused):
    """Whoever verifies a model died or took too long, which says nothing about the model."""


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


class Verify(Protocol):
    """Verifies a model; raises ArtifactRefused in words where it may not serve."""

    async def __call__(self, folder: Path, folded: Folded) -> None:
        """See that an artefact's arrays say what its estimators say, and are those that were loaded."""
        ...


class Verifier:
    """Has models verified in a process of its own, which alone may import scikit-learn.

    That takes two seconds, so the process stays for the next model where that is to serve within two seconds (`waits`).
    """

    def __init__(self, *, waits: bool) -> None:
        self._waits = waits
        self._child = Waiting("training", ("verify", "--waiting", "--json"))

    async def verify(self, folder: Path, folded: Folded) -> None:
        """See that an artefact's arrays say what its estimators say, and are those that were loaded.

        Raises `NotVerified` where that cannot be told, as the process died or took too long.
        """
        found = await self._child.ask(str(folder), VERIFY_WITHIN_S)
        if not self._waits:
            await self._child.close()
        if not found.answered:
            raise NotVerified(
                f"{folder}: the model could not be verified, as the process that verifies did not answer "
                f"({found.last_words}). See that it has memory and time."
            )
        if found.code != 0:
            raise ArtifactRefused(f"The model was not verified and does not serve: {found.last_words}")
        if (version := json.loads(found.output)["version"]) != folded.version:
            raise ArtifactRefused(
                f"{folder}: changed from {folded.version} to {version} while it was verified; try again"
            )

    async def close(self) -> None:
        """End the process."""
        await self._child.close()


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
