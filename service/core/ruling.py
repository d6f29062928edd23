"""The rules of one channel as the judge goes through them: truths by place, selectors as masks, vetoes ready made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import Struct

from service.core.cel import Checked, Conditions, Masks, Program, Rows, check_condition
from service.core.decision import Reason, ReasonCode
from service.core.epochs import in_force
from service.core.rules import ALWAYS, CONTACT_PERMISSION, Eligibility, Guardrail, Layer, Valid
from service.core.selection import mask
from service.core.strategy import Strategy

FOR_ALL = -1


class Veto(Struct, frozen=True):
    """Why the actions in a mask may not be said; `until_ms` is when it ends by itself, such as a cap that frees."""

    mask: int
    reason: Reason
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Ruled:
    """One compiled rule on one channel: it forbids its actions unless its condition's truth is `passes`.

    A condition about actions has two places: at `condition` stand the actions for which it passes, at `against` those
    for which it is known not to; `against` is FOR_ALL where a condition is about the customer alone. What the rule asks
    for `instead` counts only while it is known to hold something back. At `quiet_until`, an hour of the customer's day,
    it ends by itself, or before, with `valid`; None for no such hour.
    """

    condition: int
    against: int
    passes: bool
    mask: int
    instead: int
    held: Veto
    unknown: Veto
    quiet_until: int | None = None
    valid: Valid = ALWAYS


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is in force on one channel: the rules, and which actions need permission to contact where it is lacking."""

    rules: tuple[Ruled, ...]
    unpermitted: Veto


NO_PERMISSION = Reason(
    ReasonCode.NO_CONTACT_PERMISSION, "This customer has not permitted to be contacted on this channel."
)
_CODES = {
    Layer.ELIGIBILITY: (ReasonCode.NOT_ELIGIBLE, ReasonCode.ELIGIBILITY_UNKNOWN),
    Layer.APPLICABILITY: (ReasonCode.NOT_APPLICABLE, ReasonCode.APPLICABILITY_UNKNOWN),
    Layer.SUITABILITY: (ReasonCode.NOT_SUITABLE, ReasonCode.SUITABILITY_UNKNOWN),
}


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the truth of a condition stands: at `place`, or, about actions, at it and the next place; what it reads."""

    place: int
    about_actions: bool
    fields: tuple[str, ...]


def judging(strategy: Strategy) -> list[Guardrail | Eligibility]:
    """Return the rules that judge, in the order in which their reasons come."""
    return [*strategy.guardrails, *strategy.eligibility]


class Compiled:
    """Every condition of a strategy, compiled into one function, and where its truth stands by its text."""

    def __init__(self, strategy: Strategy) -> None:
        program = Program()
        masks = Masks(program, Rows.of(strategy.actions))
        terms: list[str] = []
        self.places: dict[str, Placed] = {}
        for checked in _checked(strategy):
            self.places[checked.source] = Placed(len(terms), bool(checked.attributes), checked.fields)
            terms += masks.add(checked.node) if checked.attributes else [program.add(checked.node)]
        self.conditions: Conditions = program.compile(terms, strategy.schema)


def _checked(strategy: Strategy) -> list[Checked]:
    ruling = dict.fromkeys(rule.when.source for rule in judging(strategy))
    weighing = dict.fromkeys(rule.when.source for rule in strategy.weights)
    found = [check_condition(source, strategy.schema, strategy.attributes) for source in ruling]
    return found + [check_condition(source, strategy.schema) for source in weighing if source not in ruling]


class Rulings:
    """Tells what is in force at a moment. Selectors become masks once, for rules come and go while decisions wait."""

    def __init__(self, strategy: Strategy, places: Mapping[str, Placed]) -> None:
        self._places = places
        self._all = (1 << len(strategy.actions)) - 1
        self._rules = {channel.id: _masked(strategy, channel.id) for channel in strategy.channels}
        self._exempt = {
            channel.id: [(one, mask(one.actions, strategy.actions, channel.id)) for one in strategy.exemptions]
            for channel in strategy.channels
        }

    def at(self, now_ms: int) -> dict[str, Ruling]:
        """Return what is in force at a moment (ms), by channel."""
        return {channel: self._on(channel, now_ms) for channel in self._rules}

    def _on(self, channel: str, now_ms: int) -> Ruling:
        exempt: dict[str, int] = {}
        for exemption, actions in self._exempt[channel]:
            for name in exemption.exempt_from if in_force(exemption.valid, now_ms) else ():
                exempt[name] = exempt.get(name, 0) | actions
        ruled = (
            _ruled(rule, self._places[rule.when.source], about & ~exempt.get(rule.id, 0), instead)
            for rule, about, instead in self._rules[channel]
            if in_force(rule.valid, now_ms)
        )
        rules = tuple(rule for rule in ruled if rule.mask or (rule.instead and rule.against == FOR_ALL))
        return Ruling(rules, Veto(self._all & ~exempt.get(CONTACT_PERMISSION, 0), NO_PERMISSION))


def _masked(strategy: Strategy, channel: str) -> list[tuple[Guardrail | Eligibility, int, int]]:
    """Return each rule with the actions that it is about, and those that it asks for instead."""
    actions, found = strategy.actions, []
    for rule in judging(strategy):
        about = rule.forbid if isinstance(rule, Guardrail) else rule.permit
        found.append((rule, mask(about, actions, channel), mask(rule.instead, actions, channel) if rule.instead else 0))
    return found


def _ruled(rule: Guardrail | Eligibility, placed: Placed, selected: int, instead: int) -> Ruled:
    permits = isinstance(rule, Eligibility)
    if isinstance(rule, Eligibility):
        held, unknown = _CODES[rule.layer]
        doubt, quiet = "so it does not permit", None
    else:
        held, unknown = ReasonCode.GUARDRAIL, ReasonCode.GUARDRAIL_UNKNOWN
        doubt, quiet = "so it is taken to bind", rule.quiet
    in_doubt = f"{rule.says} (It is not known whether this holds, {doubt}.)"
    passing, against = (placed.place, placed.place + 1) if permits else (placed.place + 1, placed.place)
    return Ruled(
        condition=passing if placed.about_actions else placed.place,
        against=against if placed.about_actions else FOR_ALL,
        passes=permits,
        mask=selected,
        instead=instead,
        held=Veto(selected, Reason(held, rule.says, rule.id, placed.fields)),
        unknown=Veto(selected, Reason(unknown, in_doubt, rule.id, placed.fields)),
        quiet_until=quiet[1] % 24 if quiet else None,
        valid=rule.valid,
    )
