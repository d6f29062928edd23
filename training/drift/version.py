"""A recalibrated model as a version of its own, which names the version that it puts right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from rich.progress import Progress

from models.artifacts import BOOSTED, VALUES, Artifact, Manifest, Parity, checked_file, read_artifact
from models.propensity import Folded

from ..errors import TrainingRefused
from ..folding import EXACT, LARGEST_DIFFERENCE, Estimators, both, folded, largest_difference, probes
from ..forests import Calibrated
from ..metrics import Scores, joined, measured
from ..packing import packed_arrays, packed_estimators, packed_part, write_artifact
from ..verification import estimators_of, verify
from .mending import Mended, Remedy, Repairs, remedy
from .repair import Reach
from .unseen import UNSEEN, gaps_of
from .watching import RECALIBRATED, Found, Order, Watched, moment, since_of, watched, written


@dataclass(frozen=True, slots=True)
class Wish:
    """What to put right: where the version goes, how far a repair reaches, and whether to do it without an alarm."""

    order: Order
    out: Path
    reach: Reach = field(default_factory=Reach)
    always: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Recalibrated:
    """What was found, and the version that was made; without one, `why` says why not."""

    watched: Watched
    found: Found
    place: Path | None
    manifest: Manifest | None
    why: str


def recalibrated(wish: Wish, bars: Progress) -> Recalibrated:
    """Put a model right on recent outcomes if an alarm asks for it; raise `TrainingRefused` where that cannot be.

    What is put right is always the version that was trained: a recalibrated one leads back to it.
    """
    model = trained_one(wish.order.model)
    always = wish.always or model != wish.order.model  # what was put right once is followed further
    verify(model)
    one = watched(Order(wish.order.strategy, model, wish.order.source, wish.order.since_ms), bars)
    done = remedy(one.past, one.recent, estimators_of(one.artifact), wish.reach, always=always)
    if not any(done.repairs):
        why = "recent outcomes speak for no other probabilities, or are too few"
        if done.found.trustworthy and not always:
            why = "no alarm about forecasts or outcomes: there is nothing to put right"
        return Recalibrated(one, done.found, None, None, why)
    place, manifest = _written(wish, model, one.artifact, done)
    return Recalibrated(one, done.found, place, manifest, "")


def trained_one(folder: Path) -> Path:
    """Return the folder of the version that was trained: that of a recalibrated one stands beside it."""
    manifest = read_artifact(folder).manifest
    if manifest.kind != RECALIBRATED:
        return folder
    parent = folder.resolve().parent / manifest.of.rpartition("@")[2]
    if not parent.is_dir():
        raise TrainingRefused(f"{folder} is {manifest.of} recalibrated, which is not beside it; name that version")
    return parent


def _written(wish: Wish, model: Path, artifact: Artifact, done: Remedy) -> tuple[Path, Manifest]:
    old, said, silent, repairs = artifact.manifest, done.said, done.silent, done.repairs
    arrays = folded(said, silent, len(old.columns), old.feature_hash)
    last = max(moment(old.rows.last), *(fix.last_ms for fixes in repairs for fix in fixes.values()))
    draft = msgspec.structs.replace(
        old,
        format=2,
        version="",
        kind=RECALIBRATED,
        of=old.version,
        rows=msgspec.structs.replace(old.rows, last=written(last)),
        metrics=_metrics(repairs),
        parity=_parity(said, silent, old, arrays),
        libraries={library: version(library) for library in old.libraries},
        learning={**old.learning, RECALIBRATED: _told(old, done), UNSEEN: _unseen(old, repairs)},
        files={},
    )
    more = {VALUES: checked_file(model, VALUES, old.files)} if VALUES in old.files else {}
    if arrays.boosted:
        more[BOOSTED] = packed_part(arrays.boosted.arrays())
    return write_artifact(wish.out, draft, packed_arrays(arrays), packed_estimators(said, silent), more)


def _parity(said: Estimators, silent: Estimators, old: Manifest, arrays: Folded) -> Parity:
    rows = probes(both(said, silent), old.columns, old.seed)
    difference = largest_difference(arrays, said, silent, rows)
    grown = [{a: e for a, e in side.items() if isinstance(e, Calibrated)} for side in (said, silent)]
    if not difference <= LARGEST_DIFFERENCE or not largest_difference(arrays, grown[0], grown[1], rows) <= EXACT:
        raise TrainingRefused(f"arrays and estimators differ by {difference:.1e}; nothing was written")
    return Parity(rows=len(rows), largest_difference=difference)


def _metrics(repairs: Repairs) -> dict[str, Any]:
    """Return the figures of forecasts of the latest rows that were made before those were known.

    Rows of all actions together, which several actions may have borrowed, count once, and not beside their own.
    """
    return {
        side: {
            "all": measured(joined(_once(fixes))).plain(),
            "actions": {action: measured(fix.ahead).plain() for action, fix in fixes.items()},
        }
        for side, fixes in zip(("said", "silent"), repairs, strict=True)
        if fixes
    }


def _once(fixes: Mapping[str, Mended]) -> list[Scores]:
    own = [fix.ahead for fix in fixes.values() if not fix.borrowed]
    return own or [next(iter(fixes.values())).ahead]


def _unseen(old: Manifest, repairs: Repairs) -> dict[str, Any]:
    """Return the gaps of unseen forecasts: of what was put right those made ahead, of all else those of before."""
    before = old.learning.get(UNSEEN, {})
    return {
        side: before.get(side, {})
        | {action: gaps_of(fix.ahead.probability, fix.ahead.outcome) for action, fix in fixes.items()}
        for side, fixes in zip(("said", "silent"), repairs, strict=True)
    }


def _told(old: Manifest, done: Remedy) -> dict[str, Any]:
    sides = zip(("said", "silent"), done.repairs, strict=True)
    return {
        "since": written(since_of(old)),
        "alarms": [alarm.reason for alarm in done.found.alarms],
        **{side: {action: _how(fix) for action, fix in fixes.items()} for side, fixes in sides},
    }


def _how(fix: Mended) -> dict[str, Any]:
    repair = fix.repair
    return {
        "slope": repair.slope,
        "offset": repair.offset,
        "weights_moved": int((repair.weights != 0.0).sum()),
        "rows": repair.rows,
        "first": written(fix.first_ms),
        "last": written(fix.last_ms),
        "log_loss_before": repair.loss_before,
        "log_loss_after": repair.loss_after,
        **({"borrowed": True} if fix.borrowed else {}),
    }
