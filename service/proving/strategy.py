"""A strategy as formulas: for each channel and action, what may hold it back, and when it may be said.

Said here is what rules, consent, contact permission and supply let through. Caps, cool-offs, promises and switches are
left out: they only hold back more, and nothing that they ask for instead is said that is held back otherwise. So what
is impossible here is impossible whatever was counted, answered or switched off; and what is possible here is possible
for somebody of whom nothing is remembered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import z3

from models.context import Purpose, Scalar
from service.core.cel import Checked, Rows, check_condition
from service.core.cel.tree import Call, Name, Node, constant
from service.core.rules import CONTACT_PERMISSION, Eligibility, Exemption, Guardrail, Kind, Valid
from service.core.ruling import judging
from service.core.selection import mask
from service.core.strategy import Action, Channel, Strategy
from service.proving.symbols import NotInSolver, Symbols, Truth3

CONSENT, STOCK = "!consent", "!stock"
"""What holds back beside the rules, as `Hold.by`; contact permission has the name that exemptions give it."""

Rule = Guardrail | Eligibility


@dataclass(frozen=True, slots=True)
class Hold:
    """One thing that may hold an action back on a channel: `by` is a rule's id, `CONSENT`, `CONTACT_PERMISSION` or
    `STOCK`. `held` is when it does, and `known` when it does because its condition is known, and not for doubt.
    """

    by: str
    held: z3.BoolRef
    known: z3.BoolRef


class Model:
    """The formulas of one strategy. Conditions that are asked about beside its own are given as `extra`.

    `permitted` is whether the customer may be contacted unasked on the channel in question. `doubts` says in words, by
    the name of the symbol that stands for it, what goes beyond the solver: such a condition may be anything.
    """

    def __init__(self, strategy: Strategy, extra: Iterable[Checked] = ()) -> None:
        self.strategy = strategy
        self.permitted = z3.Bool("permitted to contact")
        self.doubts: dict[str, str] = {}
        self.rules: tuple[Rule, ...] = tuple(judging(strategy))
        self.checked: Mapping[str, Checked] = _checked(strategy, self.rules)
        self._rows = Rows.of(strategy.actions).rows
        self._stocked = {a.index: node for a in strategy.actions if (node := _enough(a)) is not None}
        self._extra = tuple(extra)
        nodes = [*(one.node for one in (*self.checked.values(), *self._extra)), *self._stocked.values()]
        self.symbols = Symbols(strategy.schema, strategy.levels, nodes, self._rows)
        self._channels = {channel.id: channel for channel in strategy.channels}
        self._about = {channel.id: _abouts(strategy, self.rules, channel.id) for channel in strategy.channels}
        self._holds: dict[tuple[str, int], tuple[Hold, ...]] = {}
        self._truths: dict[tuple[str, int], Truth3] = {}

    # -------------------------------------------------------------------------------------------------- what is there

    @cached_property
    def sayable(self) -> Mapping[str, tuple[Action, ...]]:
        """The actions that have words on each channel."""
        return {one: tuple(a for a in self.strategy.actions if _worded(a, one)) for one in self._channels}

    def channel(self, channel: str) -> Channel:
        """Return the channel of this id."""
        return self._channels[channel]

    def treated(self, channel: str, placement: str) -> tuple[Action, ...]:
        """Return the actions that have words at a placement."""
        return tuple(action for action in self.sayable[channel] if _worded(action, channel, placement))

    # ------------------------------------------------------------------------------------------------------- formulas

    def may_be_said(self, channel: str, action: Action) -> z3.BoolRef:
        """Return when nothing holds an action back on a channel."""
        return _none(hold.held for hold in self.holds(channel, action))

    def holds(self, channel: str, action: Action) -> tuple[Hold, ...]:
        """Return everything that may hold an action back on a channel, rules in the order in which they judge."""
        key = channel, action.index
        if key not in self._holds:
            self._holds[key] = tuple(self._held_by(channel, action))
        return self._holds[key]

    def about(self, rule: Rule, channel: str) -> int:
        """Return the mask of the actions that a rule is about on a channel, whether or not they are exempt."""
        return self._about[channel][rule.id]

    def truth(self, condition: Checked, action: Action | None = None) -> Truth3:
        """Return when a condition is known to hold and to fail, of an action where it asks about one.

        One that goes beyond the solver may be anything; `doubts` then tells why.
        """
        about = action.index if action is not None and condition.attributes else -1
        key = condition.source, about
        if key not in self._truths:
            row = self._rows[about] if about >= 0 else None
            self._truths[key] = self._truth(condition.source, condition.node, row, about)
        return self._truths[key]

    def in_force(self, valid: Valid) -> z3.BoolRef:
        """Return when a rule is in force."""
        ends = []
        if valid.from_ms is not None:
            ends.append(self.symbols.from_moment(valid.from_ms))
        if valid.until_ms is not None:
            ends.append(z3.Not(self.symbols.from_moment(valid.until_ms)))
        return z3.And(ends) if ends else z3.BoolVal(True)

    def exempt(self, name: str, channel: str, action: Action) -> z3.BoolRef:
        """Return when an exemption lets an action out of what has this name."""
        found = [self.in_force(one.valid) for one in self.strategy.exemptions if _frees(one, name, channel, action)]
        return z3.Or(found) if found else z3.BoolVal(False)

    def rule_holds(self, rule: Rule, channel: str, action: Action) -> Hold | None:
        """Return what one rule holds back of an action on a channel; None where it is not about it."""
        return next((hold for hold in self.holds(channel, action) if hold.by == rule.id), None)

    def formulas(self) -> Iterator[z3.BoolRef]:
        """Yield everything that the model can say of its channels, actions and conditions."""
        for channel, actions in self.sayable.items():
            for action in actions:
                yield from (hold.held for hold in self.holds(channel, action))
        for condition in (*self.checked.values(), *self._extra):
            for about in self.strategy.actions[: None if condition.attributes else 1]:
                truth = self.truth(condition, about)
                yield truth.holds
                yield truth.fails

    # --------------------------------------------------------------------------------------------------------- inside

    def _held_by(self, channel: str, action: Action) -> Iterable[Hold]:
        if action.kind is Kind.OFFER:
            lacking = z3.Not(self.symbols.allows(Purpose.PERSONALIZATION))
            yield Hold(CONSENT, lacking, lacking)
        if self._channels[channel].permission:
            unasked = _both(z3.Not(self.permitted), _not(self.exempt(CONTACT_PERMISSION, channel, action)))
            yield Hold(CONTACT_PERMISSION, unasked, unasked)
        for rule in self.rules:
            if self.about(rule, channel) >> action.index & 1:
                yield self._ruled(rule, channel, action)
        if (enough := self._stocked.get(action.index)) is not None:
            left = self._truth(f"{STOCK} {enough}", enough, None, -1)
            yield Hold(STOCK, z3.Not(left.holds), left.fails)

    def _ruled(self, rule: Rule, channel: str, action: Action) -> Hold:
        truth = self.truth(self.checked[rule.when.source], action)
        runs = _both(self.in_force(rule.valid), _not(self.exempt(rule.id, channel, action)))
        permits = isinstance(rule, Eligibility)
        held, known = (truth.holds, truth.fails) if permits else (truth.fails, truth.holds)
        return Hold(rule.id, _both(runs, z3.Not(held)), _both(runs, known))

    def _truth(self, source: str, node: Node, row: Mapping[str, Scalar] | None, about: int) -> Truth3:
        try:
            return self.symbols.truth(node, row)
        except NotInSolver as doubt:
            names = [f"{source} ({about}) {end}" for end in ("holds", "fails")]
            self.doubts |= dict.fromkeys(names, f"`{source}` goes beyond the solver: {doubt}")
            holds, fails = map(z3.Bool, names)
            return Truth3(holds, z3.And(fails, z3.Not(holds)))


def _checked(strategy: Strategy, rules: Iterable[Rule]) -> Mapping[str, Checked]:
    """Return every condition of a strategy by its text."""
    ruling = dict.fromkeys(rule.when.source for rule in rules)
    weighing = [weight.when.source for weight in strategy.weights if weight.when.source not in ruling]
    sources = dict.fromkeys((*ruling, *weighing, *(one.when.source for one in strategy.triggers if one.when.source)))
    return {source: check_condition(source, strategy.schema, strategy.attributes) for source in sources}


def _abouts(strategy: Strategy, rules: Iterable[Rule], channel: str) -> Mapping[str, int]:
    return {
        rule.id: mask(rule.forbid if isinstance(rule, Guardrail) else rule.permit, strategy.actions, channel)
        for rule in rules
    }


def _enough(action: Action) -> Node | None:
    """Return the condition that enough is left of what an action consumes."""
    if action.consumes is None:
        return None
    sides = Name(action.consumes.supply, "int"), constant(action.consumes.units)
    return Call("greater_equals_int64", "_>=_", sides, "bool")


def _worded(action: Action, channel: str, placement: str = "") -> bool:
    return any(one.channel == channel and placement in ("", one.placement) for one in action.treatments)


def _frees(one: Exemption, name: str, channel: str, action: Action) -> bool:
    return name in one.exempt_from and bool(mask(one.actions, (action,), channel))


def _both(one: z3.BoolRef, other: z3.BoolRef) -> z3.BoolRef:
    """Return both of two, without what is always true, so that what is alike is the same formula."""
    if z3.is_true(one):
        return other
    return one if z3.is_true(other) else z3.And(one, other)


def _not(one: z3.BoolRef) -> z3.BoolRef:
    return z3.BoolVal(True) if z3.is_false(one) else z3.Not(one)


def _none(found: Iterable[z3.BoolRef]) -> z3.BoolRef:
    any_of = list(found)
    return z3.Not(z3.Or(any_of)) if any_of else z3.BoolVal(True)
