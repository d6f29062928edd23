"""Triggers: what arms a moment at which something is to be said, what cancels it, and when it is due.

Each event is turned into operations by itself (`Arming`). What they come to is kept for each trigger and key (a cart, a
booking, or the customer) as a `Cell`: a set of the newest beginnings, the newest end, and what was dealt with. Newest
and set are the same in whatever order events arrive, so a late event, or an end that arrives before what it ends,
comes to the same cell. Everything here is pure; docs/triggers.md is the guide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, TypeAlias

from msgspec import Struct

from models.context import Purpose, Scalar
from service.core.rules import ALWAYS, Condition, Selector, Valid

DAY_MS = 86_400_000
LONGEST_KEY = 64
"""How many bytes a key has at most; a longer one is known by its digest."""
MOST_KEYS = 64
"""Of how many keys of a trigger a customer's cells are kept: the ones that saw an event last."""
MOST_TIMES = 32
"""How many times at most something must have happened."""
ALL: Final = ""
"""The key of a customer as a whole; an end under it ends every key of its trigger."""


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of a type whose attributes equal those of `where` and are `at_least` so much. `key` is the attribute
    that tells of what it is one, such as the cart; empty where it is of the customer as a whole.
    """

    event: str
    where: tuple[tuple[str, Scalar], ...] = ()
    key: str = ""
    at_least: tuple[tuple[str, float], ...] = ()

    def is_one(self, attributes: Mapping[str, Scalar]) -> bool:
        """Tell whether an event of the type is one of these; what it does not tell is not enough."""
        return all(attributes.get(name) == wanted for name, wanted in self.where) and all(
            isinstance(told := attributes.get(name), int | float) and told >= least for name, least in self.at_least
        )


@dataclass(frozen=True, slots=True)
class Wait:
    """How long after (or, negative, before) a moment: `span_ms`; or, where `minute` is set, `span_ms` in whole days of
    the customer's calendar and then at this minute of the day. No days and a minute: when the clock next shows it.
    """

    span_ms: int
    minute: int | None = None

    @property
    def earliest_ms(self) -> int:
        """How long after the moment it is due at the earliest, wherever the customer is."""
        if self.minute is None:
            return self.span_ms
        # The day began at most 25 hours before, with the hour that a clock may be put back.
        earliest = self.span_ms - DAY_MS + 60_000 * self.minute - 2 * 3_600_000
        return max(0, earliest) if self.span_ms >= 0 else earliest


@dataclass(frozen=True, slots=True)
class Trigger:
    """When to say something of itself. `per` names what it is about, an attribute of `after`; empty for the customer.

    It is armed when `after` happened `times` times, all `within_ms` (0: however long apart), with none of `unless`
    since then; and due `wait` after the last of these, or after (before) the moment in the attribute `date`. At that
    moment `when` must be known to hold; where it does not, it is looked at again every `look_again_ms`, and never if
    that is 0. It is good for `good_for_ms` from then on. Said is one of the actions that `of` selects, at the
    `placements` of the `channel`, and only to who agreed to `purpose`.
    """

    id: str
    says: str
    after: Happening
    unless: tuple[Happening, ...]
    wait: Wait
    of: Selector
    channel: str
    placements: tuple[str, ...]
    when: Condition
    purpose: Purpose = Purpose.PERSONALIZATION
    per: str = ""
    times: int = 1
    within_ms: int = 0
    date: str = ""
    good_for_ms: int = DAY_MS
    look_again_ms: int = 0
    owner: str = ""
    valid: Valid = ALWAYS


# ------------------------------------------------------------------------------------------------- events to operations


class Arm(Struct, frozen=True, array_like=True):
    """Something began at `at_ms`. It is due `earliest_ms` after `base_ms`, at the earliest, once `times` have begun.

    `base_ms` is the moment from which is counted: `at_ms`, or the date that the event told. It is good
    for `good_for_ms` once it is due.
    """

    trigger: str
    key: str
    at_ms: int
    base_ms: int
    earliest_ms: int
    times: int = 1
    within_ms: int = 0
    good_for_ms: int = 0


class Cancel(Struct, frozen=True, array_like=True):
    """What began until `at_ms` has ended; under the key `ALL` that of every key of the trigger."""

    trigger: str
    key: str
    at_ms: int


Change: TypeAlias = Arm | Cancel
NO_CHANGES: tuple[Change, ...] = ()


class Arming:
    """Tells what events arm and cancel, for all triggers of a strategy; an event of which none is costs one look."""

    def __init__(self, triggers: Iterable[Trigger]) -> None:
        self._by_event: dict[str, list[tuple[Trigger, Happening, bool]]] = {}
        for trigger in triggers:
            self._by_event.setdefault(trigger.after.event, []).append((trigger, trigger.after, True))
            for end in trigger.unless:
                self._by_event.setdefault(end.event, []).append((trigger, end, False))

    def changes(self, event_type: str, attributes: Mapping[str, Scalar], at_ms: int) -> tuple[Change, ...]:
        """Return what an event that happened at `at_ms` arms and cancels.

        What began without its key or its date arms nothing; what ends without its key ends all.
        """
        found = self._by_event.get(event_type)
        if found is None:
            return NO_CHANGES
        told = (
            _began(trigger, attributes, at_ms) if begins else Cancel(trigger.id, _key(one, attributes) or ALL, at_ms)
            for trigger, one, begins in found
            if one.is_one(attributes)
        )
        return tuple([change for change in told if change is not None])


def _began(trigger: Trigger, attributes: Mapping[str, Scalar], at_ms: int) -> Arm | None:
    key = _key(trigger.after, attributes)
    base = attributes.get(trigger.date) if trigger.date else at_ms
    if key is None or not isinstance(base, int):
        return None
    return Arm(
        trigger.id, key, at_ms, base, trigger.wait.earliest_ms, trigger.times, trigger.within_ms, trigger.good_for_ms
    )


def _key(one: Happening, attributes: Mapping[str, Scalar]) -> str | None:
    """Return the key of an event; None where it does not tell one."""
    if not one.key:
        return ALL
    value = attributes.get(one.key)
    text = "" if value is None else str(value)
    if len(text.encode()) > LONGEST_KEY:
        return blake2b(text.encode(), digest_size=LONGEST_KEY // 2).hexdigest()
    return text or None


# --------------------------------------------------------------------------------------------------------- what is kept


class Begun(Struct, frozen=True, array_like=True, order=True):
    """Something began at `at_ms`, and what is due is counted from `base_ms`."""

    at_ms: int
    base_ms: int


class Cell(Struct, frozen=True, array_like=True):
    """What is known of one trigger and key of a customer: the newest beginnings, newest first, as many as are needed;
    when it ended last; and until when everything was dealt with: sent, cancelled or run out. 0 stands for never.
    """

    begun: tuple[Begun, ...] = ()
    ended_ms: int = 0
    done_ms: int = 0


NOTHING_BEGUN = Cell()


class Moment(Struct, frozen=True):
    """A moment that is armed: what began it last, from when is counted, and when it is due at the earliest (ms)."""

    trigger: str
    key: str
    since_ms: int
    base_ms: int
    earliest_ms: int


def changed(cell: Cell, change: Change) -> Cell:
    """Return the cell of a trigger and key after one more of its changes."""
    if isinstance(change, Cancel):
        return Cell(cell.begun, max(cell.ended_ms, change.at_ms), cell.done_ms)
    begun = sorted((*cell.begun, Begun(change.at_ms, change.base_ms)), reverse=True)
    return Cell(tuple(begun[: change.times]), cell.ended_ms, cell.done_ms)


def merged(one: Cell, other: Cell, times: int) -> Cell:
    """Return the cell of a person whose identities had these two."""
    begun = sorted((*one.begun, *other.begun), reverse=True)
    return Cell(tuple(begun[:times]), max(one.ended_ms, other.ended_ms), max(one.done_ms, other.done_ms))


def armed(trigger: str, key: str, cell: Cell, arm: Arm, of_all: Cell = NOTHING_BEGUN) -> Moment | None:
    """Return the moment that a cell comes to, or None. `arm` is any one of those that arm it; `of_all` is the cell of
    the trigger under the key `ALL`.

    What ended at the moment at which it began has ended.
    """
    if len(cell.begun) < arm.times:
        return None
    newest, oldest = cell.begun[0], cell.begun[-1]
    if oldest.at_ms <= max(cell.ended_ms, of_all.ended_ms, cell.done_ms):
        return None
    if arm.within_ms and newest.at_ms - oldest.at_ms > arm.within_ms:
        return None
    return Moment(trigger, key, newest.at_ms, newest.base_ms, newest.base_ms + arm.earliest_ms)
