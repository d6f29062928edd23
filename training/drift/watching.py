"""Look at a model through its log: what it learned from against what came after, model by model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.progress import Progress

from models.artifacts import Artifact, Manifest, read_artifact
from models.propensity import Folded

from ..decisions import NOTHING, Decisions
from ..errors import AskedWrongly, TrainingRefused
from ..learning.source import Source, read
from ..strategy import Declared, read_strategy
from .alarms import Alarm, Reference, feature_alarms, moved
from .calibration import Habit, Told, Window, windows
from .seen import Floats, Seen
from .stability import Moved, Population
from .unseen import Habits, habits_of

RECALIBRATED = "recalibrated"
"""Under this name a recalibrated version's manifest tells, in `learning`, what was put right and from when on."""

Side = dict[str, Seen]


@dataclass(frozen=True, slots=True)
class Order:
    """Which model of which strategy to look at, through which log.

    `since_ms` is where the recent decisions begin; unset, behind the last one that the model learned from. What was
    decided before `from_ms` is left out.
    """

    strategy: Path
    model: Path
    source: Source
    since_ms: int | None = None
    from_ms: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """One stretch of decisions: all of them, and by action what models said when it was said, or when nothing was."""

    decisions: Decisions
    said: Side
    silent: Side

    def part(self, decided: tuple[int, int]) -> Sides:
        """Return what was decided after the first moment, up to the second."""
        after, until = decided
        rows = (self.decisions.at_ms > after) & (self.decisions.at_ms <= until)
        said, silent = (
            {action: part for action, seen in side.items() if len(part := _between(seen, after, until))}
            for side in (self.said, self.silent)
        )
        return Sides(self.decisions.part(rows), said, silent)


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """What a model learned from, as recent decisions are compared with it: the people, and by action what happened."""

    population: Population
    said: Mapping[str, Reference]
    silent: Mapping[str, Reference]
    then: Sides

    @classmethod
    def of(cls, then: Sides, habits: Habits | None) -> Past:
        """Remember the decisions of then; `habits` are the gaps of forecasts of rows that the model had not seen."""
        decisions = then.decisions
        population = Population.of(decisions.columns, decisions.x, decisions.customer)
        told: Habits = ({}, {}) if habits is None else habits
        said, silent = (
            {action: Reference.of_outcomes(seen, gaps.get(action)) for action, seen in side.items()}
            for side, gaps in zip((then.said, then.silent), told, strict=True)
        )
        return cls(population, said, silent, then)

    def everyone(self, actions: Iterable[str]) -> Reference:
        """Return how often outcomes of several actions happened when one of them was said."""
        return Reference.of_outcomes(Seen.joined([self.then.said[action] for action in actions]))

    def rates(self, side: Mapping[str, Reference]) -> dict[str, float]:
        """Return how often the outcome of each action happened."""
        return {action: reference.rate for action, reference in side.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """A model and its log, in two parts: `then` the decisions up to those it learned from, and `recent` ones."""

    declared: Declared
    artifact: Artifact
    then: Sides
    recent: Sides
    past: Past


@dataclass(frozen=True, slots=True)
class Found:
    """What a look found: how far fields moved, forecasts in time of all models together, and every alarm.

    `trustworthy` tells whether no alarm is about forecasts or outcomes: then there is nothing to put right.
    """

    stability: tuple[Moved, ...]
    windows: tuple[Window, ...]
    alarms: tuple[Alarm, ...]
    trustworthy: bool


def watched(order: Order, bars: Progress) -> Watched:
    """Read model and log; raise `TrainingRefused` where they do not belong together or one part is empty."""
    declared, artifact = read_strategy(order.strategy), read_artifact(order.model)
    _refuse_strangers(declared, artifact.manifest)
    decisions = _not_before(read(order.source, declared, bars).decisions, order.from_ms)
    since = since_of(artifact.manifest) if order.since_ms is None else order.since_ms
    recent = decisions.at_ms > since
    for part, what in ((~recent, "up to"), (recent, "after")):
        if not part.any():
            raise TrainingRefused(
                f"the log has no decision with a known outcome {what} {written(since)}, where the recent ones begin; "
                f"give more of the log, or another moment with --since"
            )
    then, now = (sides_of(artifact.folded, decisions.part(part)) for part in (~recent, recent))
    return Watched(declared, artifact, then, now, Past.of(then, habits_of(artifact.manifest)))


def _not_before(decisions: Decisions, from_ms: int | None) -> Decisions:
    return decisions if from_ms is None else decisions.part(decisions.at_ms >= from_ms)


def look(past: Past, recent: Sides) -> Found:
    """Compare recent decisions with those of then."""
    stability = moved(past.population, recent.decisions.x, recent.decisions.customer)
    alarms = list(_alarms(past, recent))
    in_time = windows(_together(recent.said, past.said))
    return Found(stability, in_time, (*feature_alarms(stability), *alarms), not alarms)


def since_of(manifest: Manifest) -> int:
    """Return the last moment that a version's models were trained on, in milliseconds."""
    told: Mapping[str, Any] = manifest.learning.get(RECALIBRATED, {})
    return moment(str(told.get("since", manifest.rows.last)))


def moment(text: str) -> int:
    """Return a moment (RFC 3339) in milliseconds since 1970; raise `TrainingRefused` for another text."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise AskedWrongly(f"{text!r} is no moment; write one as in 2026-05-01T00:00:00Z") from None
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def written(at_ms: int) -> str:
    """Write a moment as RFC 3339."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


def odds_of(chance: Floats) -> Floats:
    """Return the log odds of probabilities, finite also where a model is as sure as can be."""
    kept = np.clip(chance, 1e-12, 1.0 - 1e-12)
    return np.asarray(np.log(kept) - np.log1p(-kept))


def _refuse_strangers(declared: Declared, manifest: Manifest) -> None:
    if manifest.feature_hash != declared.space.hash:
        raise TrainingRefused(
            f"{manifest.version} was made for other features than those of the strategy {declared.name}; train it again"
        )
    if (manifest.outcome or "accepted") != declared.outcomes.predicted:
        raise TrainingRefused(
            f"{manifest.version} predicts {manifest.outcome or 'accepted'!r}, the strategy {declared.name} wants "
            f"{declared.outcomes.predicted!r}; train it again"
        )


def sides_of(folded: Folded, decisions: Decisions) -> Sides:
    """Return what models say of decisions, by action, where the outcome is known."""
    said, silent = folded.chances(decisions.x)
    code_of = {action: code for code, action in enumerate(decisions.actions)}
    code_of.pop(NOTHING, None)
    found: tuple[Side, Side] = ({}, {})
    for place, action in enumerate(folded.actions):
        code = code_of.get(action)
        if code is None:
            continue
        rows = decisions.action == code, decisions.action == 0
        for side, chosen, forecast in zip(found, rows, (said[:, place], silent[:, place]), strict=True):
            seen = _seen(decisions, chosen, forecast, code)
            if len(seen):
                side[action] = seen
    return Sides(decisions, *found)


def _seen(decisions: Decisions, chosen: npt.NDArray[np.bool_], forecast: Floats, code: int) -> Seen:
    return Seen(
        decisions.customer[chosen], decisions.x[chosen], forecast[chosen], decisions.happened[chosen, code],
        decisions.at_ms[chosen],
    ).told()  # fmt: skip


def _between(seen: Seen, after: int, until: int) -> Seen:
    return seen.part((seen.at_ms > after) & (seen.at_ms <= until))


def _alarms(past: Past, recent: Sides) -> Iterator[Alarm]:
    """Yield the alarms of every model that has rows in both parts, and of all said actions together."""
    for then, now, how in ((past.said, recent.said, ""), (past.silent, recent.silent, " without being said")):
        both = {action: seen for action, seen in now.items() if action in then}
        for action, seen in both.items():
            yield from then[action].forecasts(seen, f"{action}{how}")[1]
        if len(both) > 1 and not how:
            yield from past.everyone(both).told(_together(both, then), "all actions together")[1]


def _together(recent: Side, then: Mapping[str, Reference]) -> Told:
    """Return all recent rows in order of time, off each of which the gaps of its own model are taken."""
    nothing = Habit.from_forecasts(np.empty(0), np.empty(0))
    parts = [(then[action].habit if action in then else nothing).told(seen) for action, seen in recent.items()]
    order = np.argsort(np.concatenate([np.empty(0), *(seen.at_ms for seen in recent.values())]), kind="stable")
    return Told.joined(parts or [nothing.told(Seen.joined([]))], order)
