"""Promises: what was said to a person is kept to on all channels, until it ends or a material fact changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from msgspec import Struct
from msgspec.structs import replace

from models.context import ContextSchema, Scalar
from service.core.decision import Reason, ReasonCode
from service.core.epochs import Epochs, earlier, in_force
from service.core.judge import Veto
from service.core.memory import Give, Promised
from service.core.parts import exempted, parts
from service.core.plan import PlacementPlan
from service.core.rules import Exemption, Promise
from service.core.selection import mask
from service.core.strategy import Strategy


class Kept(Struct, frozen=True):
    """The promises that hold now: the actions that are promised, with the reason of each by its index, and the vetoes
    over the others. `keys` are those promises as (key, action).
    """

    mask: int = 0
    reasons: Mapping[int, Reason] = {}
    vetoes: tuple[Veto, ...] = ()
    keys: tuple[tuple[str, str], ...] = ()


NOTHING_KEPT = Kept()


@dataclass(frozen=True, slots=True)
class _Key:
    """One key on one channel: the rule it belongs to and the actions of which one is kept to."""

    key: str
    rule: Promise
    mask: int


@dataclass(frozen=True, slots=True)
class _Keys:
    """All keys on one channel, and those of each action by its index, with the others of its keys as a mask."""

    by_key: Mapping[str, _Key]
    of: tuple[tuple[_Key, ...], ...]
    others: tuple[int, ...]


class Promises:
    """The consistency rules of one strategy."""

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy
        self._index = {action.id: action.index for action in strategy.actions}
        self._material = {rule.id: _places(rule, strategy.schema) for rule in strategy.promises}
        valids = [*(rule.valid for rule in strategy.promises), *(rule.valid for rule in strategy.exemptions)]
        self._keys = Epochs(valids, self._in_force)

    @classmethod
    def of(cls, strategy: Strategy) -> Promises | None:
        """Return the promises of a strategy; None where it gives none, so that they cost nothing."""
        return cls(strategy) if strategy.promises else None

    def kept(self, promised: Sequence[Promised], channel: str, values: Sequence[Scalar | None], now_ms: int) -> Kept:
        """Return what must be kept to on a channel, given the facts of now.

        A promise whose rule, part or action is no more does not bind. Of two under one key, which only two lives that
        became one can have, the one that was given first holds.
        """
        if not promised:
            return NOTHING_KEPT
        keys = self._keys.at(now_ms)[channel].by_key
        live: dict[str, Promised] = {}
        for promise in sorted(promised, key=lambda one: (one.given_ms, one.action, one.key)):
            key, index = keys.get(promise.key), self._index.get(promise.action)
            if key is None or index is None or not key.mask >> index & 1 or now_ms >= promise.until_ms:
                continue
            if promise.facts == self.facts(key.rule, values):
                live.setdefault(promise.key, promise)
        return self._kept([(keys[one.key], one) for one in live.values()]) if live else NOTHING_KEPT

    def gives(
        self, actions: Iterable[str], channel: str, values: Sequence[Scalar | None], now_ms: int
    ) -> tuple[Give, ...]:
        """Return the promises that saying these actions on a channel gives, or keeps."""
        of = self._keys.at(now_ms)[channel].of
        facts: dict[str, bytes] = {}
        found = []
        for action in dict.fromkeys(actions):
            for key in of[self._index[action]]:
                rule = key.rule
                if rule.id not in facts:
                    facts[rule.id] = self.facts(rule, values)
                found.append(Give(action, key.key, now_ms + rule.for_ms, facts[rule.id]))
        return tuple(found)

    def others(self, channel: str, action: int, now_ms: int) -> int:
        """Return the actions that cannot be said beside this one, for it promises something else."""
        return self._keys.at(now_ms)[channel].others[action]

    def consistent(self, channel: str, placements: Sequence[PlacementPlan], now_ms: int) -> tuple[PlacementPlan, ...]:
        """Leave out second choices that would promise otherwise than what another placement may say."""
        others, found = self._keys.at(now_ms)[channel].others, list(placements)
        for place, placed in enumerate(placements):
            elsewhere = [c.action for at, other in enumerate(found) if at != place for c in other.candidates]
            otherwise = _union(others[self._index[action]] for action in elsewhere)
            fitting = [c for c in placed.candidates[1:] if not otherwise >> self._index[c.action] & 1]
            if len(fitting) + 1 < len(placed.candidates):
                found[place] = replace(placed, candidates=(placed.candidates[0], *fitting))
        return tuple(found)

    def facts(self, rule: Promise, values: Sequence[Scalar | None]) -> bytes:
        """Return 8 bytes that tell whether a material fact has changed; one that is unknown now has, if it was not."""
        known = [_plain(values[place]) for place in self._material[rule.id]]
        return blake2b(repr(known).encode(), digest_size=8).digest()

    def _kept(self, live: Sequence[tuple[_Key, Promised]]) -> Kept:
        reasons: dict[int, Reason] = {}
        vetoes = []
        for key, promise in live:
            index, until_ms = self._index[promise.action], earlier(promise.until_ms, key.rule.valid)
            said = Reason(ReasonCode.PROMISED, key.rule.says, key.rule.id, key.rule.material, until_ms)
            reasons.setdefault(index, said)
            otherwise = Reason(ReasonCode.PROMISED_OTHERWISE, key.rule.says, key.rule.id, key.rule.material, until_ms)
            vetoes.append(Veto(key.mask & ~(1 << index), otherwise, until_ms))
        kept = sum(1 << index for index in reasons)
        return Kept(kept, reasons, tuple(vetoes), tuple((key.key, promise.action) for key, promise in live))

    def _in_force(self, now_ms: int) -> dict[str, _Keys]:
        exemptions = [one for one in self._strategy.exemptions if in_force(one.valid, now_ms)]
        rules = [rule for rule in self._strategy.promises if in_force(rule.valid, now_ms)]
        return {channel.id: self._on(channel.id, rules, exemptions) for channel in self._strategy.channels}

    def _on(self, channel: str, rules: Sequence[Promise], exemptions: Sequence[Exemption]) -> _Keys:
        """Return the keys on a channel; what is exempt from a rule neither gives its promises nor is bound by them."""
        strategy, actions = self._strategy, self._strategy.actions
        keys = []
        for rule in rules:
            kept = mask(rule.keep, actions, channel) & ~exempted(strategy, rule.id, exemptions, channel)
            keys += [_Key(key, rule, part) for key, part in parts(rule.id, rule.per, kept, actions).items()]
        of = tuple(tuple(key for key in keys if key.mask >> index & 1) for index in range(len(actions)))
        others = tuple(_union(key.mask for key in mine) & ~(1 << index) for index, mine in enumerate(of))
        return _Keys({key.key: key for key in keys}, of, others)


def _places(rule: Promise, schema: ContextSchema) -> tuple[int, ...]:
    """Return where the material fields stand, in the order of their ids: adding other fields changes nothing."""
    return tuple(schema.index[name] for name in sorted(rule.material))


def _plain(value: Scalar | None) -> Scalar | None:
    return value + 0.0 if type(value) is float else value  # no negative zero


def _union(masks: Iterable[int]) -> int:
    found = 0
    for one in masks:
        found |= one
    return found
