"""Questions about a strategy and their verdicts: what is asked of the solver, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import z3

from models.context import Scalar
from service.core.decision import Answer, Reason


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody about whom a decision is asked for on a channel at a moment (ms), with nothing counted or remembered.

    `values` follow the schema's fields; None is unknown. `level` is the consent level, and `permitted` says whether
    they may be contacted unasked on the channel; where that needs no permission it is true.
    """

    values: tuple[Scalar | None, ...]
    level: str
    permitted: bool
    now_ms: int
    channel: str


@dataclass(frozen=True, slots=True)
class Decided:
    """What the real engine decides about a customer.

    `may` holds for each placement the actions that may be said, and `held` for each action of the channel everything
    that forbids it, so that an action with no reasons may be said. `answers` is what is answered by the priors,
    placement by placement, and `alone` what is answered if every action but the one in question is switched off (empty
    where none is in question). `seen` says whether the engine saw these very values in what a store would keep of the
    customer; else it judged values as no store would give them. `objections` has the actions that the independent check
    refuses, each with the rule by which it does.
    """

    customer: Customer
    may: Mapping[str, frozenset[str]]
    held: Mapping[str, tuple[Reason, ...]]
    answers: tuple[Answer, ...]
    alone: tuple[Answer, ...]
    seen: bool
    objections: Mapping[str, str]

    def says(self, action: str) -> bool:
        """Tell whether an action may be said at some placement."""
        return any(action in actions for actions in self.may.values())


@dataclass(frozen=True, slots=True)
class Question:
    """Something that must not be: that `formula` is true of any customer who is asked about on `channel`.

    The formula is over the symbols of one `Model`. `action` is the action that it is about, empty for none. `real`
    tells of a customer whom the real engine decided whether it is truly so; else they are no counterexample.
    """

    id: str
    says: str
    channel: str
    formula: z3.BoolRef
    real: Callable[[Decided], bool]
    action: str = ""


class Outcome(StrEnum):
    """What came of a question."""

    PROVEN = "proven"
    COUNTEREXAMPLE = "counterexample"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a question: `decided` is set for a counterexample, `why` says in words what made it unknown."""

    question: Question
    outcome: Outcome
    decided: Decided | None = None
    why: str = ""

    @property
    def customer(self) -> Customer | None:
        """The counterexample, which the real engine decided."""
        return self.decided.customer if self.decided else None
