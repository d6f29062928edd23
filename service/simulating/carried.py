"""What a strategy's own decisions leave to those after them: contacts that count for caps, and promises.

A log tells caps and promises as the decisions of then left them. Where a simulated decision says the same, that holds;
where it says something else, what was counted and promised then is taken away, and what it says instead is added.
"""

from __future__ import annotations

from collections import Counter as Multiset
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from models.context import Scalar
from service.core.decision import Counter
from service.core.memory import Give, Promised
from service.core.promises import Promises
from service.core.strategy import Strategy
from service.simulating.logged import Beside, Given

NOTHING_SEEN = Beside()


class Keeping:
    """How promises of a log are kept under one strategy; `told` are the ids of the rules that the log tells of."""

    def __init__(self, strategy: Strategy, told: frozenset[str]) -> None:
        self.promises = Promises.of(strategy)
        self.told = told
        self._rules = {rule.id: rule for rule in strategy.promises}

    def promised(self, given: Given, values: Sequence[Scalar | None]) -> Promised:
        """Return a promise of the log with the facts of now, where it held; one that did not has others."""
        rule = self._rules.get(rule_of(given.promised.key))
        if rule is None or self.promises is None or not given.held:
            return given.promised
        return replace(given.promised, facts=self.promises.facts(rule, values))


class Carried:
    """What one customer's decisions under a strategy have left so far."""

    def __init__(self, keeping: Keeping) -> None:
        self._keeping = keeping
        self._changed: dict[int, bool] = {}
        self._otherwise: set[str] = set()
        self._uses: dict[str, list[tuple[int, int]]] = {}
        self._own: dict[str, Promised] = {}

    def counters(self, seen: Beside, now_ms: int) -> Mapping[str, tuple[int, ...]]:
        """Return the uses (ms, ascending) of cap counters as far as they are known."""
        if not self._uses and not self._otherwise:
            return seen.used
        found: dict[str, tuple[int, ...]] = {}
        for key in {**seen.used, **self._uses}:
            told = [at_ms for at_ms in seen.used.get(key, ()) if not self._changed.get(at_ms)]
            own = [at_ms for at_ms, ends_ms in self._uses.get(key, ()) if not ends_ms or now_ms < ends_ms]
            if both := (Multiset(told) | Multiset(own)).elements() if told and own else told or own:
                found[key] = tuple(sorted(both))
        return found

    def promised(self, seen: Beside, values: Sequence[Scalar | None]) -> tuple[Promised, ...]:
        """Return what is promised by now."""
        if self._keeping.promises is None:
            return ()
        told = (one for one in seen.promises if one.promised.decision_id not in self._otherwise)
        by_key = {one.promised.key: self._keeping.promised(one, values) for one in told}
        return tuple({**by_key, **self._own}.values())

    def said(self, at_ms: int, decision_id: str, same: bool, counters: Sequence[Counter]) -> None:
        """Note that a decision was made, whether it says the `same` as the log, and what it uses."""
        self._changed[at_ms] = self._changed.get(at_ms, False) or not same
        if not same:
            self._otherwise.add(decision_id)
        for counter in counters:
            ends_ms = at_ms + counter.hold_ms if counter.hold_ms else 0
            self._uses.setdefault(counter.key, []).append((at_ms, ends_ms))

    def gave(self, at_ms: int, decision_id: str, same: bool, gives: Sequence[Give]) -> None:
        """Note what a decision promises; what the log tells of the same rule of the same saying needs no note."""
        for give in gives:
            if same and rule_of(give.key) in self._keeping.told:
                continue
            stands = self._own.get(give.key)
            if stands and (stands.action, stands.facts) == (give.action, give.facts) and at_ms < stands.until_ms:
                continue
            self._own[give.key] = Promised(give.key, give.action, at_ms, give.until_ms, decision_id, give.facts)


def rule_of(key: str) -> str:
    """Return the id of the rule whose part a key names."""
    return key.partition("|")[0]
