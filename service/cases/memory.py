"""What the store would hold when a case is asked: the uses of caps, promises and refusals, from what went before."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from models.context import Scalar
from service.cases.case import Case, Replied, Said
from service.core.caps import CapTable
from service.core.decision import Counter, Known
from service.core.memory import Contact, Give, Memory, Promised, Refusal
from service.core.promises import Promises
from service.core.rules import Answered
from service.core.strategy import Strategy

KINDS = {Answered.REFUSED: 4, Answered.NOT_NOW: 5, Answered.NEVER: 6}
SHOWN, CLICKED = 1, 2
"""The kinds of outcomes that say no, and those that tell what became of a contact; numbers of the public contract."""

Seen = Callable[[Known, Said], Sequence[Scalar | None]]
"""Returns what was known of the customer when something was said."""


class Past:
    """Remembers what went before a case under one strategy, as the store remembers it."""

    def __init__(self, strategy: Strategy) -> None:
        self._caps = CapTable(strategy)
        self._promises = Promises.of(strategy)
        self._actions = {action.id: action for action in strategy.actions}
        self._household = strategy.schema.index.get(strategy.household)

    def known(self, case: Case, seen: Seen) -> Known:
        """Return what the store gives out, but for the facts."""
        memory = Memory(self._refusals(case), (), _last(case), version=1)
        known = Known(
            now_ms=case.now_ms,
            level=case.customer.level,
            channels=case.customer.permits,
            groups={},
            counters=self._counters(case),
            customer=case.customer.id,
            memory=memory,
            off=case.off,
        )
        return known if self._promises is None else self._with_promises(self._promises, known, case, seen)

    def _counters(self, case: Case) -> dict[str, tuple[int, ...]]:
        uses: dict[str, list[int]] = {}
        for said in case.said:
            at_ms = case.now_ms - said.ago_ms
            for counter in self._used(said, case, at_ms):
                if _counts(said, counter):
                    uses.setdefault(counter.key, []).append(at_ms)
        return {key: tuple(sorted(times)) for key, times in uses.items()}

    def _used(self, said: Said, case: Case, at_ms: int) -> tuple[Counter, ...]:
        """Return the counters that something said used: of what others heard, those of a household that is known."""
        place = said.channel, said.placement, self._actions[said.action].index, at_ms
        if not said.elsewhere:
            return self._caps.all_counters(*place)
        return self._caps.household_counters(*place) if self._household in case.customer.facts else ()

    def _refusals(self, case: Case) -> tuple[Refusal, ...]:
        found = []
        for place, reply in enumerate(case.replied):
            if reply.how is not None:
                action, at_ms = self._actions[reply.action], case.now_ms - reply.ago_ms
                mark = place.to_bytes(6, "big")
                found.append(Refusal(action.id, action.group, action.intents, KINDS[reply.how], at_ms, mark))
        return tuple(found)

    def _with_promises(self, promises: Promises, known: Known, case: Case, seen: Seen) -> Known:
        """Let what was said before promise what it promised, and each reply end what it ended, in their order."""
        live: dict[str, Promised] = {}
        for _, event in sorted([*_told(_heard(case)), *_told(case.replied)], key=lambda one: -one[0]):
            if isinstance(event, Replied):
                live = {key: one for key, one in live.items() if one.action != event.action}
                continue
            at_ms = case.now_ms - event.ago_ms
            for give in promises.gives((event.action,), event.channel, seen(known, event), at_ms):
                if not _stands(live.get(give.key), give, at_ms):
                    live[give.key] = Promised(give.key, give.action, at_ms, give.until_ms, "", give.facts)
        return _with(known, tuple(live.values()))


def _heard(case: Case) -> tuple[Said, ...]:
    """Return what was said to the customer, the oldest first."""
    return tuple(said for said in case.said if not said.elsewhere)


def _told(events: Sequence[Said] | Sequence[Replied]) -> list[tuple[int, Said | Replied]]:
    return [(event.ago_ms, event) for event in events]


def _stands(before: Promised | None, give: Give, at_ms: int) -> bool:
    """Tell whether a promise only is kept, so that it runs from when it was first given."""
    return before is not None and (before.action, before.facts) == (give.action, give.facts) and at_ms < before.until_ms


def _with(known: Known, promised: tuple[Promised, ...]) -> Known:
    return replace(known, memory=replace(known.memory, promised=promised))


def _counts(said: Said, counter: Counter) -> bool:
    """Tell whether something said used a cap up: at once, while it is held for what is to come, or when that came."""
    came = {SHOWN: said.shown or said.clicked, CLICKED: said.clicked}
    return not counter.hold_ms or said.ago_ms < counter.hold_ms or came.get(counter.on, True)


def _last(case: Case) -> Contact | None:
    """Return the latest contact, with everything that was said in it."""
    heard = _heard(case)
    if not heard:
        return None
    latest = heard[-1]
    actions = tuple(one.action for one in heard if (one.ago_ms, one.channel) == (latest.ago_ms, latest.channel))
    return Contact(latest.channel, case.now_ms - latest.ago_ms, actions)
