"""What a strategy declares about learning: how it explores, control groups, and what is learned between trainings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Explores(StrEnum):
    """How the first choice is drawn among what may be said.

    none             never: the best is said
    epsilon_greedy   the best, and with probability `rate` any one, all alike
    softmax          each with odds of e to the power of its net value over the temperature; nothing has the value 0
    thompson         each as often as it is the best in the scenarios of what is known by now
    """

    NONE = "none"
    EPSILON_GREEDY = "epsilon_greedy"
    SOFTMAX = "softmax"
    THOMPSON = "thompson"


class Group(StrEnum):
    """The control groups: people for whom is drawn among all that may be said, and those who are told nothing."""

    RANDOM = "control"
    HOLDOUT = "holdout"


GREEDY = "greedy"
"""The name of a policy that draws nothing."""


@dataclass(frozen=True, slots=True)
class Exploration:
    """How the first choice is drawn.

    `rate` is the share that is drawn evenly, `temperature` is in the strategy's currency, and `silence` says whether
    saying nothing is drawn, too.
    """

    policy: Explores
    rate: float = 0.0
    temperature: float = 0.0
    silence: bool = False


@dataclass(frozen=True, slots=True)
class Control:
    """The shares of people for whom is drawn at `random`, and of those who are told nothing (`holdout`).

    Who belongs to a group follows from a hash of the person and the `salt`.
    """

    random: float
    holdout: float
    salt: str


@dataclass(frozen=True, slots=True)
class Adaptive:
    """What is learned between trainings, from outcomes of kind `on` (a number of the public contract).

    An outcome counts that comes `within_ms` of its decision. After `half_life_ms` what was learned counts half. What
    the model or the prior says counts as much as `strength` decisions. `segment` is the field by whose values is
    counted apart; empty for none.
    """

    on: int
    within_ms: int
    half_life_ms: int
    strength: float
    segment: str = ""
