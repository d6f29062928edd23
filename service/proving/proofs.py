"""What came of proving a strategy, as plain values that can be kept, sent and shown, without the solver."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from models.context import Scalar


class Ruling(StrEnum):
    """Whether a promise holds: proven for all that can be known, broken for somebody, or not to be told, in words."""

    PROVEN = "proven"
    BROKEN = "broken"
    UNKNOWN = "unknown"


class Before(Struct, frozen=True, omit_defaults=True):
    """Something that was said to a customer some time ago (ms), and how they answered, if they did."""

    channel: str
    placement: str
    action: str
    ago_ms: int
    answered: str = ""


class Said(Struct, frozen=True, omit_defaults=True):
    """What is answered at a placement: the action and its words, both empty for nothing."""

    placement: str
    action: str = ""
    text: str = ""


class Example(Struct, frozen=True, omit_defaults=True):
    """A customer for whom it is so, decided by the real engine.

    `facts` has what is known by the ids of the fields; all else is unknown. `before` is what was said to them, the
    oldest first. `permitted` says whether they may be contacted unasked on the channel. `answers` is what the service
    would answer, and `alone` what it would if every other action were switched off. `as_seen` is unset for values that
    no store would give.
    """

    level: str
    channel: str
    permitted: bool
    now_ms: int
    facts: Mapping[str, Scalar]
    action: str = ""
    before: tuple[Before, ...] = ()
    answers: tuple[Said, ...] = ()
    alone: tuple[Said, ...] = ()
    as_seen: bool = True


class Proof(Struct, frozen=True, omit_defaults=True):
    """What came of one promise: where it stands (no file for what every strategy promises), and the verdict.

    `why` says in words what made it unknown, or how it is broken.
    """

    id: str
    says: str
    file: str
    line: int
    ruling: Ruling
    why: str = ""
    example: Example | None = None


class Found(Struct, frozen=True, omit_defaults=True):
    """Something odd that was found without being asked; `certain` is unset where it could not be told in time."""

    kind: str
    gravity: str
    about: tuple[str, ...]
    says: str
    file: str = ""
    line: int = 0
    certain: bool = True
    example: Example | None = None


class Report(Struct, frozen=True):
    """Everything that was proven and found of one version of a strategy.

    `kept` says of how many promises, and of how many findings taken together, the verdict was known from before.
    """

    strategy: str
    proofs: tuple[Proof, ...]
    findings: tuple[Found, ...]
    seconds: float
    kept: int = 0

    @property
    def broken(self) -> tuple[Proof, ...]:
        """The promises that the strategy breaks."""
        return tuple(one for one in self.proofs if one.ruling is Ruling.BROKEN)

    @property
    def unknown(self) -> tuple[Proof, ...]:
        """The promises of which it could not be told."""
        return tuple(one for one in self.proofs if one.ruling is Ruling.UNKNOWN)
