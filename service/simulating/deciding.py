"""Decide logged decisions again under one strategy, by the engine that serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_

from msgspec import Struct
from msgspec.structs import replace

from models.propensity import Folded
from service.core.arbitrate import Scores
from service.core.decision import Counter, Known, Reason, Request
from service.core.engine import Engine
from service.core.memory import NOTHING_OFF, NOTHING_REMEMBERED, Memory, Switched
from service.core.plan import Entry
from service.core.policy import Judged
from service.core.rules import Kind
from service.core.snapshot import Snapshot
from service.core.strategy import Strategy
from service.evaluating.told import Telling
from service.simulating.carried import NOTHING_SEEN, Carried, Keeping
from service.simulating.ending import Ended, Ending, Planned
from service.simulating.logged import Beside, Logged, LoggedRow

NO_TREATMENT, OUTRANKED, NOT_WORTH = "no_treatment", "outranked", "nothing_worth_saying"
_MOST_LIKELY = 1.0 - 2.0**-32
"""A draw that explores nothing, for logs that do not tell their dice."""


class Spoken(Struct, frozen=True):
    """What is said at one placement: the action, empty for nothing, and the probabilities of all, by their indexes."""

    action: str
    chances: Mapping[int, float]


class Redecided(Struct, frozen=True):
    """A decision that was made again: what is said at each of the log's rows, and what it was made from.

    A row on a channel or at a placement that the strategy lacks says nothing, and has no `places` (-1 there).
    """

    spoken: tuple[Spoken, ...]
    places: tuple[int, ...]
    snapshot: Snapshot | None
    judged: Judged | None
    scores: Scores | None


class Deciding:
    """Decides under one strategy and model, for one customer after the other."""

    def __init__(self, strategy: Strategy, model: Folded | None, told: frozenset[str]) -> None:
        self.strategy = strategy
        self.index = {action.id: action.index for action in strategy.actions}
        self.kinds = {action.id: action.kind for action in strategy.actions}
        self._treated = _treated(strategy)
        self.offers = sum(1 << action.index for action in strategy.actions if action.kind is Kind.OFFER)
        self._engine = Engine(strategy, model)
        self._ending = Ending(self._engine)
        self._telling = Telling(strategy)
        self._keeping = Keeping(strategy, told)
        self._fields = strategy.schema.index
        self._levels = {level.id for level in strategy.levels}
        self._fullest = max(strategy.levels, key=lambda level: len(level.purposes)).id
        self._channels = {channel.id: channel for channel in strategy.channels}

    def beginning(self) -> Carried:
        """Return what is carried over at the first decision of a customer: nothing."""
        return Carried(self._keeping)

    def again(self, logged: Logged, carried: Carried) -> Redecided:
        """Make a decision again, and note in `carried` what it leaves to those after it."""
        rows, channel = self._placed(logged)
        asked = tuple(placement for placement in rows if placement)
        if not asked:
            nothing = tuple(Spoken("", {}) for _ in rows)
            carried.said(logged.head.at_ms, logged.head.decision_id, _same(logged, nothing), ())
            return Redecided(nothing, (-1,) * len(rows), None, None, None)
        trigger = logged.head.beside.trigger if logged.head.beside else ""
        request = Request(logged.head.customer, channel, asked, {}, trigger=trigger)
        known, snapshot = self._known(logged.head, request, carried)
        judged = self._judged(snapshot, known, request, anywhere=not logged.head.placement)
        scores = self._engine.score(snapshot, judged, request)
        draws = [_drawn(row) for row, placement in zip(logged.rows, rows, strict=True) if placement]
        planned = self._engine.arbitrate(logged.head.decision_id, request, snapshot, judged, scores, draws)
        entry = self._engine.check(planned, snapshot, judged.verdicts.vetoes).entry
        ended = self._ending.of(Planned(request, snapshot, judged, scores, planned, known.counters), entry)
        places = _places(rows)
        spoken = tuple(Spoken("", {}) if at < 0 else Spoken(ended.said[at], ended.chances[at]) for at in places)
        self._note(logged, entry, _same(logged, spoken), ended, carried)
        return Redecided(spoken, places, snapshot, judged, scores)

    def counters(self, channel: str, placement: str, action: str, snapshot: Snapshot) -> tuple[Counter, ...]:
        """Return the counters that saying an action uses, by this strategy; none of what it does not have."""
        if action not in self.index or not self.treated(channel, placement):
            return ()
        placement = placement or self._channels[channel].placements[0]
        return self._ending.counters(channel, placement, self.index[action], snapshot.now_ms, snapshot.values)

    def why_not(self, found: Redecided, place: int, index: int) -> str:
        """Return by what an action is not said at a row: the rule's id, or the kind of the reason."""
        at = found.places[place]
        if at < 0 or found.judged is None or found.scores is None:
            return NO_TREATMENT
        for veto in (*found.judged.verdicts.vetoes, *found.judged.capped[at]):
            if veto.mask >> index & 1:
                return named(veto.reason)
        return OUTRANKED if found.scores.worth >> index & 1 else NOT_WORTH

    def treated(self, channel: str, placement: str) -> int:
        """Return the mask of the actions that have words at a placement, or anywhere on a channel where it is empty."""
        return self._treated.get((channel, placement), 0)

    def _judged(self, snapshot: Snapshot, known: Known, request: Request, anywhere: bool) -> Judged:
        """Return the judgement; where a log does not tell the placement, it may be any of the channel."""
        if not anywhere:
            return self._engine.judge(snapshot, known, request)
        placements = self._channels[request.channel].placements
        judged = self._engine.judge(snapshot, known, replace(request, placements=placements))
        capped = tuple(veto for one in judged.capped for veto in one)
        asked = tuple(one for placed in judged.asked for one in placed)
        both = reduce(or_, judged.survivors)
        return replace(judged, survivors=(both,), capped=(capped,), asked=(asked,) if asked else ())

    def _placed(self, logged: Logged) -> tuple[list[str], str]:
        """Return the placement of each row, empty where the strategy has none of it, and the channel."""
        name = logged.head.channel or (next(iter(self._channels)) if len(self._channels) == 1 else "")
        channel = self._channels.get(name)
        if channel is None:
            return [""] * len(logged.rows), name
        named = [row.placement for row in logged.rows]
        if named == [""] and channel.placements:  # a log that does not tell: it stands for any
            return [channel.placements[0]], name
        return [placement if placement in channel.placements else "" for placement in named], name

    def _known(self, head: LoggedRow, request: Request, carried: Carried) -> tuple[Known, Snapshot]:
        seen = head.beside or NOTHING_SEEN
        values = {self._fields[name]: value for name, value in head.known.items() if name in self._fields}
        off = Switched(frozenset(seen.off), seen.everything_off) if seen.off or seen.everything_off else NOTHING_OFF
        level = self._level(head.level)
        counters = carried.counters(seen, head.at_ms)
        channels = (request.channel,) if seen.permitted else ()
        known = Known(head.at_ms, level, channels, {}, counters, off=off)
        snapshot = self._telling.told(self._engine.see(known, request), values)
        promised = carried.promised(seen, snapshot.values)
        memory = Memory(seen.refusals, promised) if seen.refusals or promised else NOTHING_REMEMBERED
        return replace(known, memory=memory), replace(snapshot, memory=memory)

    def _level(self, told: str) -> str | None:
        """Return the level of that name; the fullest where a log tells none, the lowest for one that is not there."""
        return (told if told in self._levels else None) if told else self._fullest

    def _note(self, logged: Logged, entry: Entry, same: bool, ended: Ended, carried: Carried) -> None:
        at_ms, decision_id, promises = entry.at_ms, logged.head.decision_id, self._keeping.promises
        carried.said(at_ms, decision_id, same, [counter for one in ended.uses for counter in one])
        if promises is not None:
            gives = promises.gives([action for action in ended.said if action], entry.channel, entry.values, at_ms)
            carried.gave(at_ms, decision_id, same, gives)


def named(reason: Reason) -> str:
    """Return what a reason is called in a count: its rule, or what kind of reason it is."""
    return reason.rule or reason.code.name.lower()


def _treated(strategy: Strategy) -> dict[tuple[str, str], int]:
    found = {(channel.id, placement): 0 for channel in strategy.channels for placement in channel.placements}
    found |= {(channel.id, ""): 0 for channel in strategy.channels}
    for action in strategy.actions:
        for treatment in action.treatments:
            for placement in (treatment.placement, ""):
                found[treatment.channel, placement] |= 1 << action.index
    return found


def _drawn(row: LoggedRow) -> float:
    return _MOST_LIKELY if row.draw is None else row.draw


def _same(logged: Logged, spoken: Sequence[Spoken]) -> bool:
    return all(row.action == one.action for row, one in zip(logged.rows, spoken, strict=True))


def _places(rows: Sequence[str]) -> tuple[int, ...]:
    """Return the place of each row among those that are asked, -1 for the others."""
    found, at = [], 0
    for placement in rows:
        found.append(at if placement else -1)
        at += bool(placement)
    return tuple(found)


__all__ = ["Beside", "Deciding", "Redecided", "Spoken", "named"]
