"""Rules that change nothing, rules that another one swallows, and conditions that are always or never true."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

import z3

from service.core.cel import Checked
from service.core.rules import Guardrail, Weight
from service.core.selection import bits, mask
from service.core.strategy import Action
from service.proving.finding import Finding, FindingKind, Gravity, listed, named
from service.proving.prover import Prover
from service.proving.strategy import Hold, Rule


@dataclass(frozen=True, slots=True)
class _Spot:
    """A channel and an action that a rule is about there, and what holds it back."""

    channel: str
    action: Action
    mine: Hold
    others: tuple[Hold, ...]

    @property
    def alone(self) -> z3.BoolRef:
        """When the rule holds the action back and nothing else does."""
        return z3.And(self.mine.held, z3.Not(z3.Or([hold.held for hold in self.others])))


def odd_rules(prover: Prover) -> Iterator[Finding]:
    """Yield what is odd about single rules, in the order in which they judge, and about weights."""
    found: dict[str, list[Finding]] = {}
    for odd in _odd_conditions(prover):
        found.setdefault(odd.about[0], []).append(odd)
    gone: set[str] = set()
    for rule in reversed(prover.model.rules):  # of two that are alike the later one is the one too many
        finding = _dead(prover, rule, gone)
        if finding is not None:
            found.setdefault(rule.id, []).append(finding)
            gone |= {rule.id} if finding.certain else set()
    order = [*(rule.id for rule in prover.model.rules), *(weight.id for weight in prover.model.strategy.weights)]
    for name in order:
        yield from found.get(name, ())


# ------------------------------------------------------------------------------------------------------- what changes


def _dead(prover: Prover, rule: Rule, gone: set[str]) -> Finding | None:
    """Return that a rule changes nothing beside those that are not `gone`, if it is so."""
    spots = _spots(prover, rule, gone)
    if not spots and not rule.instead:
        return _found(rule, FindingKind.DEAD_RULE, (), "is about nothing that can be said on any channel")
    tells = [_changes(prover, spots), _prefers(prover, rule)]
    if True in tells:
        return None
    if None in tells:
        return _found(rule, FindingKind.DEAD_RULE, (), "may change nothing: the solver did not know", certain=False)
    if prover.possible(z3.Or([spot.mine.held for spot in spots])) is False:
        return _found(rule, FindingKind.DEAD_RULE, (), "never holds anything back")
    for other in dict.fromkeys(hold.by for spot in spots for hold in spot.others):
        if _swallows(prover, other, spots):
            said = f"changes nothing: whatever it holds back, {named(other)} holds back too"
            return _found(rule, FindingKind.SWALLOWED_RULE, (other,), said)
    together = _together(prover, spots)
    said = f"changes nothing: whatever it holds back is held back by {listed(together)} as well"
    return _found(rule, FindingKind.DEAD_RULE, together, said)


def _spots(prover: Prover, rule: Rule, gone: set[str]) -> list[_Spot]:
    """Return where a rule may hold back; those at which the same would be asked count once."""
    model, found = prover.model, dict[tuple[int, ...], _Spot]()
    for channel, actions in model.sayable.items():
        for action in actions:
            mine = model.rule_holds(rule, channel, action)
            if mine is not None and not z3.is_false(mine.held):
                others = tuple(h for h in model.holds(channel, action) if h.by != rule.id and h.by not in gone)
                spot = _Spot(channel, action, mine, others)
                found.setdefault((mine.held.get_id(), *(hold.held.get_id() for hold in others)), spot)
    return sorted(found.values(), key=lambda spot: len(spot.others))


def _changes(prover: Prover, spots: Sequence[_Spot]) -> bool | None:
    """Tell whether the rule alone holds anything back, at the likeliest spot first."""
    found: bool | None = False
    for some in (spots[:1], spots[1:]):
        if some and (found := prover.possible(z3.Or([spot.alone for spot in some]))) is not False:
            return found
    return found


def _prefers(prover: Prover, rule: Rule) -> bool | None:
    """Tell whether what a rule asks for instead can be said while it is known to hold something back."""
    model, ways = prover.model, []
    for channel, actions in model.sayable.items() if rule.instead else ():
        asked = mask(rule.instead, model.strategy.actions, channel) if rule.instead else 0
        sayable = [model.may_be_said(channel, action) for action in actions if asked >> action.index & 1]
        known = [z3.And(model.in_force(rule.valid), one) for one in _known(prover, rule)]
        if sayable and known:
            ways.append(z3.And(z3.Or(known), z3.Or(sayable)))
    return prover.possible(z3.Or(ways)) if ways else False


def _known(prover: Prover, rule: Rule) -> list[z3.BoolRef]:
    """Return when a rule is known to hold something back, of each action where it asks about them."""
    checked = prover.model.checked[rule.when.source]
    about = prover.model.strategy.actions if checked.attributes else (None,)
    truths = [prover.model.truth(checked, action) for action in about]
    return [truth.holds if isinstance(rule, Guardrail) else truth.fails for truth in truths]


def _swallows(prover: Prover, other: str, spots: Sequence[_Spot]) -> bool:
    """Tell whether another rule holds back whatever this one does."""
    beside = [z3.And(spot.mine.held, z3.Not(_held_by(other, spot))) for spot in spots]
    return prover.possible(z3.Or(beside)) is False


def _held_by(other: str, spot: _Spot) -> z3.BoolRef:
    return next((hold.held for hold in spot.others if hold.by == other), z3.BoolVal(False))


def _together(prover: Prover, spots: Sequence[_Spot]) -> tuple[str, ...]:
    """Return the rules that hold back together whatever this one does."""
    found: dict[str, None] = {}
    for spot in spots:
        core = prover.core([(hold.by, z3.Not(hold.held)) for hold in spot.others], spot.mine.held)
        found |= dict.fromkeys(core or ())
    return tuple(found)


def _found(rule: Rule | Weight, kind: FindingKind, others: tuple[str, ...], says: str, certain: bool = True) -> Finding:
    gravity = Gravity.REMARK if kind is FindingKind.ALWAYS_TRUE or not certain else Gravity.MISTAKE
    sentence = f"The {type(rule).__name__.lower()} `{rule.id}` {says}."
    return Finding(kind, gravity, (rule.id, *others), sentence, rule.when.file, rule.when.line, certain)


# --------------------------------------------------------------------------------------------------------- conditions


def _odd_conditions(prover: Prover) -> Iterator[Finding]:
    model = prover.model
    for rule in (*model.rules, *model.strategy.weights):
        checked = model.checked[rule.when.source]
        if not rule.when.source:
            continue
        truths = [model.truth(checked, action) for action in _asked_about(rule, checked, prover)]
        if prover.possible(z3.Or([truth.holds for truth in truths])) is False:
            yield _found(rule, FindingKind.NEVER_TRUE, (), _NEVER[type(rule).__name__])
        elif prover.possible(z3.Or([truth.fails for truth in truths])) is False:
            yield _found(rule, FindingKind.ALWAYS_TRUE, (), _ALWAYS[type(rule).__name__])


def _asked_about(rule: Rule | Weight, checked: Checked, prover: Prover) -> Sequence[Action | None]:
    """Return the actions of which a condition is asked: those that its rule is about on some channel."""
    if not checked.attributes or isinstance(rule, Weight):
        return (None,)
    masks = [prover.model.about(rule, channel.id) for channel in prover.model.strategy.channels]
    about = reduce(or_, masks)
    return [prover.model.strategy.actions[index] for index in bits(about)]


_NEVER = {
    "Guardrail": "has a condition that is never true, so it forbids only where something is not known",
    "Eligibility": "has a condition that is never true, so it permits nothing to anybody",
    "Weight": "has a condition that is never true, so it weighs nothing",
}
_ALWAYS = {
    "Guardrail": "has a condition that is never false, so it forbids always",
    "Eligibility": "has a condition that is never false, so it only asks that something is known",
    "Weight": "has a condition that is never false, so it weighs whenever something is known",
}
