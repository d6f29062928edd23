"""What a finding is: something odd in a strategy that nobody has to ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from service.core.rules import CONTACT_PERMISSION
from service.proving.questions import Decided
from service.proving.strategy import CONSENT, STOCK


class FindingKind(StrEnum):
    """What is odd."""

    DEAD_RULE = "dead rule"
    SWALLOWED_RULE = "swallowed rule"
    NEVER_SAID = "action that nobody can get"
    NEVER_HELD_BACK = "action that nothing holds back"
    NEVER_TRUE = "condition that is never true"
    ALWAYS_TRUE = "condition that is never false"
    CONTRADICTION = "rules that exclude each other"
    GAP = "nothing can be said"
    UNSAFE_GREETING = "safe greeting that is held back"
    CAP_NEVER_BINDS = "cap that never binds"
    ENDLESS = "suppression without end"
    NEVER_SENT = "trigger of which nothing comes"


class Gravity(StrEnum):
    """Whether it is nearly always a mistake, or may be meant so."""

    MISTAKE = "mistake"
    REMARK = "remark"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found: what it is about (ids of rules, caps, actions or channels, the odd one first), in a
    sentence, and where the odd one stands (`file` and `line`; empty and 0 where the strategy does not keep that).

    `certain` is unset where the solver did not know in time or the language goes beyond it; `says` then tells so.
    `decided` is somebody of whom it is so, decided by the real engine, where it takes somebody to see it.
    """

    kind: FindingKind
    gravity: Gravity
    about: tuple[str, ...]
    says: str
    file: str = ""
    line: int = 0
    certain: bool = True
    decided: Decided | None = None


_NAMES = {
    CONSENT: "missing consent to personalization",
    CONTACT_PERMISSION: "missing permission to contact",
    STOCK: "missing stock",
}


def named(by: str) -> str:
    """Return how a sentence names what holds back."""
    return _NAMES.get(by, f"`{by}`")


def listed(bys: Sequence[str]) -> str:
    """Return how a sentence lists what holds back."""
    names = [named(by) for by in bys]
    return " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} and {names[-1]}"
