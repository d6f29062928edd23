"""Policy: what is held back beside the rules, by what was said and answered before, by supply, and by operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from service.core.answers import SHOWN, Texts
from service.core.caps import Capped, CapTable
from service.core.cooloffs import CoolOffs
from service.core.decision import Counter, Known, Reason, ReasonCode, Request, Shared
from service.core.due_for import DueFor
from service.core.households import Households
from service.core.judge import Verdicts, Veto
from service.core.memory import NOTHING_OFF, Give
from service.core.plan import SEEN_NOTHING, Entry, PlacementPlan, Seen
from service.core.promises import NOTHING_KEPT, Kept, Promises
from service.core.selection import bits
from service.core.snapshot import Snapshot
from service.core.stockroom import OUT, UNGRANTED, Stockroom
from service.core.strategy import Strategy
from service.core.switched import OFF, SWITCHED, veto_of

Asked = tuple[tuple[int, Reason], ...]
"""What a used up cap asks for instead: masks of actions, each with the reason to give."""

_Candidates = tuple[tuple[tuple[str, tuple[Counter, ...]], ...], ...]


class Judged(Struct, frozen=True):
    """The verdicts of a request, and for each placement the vetoes of caps, the actions that survive, and what used up
    caps ask for. `kept` are the promises that hold. `used` holds the uses (ms, ascending) of the counters that are used
    up at any placement, of each the latest that decide.
    """

    verdicts: Verdicts
    capped: tuple[tuple[Veto, ...], ...]
    survivors: tuple[int, ...]
    asked: tuple[Asked, ...] = ()
    kept: Kept = NOTHING_KEPT
    used: Mapping[str, tuple[int, ...]] = {}

    def preferred(self, place: int) -> int:
        """Return the actions that rules or used up caps ask for at a placement."""
        found = self.verdicts.preferred
        for mask, _ in self.asked[place] if self.asked else ():
            found |= mask
        return found

    def why(self, place: int) -> Mapping[int, Reason]:
        """Return why actions come first, by their indexes: they are promised, or a used up cap asks for them."""
        if not self.asked:
            return self.kept.reasons
        by_rules = self.verdicts.preferred
        asked = {i: reason for mask, reason in reversed(self.asked[place]) for i in bits(mask & ~by_rules)}
        return {**asked, **self.kept.reasons}


class Taken(Struct, frozen=True):
    """What placements take from those after them: what they say, and what would promise otherwise."""

    mask: int = 0
    otherwise: int = 0

    def vetoes(self, survivors: int) -> list[Veto]:
        """Return why of these survivors nothing may be said."""
        both = ((self.mask, SHOWN), (self.otherwise & ~self.mask, OTHERWISE))
        return [Veto(survivors & mask, reason) for mask, reason in both if survivors & mask]


NOTHING_TAKEN = Taken()
OTHERWISE = Reason(
    ReasonCode.PROMISED_OTHERWISE, "Another placement of this answer says something else of the same kind."
)


class Policy:
    """What one strategy holds back beside its rules."""

    def __init__(self, strategy: Strategy, texts: Texts) -> None:
        self._texts = texts
        self._stockroom = Stockroom(strategy)
        self._cool_offs = CoolOffs.of(strategy)
        self.caps = CapTable(strategy)
        self._households = Households.of(strategy, self.caps, texts.index)
        self.promises = Promises.of(strategy)
        self.remembers = self._cool_offs is not None or self.promises is not None
        self._due = DueFor(strategy)

    def judged(self, verdicts: Verdicts, snapshot: Snapshot, known: Known, request: Request) -> Judged:
        """Return the verdicts with everything else that holds back, and what survives at each placement."""
        found = self._stockroom.vetoes(snapshot.values, request.customer)
        kept = self._kept(snapshot, request.channel)
        if self.remembers:
            found += [*self._resting(snapshot, request.channel), *kept.vetoes]
        if request.trigger:
            found.append(self._due.other(request.trigger))
        if known.off is not NOTHING_OFF and (off := veto_of(known.off, self._texts.index)):
            found.insert(0, off)
        return self._placed(_with(verdicts, found) if found else verdicts, snapshot, known, request, kept)

    def seen(self, snapshot: Snapshot, judged: Judged, trigger: str = "") -> Seen:
        """Return what a judgement was made from beside the values, and which trigger asked."""
        memory, off = snapshot.memory, snapshot.off
        remembers = self.remembers and bool(memory.refusals or memory.promised)
        if snapshot.permitted and not (judged.used or remembers or trigger) and off is NOTHING_OFF:
            return SEEN_NOTHING
        refusals, promised = (memory.refusals, memory.promised) if remembers else ((), ())
        names = tuple(sorted(off.actions))
        return Seen(snapshot.permitted, judged.used, refusals, promised, names, off.everything, trigger)

    def held(self, snapshot: Snapshot, channel: str) -> list[Veto]:
        """Return what promises and earlier answers hold back now on a channel."""
        return [*self._resting(snapshot, channel), *self._kept(snapshot, channel).vetoes]

    def candidates(self, entry: Entry) -> _Candidates:
        """Return the candidates of each placement with the counters of the customer that they use.

        What counts by household counts for the customer, too: alone where no household is known.
        """
        day, at_ms = self.caps.day(entry.values, entry.at_ms), entry.at_ms
        counters = self.caps.counters if self._households is None else self.caps.all_counters
        index, channel = self._texts.index, entry.channel
        return tuple(
            [
                tuple(
                    [
                        (c.action, counters(channel, placed.placement, index[c.action], at_ms, day))
                        for c in placed.candidates
                    ]
                )
                for placed in entry.placements
            ]
        )

    def shared(self, entry: Entry) -> Shared | None:
        """Return what the candidates use of the caps of the customer's household."""
        return None if self._households is None else self._households.shared(entry)

    def gives(self, entry: Entry) -> tuple[Give, ...]:
        """Return the promises that the candidates give when they are said."""
        if self.promises is None:
            return ()
        actions = [candidate.action for placed in entry.placements for candidate in placed.candidates]
        return self.promises.gives(actions, entry.channel, entry.values, entry.at_ms)

    def reason(self, counter: str, frees_ms: int | None) -> Reason:
        """Return the reason to give for what bound a candidate at commit."""
        if counter == UNGRANTED:
            return OUT
        return OFF if counter == SWITCHED else self.caps.reason(counter, frees_ms)

    def taken(self, before: Taken, channel: str, placed: PlacementPlan, now_ms: int) -> Taken:
        """Return what the placements up to this one take from those after it."""
        if not placed.candidates:
            return before
        index = self._texts.index[placed.candidates[0].action]
        otherwise = self.promises.others(channel, index, now_ms) if self.promises else 0
        return Taken(before.mask | 1 << index, before.otherwise | otherwise)

    def consistent(self, channel: str, placements: Sequence[PlacementPlan], now_ms: int) -> tuple[PlacementPlan, ...]:
        """Leave out second choices that would promise otherwise than what another placement may say."""
        if self.promises is None or len(placements) == 1:
            return tuple(placements)
        return self.promises.consistent(channel, placements, now_ms)

    def _kept(self, snapshot: Snapshot, channel: str) -> Kept:
        if self.promises is None or not snapshot.memory.promised:
            return NOTHING_KEPT
        return self.promises.kept(snapshot.memory.promised, channel, snapshot.values, snapshot.now_ms)

    def _resting(self, snapshot: Snapshot, channel: str) -> list[Veto]:
        if self._cool_offs is None:
            return []
        return self._cool_offs.vetoes(snapshot.memory.refusals, channel, snapshot.now_ms)

    def _placed(self, verdicts: Verdicts, snapshot: Snapshot, known: Known, request: Request, kept: Kept) -> Judged:
        day = self.caps.day(snapshot.values, snapshot.now_ms)
        capped: list[tuple[Veto, ...]] = []
        survivors: list[int] = []
        asked: list[Asked] = []
        bound: dict[str, int] = {}
        for placement in request.placements:
            used = self.caps.used_up(request.channel, placement, known.counters, snapshot.now_ms, day)
            left = self._texts.treated(request.channel, placement) & ~verdicts.vetoed
            for one, _ in used:
                left &= ~one.mask
                bound[one.counter.key] = one.counter.at_most
            survivors.append(left)
            capped.append(tuple(_veto(one, frees_ms) for one, frees_ms in used) if used else ())
            asked.append(_asked(used) if used else ())
        uses = {key: times[-bound[key] :] for key, times in known.counters.items() if key in bound} if bound else {}
        return Judged(verdicts, tuple(capped), tuple(survivors), tuple(asked) if any(asked) else (), kept, uses)


def _with(verdicts: Verdicts, found: list[Veto]) -> Verdicts:
    vetoed = verdicts.vetoed
    for veto in found:
        vetoed |= veto.mask
    return replace(verdicts, vetoes=(*verdicts.vetoes, *found), vetoed=vetoed)


def _veto(capped: Capped, frees_ms: int) -> Veto:
    reason = capped.reason
    return Veto(capped.mask, Reason(reason.code, reason.sentence, reason.rule, (), frees_ms), frees_ms)


def _asked(used: Sequence[tuple[Capped, int]]) -> Asked:
    return tuple((one.instead, _instead(one, frees_ms)) for one, frees_ms in used if one.instead)


def _instead(capped: Capped, frees_ms: int) -> Reason:
    return Reason(ReasonCode.INSTEAD, capped.reason.sentence, capped.reason.rule, (), frees_ms)
