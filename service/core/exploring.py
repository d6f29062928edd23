"""Explore: the exact distribution of what is said first, a draw from it, and who is in a control group."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from math import exp

from msgspec import Struct
from msgspec.structs import replace

from service.core.arbitrate import NO_EXPLORATION, NOBODY, Arbiter, Ranking, Scores
from service.core.decision import Reason, ReasonCode
from service.core.distribution import Distribution, mixed
from service.core.exploration import GREEDY, Control, Exploration, Explores, Group
from service.core.plan import Odds
from service.core.strategy import Strategy

SURE_OF_NOTHING = Distribution(GREEDY, {}, 1.0)
NOTHING = "nothing"
IN_HOLDOUT = Reason(
    ReasonCode.CONTROL_GROUP, "This customer is in the group that is told nothing, by which the strategy is measured."
)
DRAWN_NOTHING = Reason(ReasonCode.EXPLORATION, "Saying nothing was drawn, to learn what happens anyway.")
_TOLD_NOTHING = Distribution(str(Group.HOLDOUT), {}, 1.0)


class Drawn(Struct, frozen=True):
    """A ranking with what its first choice was drawn from: for this person, and over `everyone`, for the groups too."""

    ranking: Ranking
    own: Distribution
    everyone: Distribution

    def greeted(self, greeting: Ranking) -> Drawn:
        """Return the same where a greeting is said instead of nothing; that may be an empty ranking."""
        if not greeting.order:
            return self
        own, everyone = self.own.greeted(greeting.order[0]), self.everyone.greeted(greeting.order[0])
        ranking = self.ranking if self.ranking.order else greeting
        exact = tuple(own.chances.get(index, 0.0) for index in ranking.order)
        return Drawn(replace(ranking, probabilities=exact), own, everyone)

    def why_nothing(self, worth: int) -> Reason | None:
        """Return why nothing is said where something would be `worth` saying; None where it was not drawn."""
        if self.own.policy == Group.HOLDOUT:
            return IN_HOLDOUT
        return DRAWN_NOTHING if worth or self.own.policy == Group.RANDOM else None


class Explorer:
    """Knows the distribution of one strategy's first choices. `draws` says whether the strategy declares more than the
    even share `explore`, which the arbiter draws by itself.
    """

    def __init__(self, strategy: Strategy, arbiter: Arbiter) -> None:
        even = Explores.EPSILON_GREEDY if strategy.explore else Explores.NONE
        self._arbiter = arbiter
        self._names = tuple(action.id for action in strategy.actions)
        self._declared = strategy.exploration or Exploration(even, strategy.explore)
        self._control = strategy.control
        self._name = GREEDY if self._declared.policy is Explores.NONE else str(self._declared.policy)
        self.draws = strategy.exploration is not None or strategy.control is not None

    def odds(self, drawn: Drawn) -> tuple[Odds, ...]:
        """Return what is logged of a draw: the odds of everything that it could draw, and of nothing."""
        own, everyone = drawn.own.chances, drawn.everyone.chances
        found = [
            Odds(self._names[index], own.get(index, 0.0), everyone.get(index, 0.0))
            for index in {**own, **everyone}
            if own.get(index) or everyone.get(index)
        ]
        if drawn.own.silence or drawn.everyone.silence:
            found.append(Odds(NOTHING, drawn.own.silence, drawn.everyone.silence))
        return tuple(found)

    def rank(
        self, survivors: int, preferred: int, scores: Scores, customer: str, draw: float, most: int, promised: int = 0
    ) -> Drawn:
        """Draw the first choice by a number in [0, 1), and rank what else is worth saying behind it.

        Where nothing is drawn, the ranking is empty.
        """
        main = self.main(survivors, preferred, scores, customer, promised)
        own, everyone = self._grouped(main, survivors, preferred, scores, customer, promised)
        if promised & survivors:
            ranking = self._arbiter.rank(survivors, preferred, scores, customer, NO_EXPLORATION, most, promised)
            return Drawn(ranking, own, everyone)
        first = picked(own, draw)
        if first is None:
            return Drawn(NOBODY, own, everyone)
        second = self._arbiter.rank(survivors & ~(1 << first), preferred, scores, customer, NO_EXPLORATION, most - 1)
        order = (first, *second.order)
        best = self._best(survivors & scores.worth, preferred, scores, customer)
        pool = sum(chance > 0.0 for chance in own.chances.values())
        ranking = Ranking(order, tuple(own.chances.get(i, 0.0) for i in order), pool, first != best)
        return Drawn(ranking, own, everyone)

    def distribution(
        self, survivors: int, preferred: int, scores: Scores, customer: str, promised: int = 0
    ) -> Distribution:
        """Return what the first choice for this person is drawn from, whose group counts."""
        main = self.main(survivors, preferred, scores, customer, promised)
        return self._grouped(main, survivors, preferred, scores, customer, promised)[0]

    def everyone(
        self, survivors: int, preferred: int, scores: Scores, customer: str, promised: int = 0
    ) -> Distribution:
        """Return what it is drawn from when the group is drawn as well: the probability over people like this one."""
        main = self.main(survivors, preferred, scores, customer, promised)
        return self._grouped(main, survivors, preferred, scores, customer, promised)[1]

    def _grouped(
        self, main: Distribution, survivors: int, preferred: int, scores: Scores, customer: str, promised: int
    ) -> tuple[Distribution, Distribution]:
        """Return the distribution for this person, and that over everyone, where `main` is that of most people."""
        control = self._control
        if control is None or self._is_no_experiment(survivors, preferred, scores, promised):
            return main, main
        evenly, group = self._evenly(survivors, scores, customer), group_of(customer, control)
        parts = ((control.random, evenly), (control.holdout, _TOLD_NOTHING))
        everyone = mixed(main.policy, ((1.0 - control.random - control.holdout, main), *parts))
        return {None: main, Group.RANDOM: evenly, Group.HOLDOUT: _TOLD_NOTHING}[group], everyone

    def main(self, survivors: int, preferred: int, scores: Scores, customer: str, promised: int = 0) -> Distribution:
        """Return what the first choice of people is drawn from who are in no control group."""
        if promised & survivors:
            kept = self._arbiter.best(promised & survivors, scores, customer)
            return Distribution(GREEDY, {kept: 1.0} if kept is not None else {}, 0.0)
        worth = survivors & scores.worth
        pool = worth & preferred or worth
        quiet = self._declared.silence and not worth & preferred
        among = survivors if quiet and self._declared.policy is Explores.THOMPSON else pool
        if not among:
            return SURE_OF_NOTHING
        order = self._arbiter.ordered(among, scores, customer)
        core, silence = self._core(order, scores, quiet)
        return self._shared(order, pool, core, silence, quiet)

    def _shared(
        self, order: Sequence[int], pool: int, core: Sequence[float], silence: float, quiet: bool
    ) -> Distribution:
        """Return the distribution in which the even share is mixed with the rest."""
        size = pool.bit_count() + quiet
        rate = self._declared.rate if size else 0.0
        even = rate / size if size else 0.0
        chances = {
            index: (1.0 - rate) * chance + (even if pool >> index & 1 else 0.0)
            for index, chance in zip(order, core, strict=True)
        }
        return Distribution(self._name, chances, (1.0 - rate) * silence + (even if quiet else 0.0))

    def _core(self, order: Sequence[int], scores: Scores, quiet: bool) -> tuple[Sequence[float], float]:
        """Return the chances of actions that are in the order of their net values, and of nothing, by the policy."""
        policy = self._declared.policy
        if policy is Explores.SOFTMAX:
            return _softmax([scores.net_value(index) for index in order], self._declared.temperature, quiet)
        if policy is Explores.THOMPSON and scores.adjusted is not None:
            return scores.adjusted.wins(order, scores.net, quiet)
        return [1.0, *[0.0] * (len(order) - 1)], 0.0

    def _evenly(self, survivors: int, scores: Scores, customer: str) -> Distribution:
        order = self._arbiter.ordered(survivors, scores, customer)
        return Distribution(str(Group.RANDOM), dict.fromkeys(order, chance := 1.0 / (len(order) + 1)), chance)

    def _best(self, worth: int, preferred: int, scores: Scores, customer: str) -> int | None:
        return self._arbiter.best(worth & preferred or worth, scores, customer)

    def _is_no_experiment(self, survivors: int, preferred: int, scores: Scores, promised: int) -> bool:
        """Tell whether control groups get what everybody gets: what was promised, and what rules ask for."""
        return bool(survivors & (promised | (preferred & scores.worth)))


def group_of(customer: str, control: Control) -> Group | None:
    """Return the control group of a person, by a hash of the person and the salt; None for most people."""
    digest = blake2b(customer.encode(), digest_size=8, salt=b"tact group", key=control.salt.encode()[:64]).digest()
    place = int.from_bytes(digest) / 2**64
    if place < control.holdout:
        return Group.HOLDOUT
    return Group.RANDOM if place < control.holdout + control.random else None


def picked(drawn: Distribution, draw: float) -> int | None:
    """Return the action that a number in [0, 1) draws, None for nothing: each as often as its probability says."""
    passed, last = 0.0, None
    for index, chance in drawn.chances.items():
        if chance > 0.0:
            passed, last = passed + chance, index
            if draw < passed:
                return index
    return None if drawn.silence > 0.0 else last  # what is left of rounding belongs to the last one


def _softmax(net: Sequence[float], temperature: float, quiet: bool) -> tuple[Sequence[float], float]:
    top = max(0.0, net[0]) if quiet else net[0]
    odds = [exp((value - top) / temperature) for value in net]
    silence = exp(-top / temperature) if quiet else 0.0
    total = sum(odds) + silence
    return [one / total for one in odds], silence / total
