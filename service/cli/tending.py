"""One round of tending a champion: the log is brought up to date, the gate is asked about what waits for it, and where
the champion has drifted it is recalibrated. Each step is a command of ours, in a process of its own.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from models.artifacts import ArtifactRefused, Manifest, read_artifact
from models.registry import NotInRegistry, champion_of, listed, promotions
from service.children import Ended, run_module

RECALIBRATED = "recalibrated"
_LOCK = ".tending"
_LATER = frozenset({"data", "fairness"})
"""What a version may fail at without being given up: more decisions may come, and somebody may look at the table."""

NOTHING_LATER = "there is no decision after"
"""How the gate says that it cannot judge yet: to a version that was just made that is no failure."""


class Did(StrEnum):
    """What came of a round."""

    NOTHING = "nothing"
    MADE = "made"
    WAITED = "waited"
    REFUSED = "refused"
    PROMOTED = "promoted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did, about which version, and why, in words."""

    did: Did
    words: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Care:
    """Whom to tend and how: the model by its name in a registry, the log to keep up, the service that has it.

    `groups` divide people in the fairness table; without `fairness_gap` a person has to look at it. `memory` is what
    measuring may take, empty for what the commands take by themselves.
    """

    name: str
    models: Path
    log: Path
    strategy: Path
    target: str
    groups: str
    fairness_gap: str = ""
    memory: str = ""

    @property
    def home(self) -> Path:
        """The folder of the model's versions."""
        return self.models / self.name


class StepFailed(Exception):
    """A step of a round failed: the message is what it said."""


async def tended(care: Care) -> Round:
    """Go one round; whatever goes wrong in it is told, and is for the next round to try again."""
    try:
        with alone(care.home):
            return await _round(care)
    except (StepFailed, NotInRegistry, ArtifactRefused) as failed:
        return Round(Did.FAILED, str(failed))
    except OSError as error:
        return Round(Did.FAILED, f"{error.filename or care.home}: {error.strerror or error}")


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Keep other jobs from tending the same model meanwhile; raise `StepFailed` where one does."""
    with (home / _LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StepFailed(f"another job tends {home} just now; this round is left to it") from None
        yield


async def _round(care: Care) -> Round:
    new = await _step("log", "export", "--out", care.log, "--target", care.target)
    champion = champion_of(care.home)
    if champion is None:
        raise StepFailed(f"{care.home} has no champion to tend; make a version one with `tact promote`")
    now = read_artifact(champion).manifest
    seen = f"{new['decisions']:,} new decisions, {new['outcomes']:,} new outcomes"
    waiting = waits(care, now)
    if waiting is not None:
        return await _asked(care, waiting, seen)
    return await _looked(care, now, seen)


async def _looked(care: Care, now: Manifest, seen: str) -> Round:
    """Look for drift, and recalibrate where there is an alarm; of a trained champion one command does both."""
    recalibrate = "recalibrate", now.version, *_looking(care)
    once = now.kind != RECALIBRATED
    found = await (_step(*recalibrate) if once else _step("drift", now.version, *_looking(care), *stretch(now)))
    reasons = _told(found["alarms"])
    if found["trustworthy"]:
        return Round(Did.NOTHING, f"{seen}; {now.version} may be trusted: {reasons or 'no alarm'}", now.version)
    made = found if once else await _step(*recalibrate)
    return await followed(care, now, made, f"{seen}; {now.version} has drifted: {reasons}")


async def followed(care: Care, now: Manifest, made: Mapping[str, Any], why: str) -> Round:
    """Tell what a recalibration came to; where it sees nothing to put right any more, the trained one may come back."""
    version = made.get("version", "")
    if version and version != now.version and not _given_up(care, version):
        return Round(Did.MADE, f"{why}; {version} was made, and waits for decisions that come after it", version)
    if version:
        return Round(Did.NOTHING, f"{why}; recent outcomes lead to {version} again, nothing new", version)
    if now.kind == RECALIBRATED:
        return await _asked(care, now.of, f"{why}; {made['why']}, so {now.of} itself is asked about")
    return Round(Did.NOTHING, f"{why}; {made['why']}; train again if it lasts", now.version)


async def _asked(care: Care, version: str, why: str) -> Round:
    """Ask the gate, which alone makes a version the champion."""
    gap = ("--fairness-gap", care.fairness_gap) if care.fairness_gap else ()
    words = "promote", version, *_looking(care), "--groups", care.groups, *gap, "--by", "tact tend"
    try:
        told = await _step(*words, judges=True)
    except StepFailed as early:
        if NOTHING_LATER not in str(early):
            raise
        return Round(Did.WAITED, f"{why}; {version} waits for the gate: {early}", version)
    if told["passed"]:
        return Round(Did.PROMOTED, f"{why}; {version} is the champion now, it was {told['against']}", version)
    failed = {one["name"]: one["words"] for one in told["criteria"] if not one["passed"]}
    because = "; ".join(f"{name}: {said}" for name, said in failed.items())
    if _may_pass_later(care, failed):
        return Round(Did.WAITED, f"{why}; {version} waits for the gate: {because}", version)
    return Round(Did.REFUSED, f"{why}; {version} is not promoted: {because}", version)


def waits(care: Care, champion: Manifest) -> str | None:
    """Return the latest recalibration of the champion that the gate may still let through; None without one."""
    trained = champion.of if champion.kind == RECALIBRATED else champion.version
    later = [
        one.version
        for one in listed(care.models, care.name)
        if isinstance(one.manifest, Manifest)
        and (one.manifest.kind, one.manifest.of) == (RECALIBRATED, trained)
        and _moment(one.manifest.rows.last) > _moment(champion.rows.last)
        and one.version != champion.version
        and not _given_up(care, one.version)
    ]
    return later[-1] if later else None


def _given_up(care: Care, version: str) -> bool:
    """Tell whether the gate refused a version for good, or somebody put another in its place after it had passed."""
    history = promotions(care.home)
    own = [one for one in history if one.get("version") == version]
    if not own:
        return False
    if own[-1].get("passed"):
        return bool(own[-1] is not history[-1])  # the last line may be of a promotion that was killed half way
    return not _may_pass_later(care, [one.get("name", "") for one in own[-1].get("criteria", ()) if not one["passed"]])


def _may_pass_later(care: Care, failed: Sequence[str] | Mapping[str, str]) -> bool:
    return set(failed) <= _LATER and ("data" in failed or not care.fairness_gap)


def _looking(care: Care) -> tuple[object, ...]:
    memory = ("--memory", care.memory) if care.memory else ()
    return "--models", care.models, "--log", care.log, "--strategy", care.strategy, *memory


def stretch(champion: Manifest) -> tuple[str, ...]:
    """Return which decisions a recalibrated version is compared by: those that put it right, and those after them."""
    told = champion.learning.get(RECALIBRATED, {})
    firsts = [how["first"] for side in ("said", "silent") for how in told.get(side, {}).values()]
    return (*(("--from", min(firsts, key=_moment)) if firsts else ()), "--since", champion.rows.last)


def _told(alarms: Sequence[Mapping[str, Any]]) -> str:
    more = f", and {len(alarms) - 1} more alarms" if len(alarms) > 1 else ""
    return f"{alarms[0]['reason']}{more}" if alarms else ""


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


async def _step(*words: object, judges: bool = False) -> dict[str, Any]:
    """Run one of our commands and return what it says; one that `judges` may also end with 1 and a judgement."""
    ended = await run_module("service.cli", (*map(str, words), "--json"))
    if ended.code not in ((0, 1) if judges else (0,)):
        raise StepFailed(_why(words, ended))
    try:
        said = json.loads(ended.output)
    except ValueError:
        raise StepFailed(_why(words, ended)) from None
    if not isinstance(said, dict) or "error" in said:
        raise StepFailed(_why(words, ended))
    return said


def _why(words: Sequence[object], ended: Ended) -> str:
    command = " ".join(map(str, words[:2])) if words[0] == "log" else str(words[0])
    return f"`tact {command}` failed: {ended.last_words.removeprefix('tact: ')}"
