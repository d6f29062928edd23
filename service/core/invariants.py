"""Invariants: what a strategy promises of itself, whatever its rules are; proven before it serves (service/proving)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from service.core.rules import ALWAYS, Answered, Condition, Counts, Selector, Valid


@dataclass(frozen=True, slots=True)
class Written:
    """What all invariants have in common: id and sentence, who answers for it, from when until when it is promised, and
    where it is written (the file is empty for what every strategy promises).
    """

    id: str
    says: str
    owner: str = ""
    valid: Valid = ALWAYS
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class Never:
    """Actions for which `never` holds are not said on these channels (empty: on any) while `when` holds.

    Where either is unknown they are not said either, unless `unknown_permits`.
    """

    written: Written
    never: Condition
    when: Condition
    channels: tuple[str, ...] = ()
    unknown_permits: bool = False


class Form(StrEnum):
    """What is promised in so many words, for it is about more than conditions can read; as `never:` names it."""

    WITHOUT_CONSENT = "marketing without consent"
    WITHOUT_PERMISSION = "contact without permission"
    OUT_OF_STOCK = "what is out of stock"


@dataclass(frozen=True, slots=True)
class Named:
    """A promise of a ready form, on these channels (empty: on any), for all actions but those that `but` selects."""

    written: Written
    form: Form
    channels: tuple[str, ...] = ()
    but: Selector | None = None


@dataclass(frozen=True, slots=True)
class Ends:
    """Everything that holds something back ends, by time or by something that can still happen; but for what is
    declared permanent, and for the rules that `but` names.
    """

    written: Written
    but: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AtMost:
    """Of the selected actions a person hears at most so many within any window of milliseconds, on all channels
    together; with `daily` on one calendar day. `counts` says which contacts: all that were decided, or only those that
    were shown or clicked.
    """

    written: Written
    count: Selector
    at_most: int
    within_ms: int
    daily: bool = False
    counts: Counts = Counts.DECIDED


@dataclass(frozen=True, slots=True)
class Rests:
    """Each of the selected actions that was so answered is not said again for a time (ms), on any channel; for good
    where `for_ms` is unset.
    """

    written: Written
    about: Selector
    after: tuple[Answered, ...]
    for_ms: int | None


Invariant: TypeAlias = Never | Named | Ends | AtMost | Rests
