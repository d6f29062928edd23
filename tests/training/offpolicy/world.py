"""The demo world's tastes as arrays: logs of any policy drawn from them, and what every policy is truly worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.decisions import NOTHING, Decisions
from training.worlds.tastes import TASTES, Sayable, Traits, read_sayables, true_worth

Floats = npt.NDArray[np.float64]

TRAITS = ("tech", "thrift", "travel", "family", "worry", "warmth")
OFFERS = ("fibre-upgrade", "data-pass", "roaming-pass", "bigger-plan", "stay-discount")


@dataclass(frozen=True, slots=True, eq=False)
class Tastes:
    """What some actions of the demo strategy do to customers with traits (people, 6), as `true_worth` says it."""

    sayables: tuple[Sayable, ...]

    @classmethod
    def of(cls, *names: str) -> Tastes:
        """Return the tastes for some actions."""
        known = {sayable.id: sayable for sayable in read_sayables()}
        return cls(tuple(known[name] for name in names))

    @property
    def actions(self) -> tuple[str, ...]:
        """Return the names by code."""
        return (NOTHING, *(sayable.id for sayable in self.sayables))

    def chances(self, traits: Floats) -> tuple[Floats, Floats]:
        """Return P(outcome | said) and P(outcome | nothing), both (people, actions without nothing)."""
        base = np.array([np.log(TASTES[s.id].p / (1.0 - TASTES[s.id].p)) for s in self.sayables])
        likes = np.array([[getattr(TASTES[s.id].likes, t) for t in TRAITS] for s in self.sayables])
        sways = np.array([[getattr(TASTES[s.id].sways, t) for t in TRAITS] for s in self.sayables])
        lift = np.array([TASTES[s.id].lift for s in self.sayables])
        said = base + traits @ likes.T
        return _sigmoid(said), _sigmoid(said - lift - traits @ sways.T)

    def expected(self, traits: Floats) -> Floats:
        """Return what every action truly earns over saying nothing, (people, actions)."""
        said, silent = self.chances(traits)
        value = np.array([s.value for s in self.sayables])
        reward = np.array([s.reward for s in self.sayables])
        cost = np.array([s.cost for s in self.sayables])
        net = said * (value - reward) - silent * value - cost
        return np.concatenate((np.zeros((len(traits), 1)), net), axis=1)

    def log(
        self, traits: Floats, rows_each: int, logging: Floats, dice: np.random.Generator, noise: float
    ) -> Decisions:
        """Draw a log: each person is asked `rows_each` times and told something by `logging` (people, actions).

        What a row earns is what is expected plus noise of the person (the same in all their rows) and of the row; what
        is seen of the traits is blurred.
        """
        people, actions = len(traits), len(self.actions)
        customer = np.repeat(np.arange(people), rows_each)
        total = logging.cumsum(axis=1)[customer]
        action = (dice.random(len(customer))[:, None] * total[:, -1:] > total).sum(axis=1)
        probability = logging[customer, action]
        own = dice.normal(size=people)[customer] * noise
        worth = self.expected(traits)[customer, action] + own + dice.normal(size=len(customer)) * noise
        x = (traits + dice.normal(size=traits.shape) * 0.5)[customer]
        return Decisions(
            customer, np.arange(len(customer)), TRAITS, x, self.actions, action, probability,
            (logging > 0.0)[customer], np.full((len(customer), actions), np.nan), worth,
        )  # fmt: skip


def _sigmoid(z: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-z)))


def told(traits: Floats) -> list[Traits]:
    """Return rows of traits as the world has them."""
    return [Traits(*row) for row in traits.tolist()]


def same_as_world(tastes: Tastes, traits: Floats) -> float:
    """Return by how much the arrays differ from the world's own `true_worth`, levers left out."""
    found = tastes.expected(traits)[:, 1:]
    truth = [[true_worth(s, one) for s in tastes.sayables] for one in told(traits)]
    net = [
        [w.p * (s.value - s.reward) - w.p0 * s.value - s.cost for w, s in zip(row, tastes.sayables, strict=True)]
        for row in truth
    ]
    return float(np.abs(found - np.array(net)).max())
