"""How likely each action is said at a placement: what a decision draws from, and what evaluations compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct


class Distribution(Struct, frozen=True):
    """The exact probability of each action at a placement (by its index; those of probability 0 may be left out), and
    of saying nothing. All of them add up to 1.

    `policy` names what draws: greedy, epsilon_greedy, softmax, thompson, control or holdout.
    """

    policy: str
    chances: Mapping[int, float]
    silence: float

    def vector(self, actions: int) -> list[float]:
        """Return the probabilities of so many actions, in the order of the strategy."""
        return [self.chances.get(index, 0.0) for index in range(actions)]

    def greeted(self, greeting: int | None) -> Distribution:
        """Return the same where an action is said instead of nothing; None stands for no such action."""
        if greeting is None or self.silence == 0.0:
            return self
        chances = {**self.chances, greeting: self.chances.get(greeting, 0.0) + self.silence}
        return Distribution(self.policy, chances, 0.0)


def mixed(policy: str, parts: Sequence[tuple[float, Distribution]]) -> Distribution:
    """Return the distribution of drawing one of several first, each with its share; the shares add up to 1."""
    chances: dict[int, float] = {}
    for share, part in parts:
        for index, chance in part.chances.items():
            chances[index] = chances.get(index, 0.0) + share * chance
    return Distribution(policy, chances, sum(share * part.silence for share, part in parts))
