"""Cool-offs: what rests after a customer said no, and until when. An answer counts on all channels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from service.core.decision import Reason, ReasonCode
from service.core.epochs import Epochs, earlier, in_force
from service.core.judge import Veto
from service.core.memory import Refusal
from service.core.parts import exempted, parts, tails
from service.core.rules import Answered, CoolOff, Selector
from service.core.selection import mask
from service.core.strategy import Strategy

_KINDS = {Answered.REFUSED: 4, Answered.NOT_NOW: 5, Answered.NEVER: 6}
"""The kinds of outcomes that say no; the numbers are those of the public contract."""


@dataclass(frozen=True, slots=True)
class _Rest:
    """One rule on one channel: the kinds of answers it minds, the actions whose answers it minds, and what rests by the
    key of its part.
    """

    rule: CoolOff
    kinds: frozenset[int]
    about: int
    parts: Mapping[str, int]


class CoolOffs:
    """The cool-offs of one strategy."""

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy
        self._actions = {action.id: action for action in strategy.actions}
        valids = [*(rule.valid for rule in strategy.cool_offs), *(rule.valid for rule in strategy.exemptions)]
        self._rests = Epochs(valids, self._in_force)

    @classmethod
    def of(cls, strategy: Strategy) -> CoolOffs | None:
        """Return the cool-offs of a strategy; None where it has none, so that they cost nothing."""
        return cls(strategy) if strategy.cool_offs else None

    def vetoes(self, refusals: Sequence[Refusal], channel: str, now_ms: int) -> list[Veto]:
        """Return a veto over each part that rests now. A no that is dated later than `now_ms` counts as said just now:
        clocks differ, and what was answered is never forgotten for that.
        """
        if not refusals:
            return []
        found: list[Veto] = []
        for rest in self._rests.at(now_ms)[channel]:
            answered: dict[str, list[Refusal]] = {}
            for refusal in refusals:
                if refusal.kind in rest.kinds and self._minds(rest, refusal):
                    for key in self._touched(rest, refusal):
                        answered.setdefault(key, []).append(refusal)
            vetoes = (_veto(rest.rule, rest.parts[key], answered[key], now_ms) for key in sorted(answered))
            found += [veto for veto in vetoes if veto]
        return found

    def _minds(self, rest: _Rest, refusal: Refusal) -> bool:
        """Tell whether the rule is about what was refused; of what is offered no more, by what is remembered of it."""
        action = self._actions.get(refusal.action)
        return _means(rest.rule.about, refusal) if action is None else bool(rest.about >> action.index & 1)

    def _touched(self, rest: _Rest, refusal: Refusal) -> Iterable[str]:
        """Return the parts that rest: those of the action as it was then and as it is now, so that no edit frees it."""
        action = self._actions.get(refusal.action)
        per = rest.rule.per
        ends = {*tails(per, refusal), *(tails(per, action) if action else ())}
        return [key for end in ends if (key := rest.rule.id + end) in rest.parts]

    def _in_force(self, now_ms: int) -> dict[str, tuple[_Rest, ...]]:
        return {channel.id: self._on(channel.id, now_ms) for channel in self._strategy.channels}

    def _on(self, channel: str, now_ms: int) -> tuple[_Rest, ...]:
        strategy, actions = self._strategy, self._strategy.actions
        exemptions = [exemption for exemption in strategy.exemptions if in_force(exemption.valid, now_ms)]
        found = []
        for rule in strategy.cool_offs:
            about = mask(rule.about, actions, channel) & ~exempted(strategy, rule.id, exemptions, channel)
            if about and in_force(rule.valid, now_ms):
                kinds = frozenset(_KINDS[answer] for answer in rule.after)
                found.append(_Rest(rule, kinds, about, parts(rule.id, rule.per, about, actions)))
        return tuple(found)


def _means(about: Selector, refusal: Refusal) -> bool:
    """Tell whether a selector may mean what was refused: its kind and tags are not remembered, and so may be any."""
    return (
        (not about.ids or refusal.action in about.ids)
        and (not about.groups or refusal.group in about.groups)
        and (not about.intents or not set(about.intents).isdisjoint(refusal.intents))
    )


def _veto(rule: CoolOff, resting: int, answers: Sequence[Refusal], now_ms: int) -> Veto | None:
    """Return the veto of a part, as long as it rests: the more answers came before the latest, the longer."""
    if rule.permanent:
        return Veto(resting, Reason(ReasonCode.NEVER_AGAIN, rule.says, rule.id))
    latest_ms = min(max(answer.at_ms for answer in answers), now_ms)
    counted = {(one.action, one.mark) for one in answers if latest_ms - one.at_ms < rule.forget_ms}
    until_ms = latest_ms + rule.durations_ms[min(len(counted), len(rule.durations_ms)) - 1]
    if now_ms >= until_ms:
        return None
    until_ms = earlier(until_ms, rule.valid)
    return Veto(resting, Reason(ReasonCode.COOLING_OFF, rule.says, rule.id, until_ms=until_ms), until_ms)
