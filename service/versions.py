"""Versions: a strategy with the model that scores for it, read from their folders and verified before they serve."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias, TypeVar

from models.artifacts import FILES, ArtifactRefused, load_served
from models.documents import DocumentsRefused, read_folder
from models.features import FeatureRefused, FeatureSpace
from models.propensity import Folded
from service.beside import beside as beside_decisions
from service.challenging import Challenging
from service.core.archived import Part, model_part, strategy_part
from service.core.engine import Engine
from service.core.loader import strategy_of
from service.core.strategy import Strategy
from service.proven import CheckPromises, PromiseBroken
from service.shrinking import GuardrailsGone
from service.store.retention import Retention
from service.store.settings import StoreRefused
from service.verifying import Verify

T = TypeVar("T")
Look: TypeAlias = tuple[object, ...]
"""What the file system says of a folder; it is another one after every change of what is read there."""


class KeptTooShort(Exception):
    """What was said before is forgotten before the strategy's caps allow that."""


FORESEEN = (
    DocumentsRefused, FeatureRefused, ArtifactRefused, KeptTooShort, StoreRefused, GuardrailsGone, PromiseBroken
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Version:
    """A strategy, the model that scores for it (None: the priors do), and both compiled.

    `challenger` is a model that is scored beside it; `unchallenged` says why the one that was asked for is not. `parts`
    are what it was made of, as it is archived.
    """

    strategy: Strategy
    model: Folded | None
    engine: Engine
    challenger: Folded | None = None
    unchallenged: str = ""
    parts: tuple[Part, ...] = ()

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
    promised: CheckPromises | None = None,
    beside: bool = False,
) -> Version:
    """Load what the folders hold and `verify` its model; one that is `verified` is only checked against the strategy.

    With `beside` it is loaded in a thread, so that decisions go on meanwhile. `promised` sees that the strategy keeps
    its promises. Raises DocumentsRefused, FeatureRefused, ArtifactRefused, KeptTooShort or PromiseBroken, in words;
    never for what is wrong with a challenger.
    """
    work = beside_decisions if beside else _at_once
    strategy, model, parts = await work(lambda: _read(folders))
    if promised is not None:
        await promised(folders.strategy, strategy)
    if model is not None and folders.model is not None:
        if verified is not None and model.version == verified.version:
            model = verified
        else:
            await verify(folders.model, model)
    if challenging is None:
        return await work(lambda: Version(strategy, model, Engine(strategy, model), parts=parts))
    rival = await challenging.challenger(strategy, model, work)
    why = challenging.refused
    parts += (challenging.part,) if rival is not None and challenging.part is not None else ()
    return await work(lambda: Version(strategy, model, Engine(strategy, model, rival), rival, why, parts))


def _read(folders: Folders) -> tuple[Strategy, Folded | None, tuple[Part, ...]]:
    documents = read_folder(folders.strategy)
    strategy = strategy_of(documents)
    _check_kept(strategy, folders.keep)
    parts = (strategy_part(strategy, documents),)
    if folders.model is None:
        return strategy, None, parts
    served = load_served(folders.model, FeatureSpace.of(strategy.schema, strategy.features))
    return strategy, served.folded, (*parts, model_part(served))


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
