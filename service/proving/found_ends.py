"""Suppressions without end: somebody whom a rule holds back, and nothing that can still happen lets go.

Most facts come and go. Some only grow, such as a count of all events ever, and some never change, such as what was said
first; time only goes on. Of each rule is asked whether somebody is held back for whom these never let go, whatever
becomes of all else. Where what was found lets go after all, all who can still come to the same are left out, and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import z3

from models.context import ContextSchema, Field, Fold, FoldKind, ValueType
from service.core.rules import Guardrail
from service.proving import doubles
from service.proving.finding import Finding, FindingKind, Gravity
from service.proving.prover import WIDER, Prover
from service.proving.questions import Decided
from service.proving.solving import Undecided
from service.proving.strategy import Hold, Rule

_ROUNDS = 12
_YEAR_2090_MS, _YEAR_2099_MS = 3_786_912_000_000, 4_070_908_800_000

_Find = Callable[..., z3.ModelRef | None]
Order = Callable[[z3.ExprRef, z3.ExprRef], z3.BoolRef]
"""When the second can come after the first."""


@dataclass(frozen=True, slots=True)
class _Growing:
    """A fact that can only change in one way: from one value to those that `becomes` says."""

    known: z3.BoolRef
    value: z3.ExprRef
    becomes: Order


def endless(prover: Prover) -> Iterator[Finding]:
    """Yield the rules that hold somebody back for good, with one whom they do."""
    for rule in prover.model.rules:
        yield from _of_rule(prover, rule)


def _of_rule(prover: Prover, rule: Rule) -> Iterator[Finding]:
    try:
        held = _holds(prover, rule)
        for channel, action, hold in held:
            stuck = _stuck(prover, hold.held, prover.find)
            if stuck is not None:
                yield _found(rule, "", _decided(prover, stuck, channel, action, rule.id))
                return
        if any(_stuck(prover, hold.held, prover.find_kept) is not None for _, _, hold in held):
            yield _found(rule, WIDER, None)
    except Undecided:
        yield _found(rule, "the solver did not know in time", None)


def _found(rule: Rule, doubt: str, decided: Decided | None) -> Finding:
    named = f"The {'guardrail' if isinstance(rule, Guardrail) else 'permit'} `{rule.id}`"
    says = f"{named} holds somebody back for good: nothing that can still happen lets go."
    if doubt:
        says = f"{named} may hold somebody back for good: {doubt}."
    gravity = Gravity.REMARK if doubt else Gravity.MISTAKE
    when = rule.when
    return Finding(FindingKind.ENDLESS, gravity, (rule.id,), says, when.file, when.line, not doubt, decided)


def _holds(prover: Prover, rule: Rule) -> list[tuple[str, str, Hold]]:
    """Return what the rule holds back, each formula once."""
    found: dict[int, tuple[str, str, Hold]] = {}
    for channel, actions in prover.model.sayable.items():
        for action in actions:
            hold = prover.model.rule_holds(rule, channel, action)
            if hold is not None and not z3.is_false(hold.held):
                found.setdefault(hold.held.get_id(), (channel, action.id, hold))
    return list(found.values())


def _stuck(prover: Prover, held: z3.BoolRef, find: _Find) -> z3.ModelRef | None:
    """Return a model of somebody who is held back for good, among those whom `find` finds; None where there is none."""
    growing, looked_at = _growing(prover, held), list[z3.BoolRef]()
    if not growing and prover.model.symbols.now.decl().name() not in {
        symbol.decl().name() for symbol in prover.symbols_of(held)
    }:
        return None if find(z3.Not(held)) is not None else find(held)
    before = z3.Not(prover.model.symbols.from_moment(_YEAR_2090_MS))
    for _ in range(_ROUNDS):
        stuck = find(held, before, *looked_at)
        if stuck is None:
            return None
        free = _let_go(prover, held, growing, stuck, find)
        if free is None:
            return stuck
        looked_at.append(_cannot_come_to(prover, growing, free))
    raise Undecided


def _let_go(
    prover: Prover, held: z3.BoolRef, growing: Sequence[_Growing], then: z3.ModelRef, find: _Find
) -> z3.ModelRef | None:
    """Return what somebody can come to who is let go in the end: as late and as far on as possible."""
    symbols = prover.model.symbols
    later = [symbols.from_moment(symbols.now_ms(then))]
    for one in growing:
        if z3.is_true(then.eval(one.known, True)):
            later.append(z3.Implies(one.known, one.becomes(then.eval(one.value, True), one.value)))
    late = symbols.from_moment(_YEAR_2099_MS)
    forgotten = [z3.Not(one.known) for one in growing]
    for hoped in ([late, *forgotten], [late], []):
        if (found := find(z3.Not(held), *later, *hoped)) is not None:
            return found
    return None


def _cannot_come_to(prover: Prover, growing: Sequence[_Growing], free: z3.ModelRef) -> z3.BoolRef:
    """Return that somebody cannot come to what a model says, because of what only grows."""
    ways = [prover.model.symbols.from_moment(prover.model.symbols.now_ms(free) + 1)]
    for one in growing:
        if z3.is_true(free.eval(one.known, True)):
            ways.append(z3.And(one.known, z3.Not(one.becomes(one.value, free.eval(one.value, True)))))
    return z3.Or(ways)


def _decided(prover: Prover, stuck: z3.ModelRef, channel: str, action: str, rule: str) -> Decided | None:
    """Return the decision about somebody who is held back, where the real engine says so, too."""
    customer = prover.customer(stuck, channel)

    def real(decided: Decided) -> bool:
        return any(reason.rule == rule for reason in decided.held[action])

    return next((one for one in prover.court.decisions(customer, action) if real(one)), None)


# ------------------------------------------------------------------------------------------------------ what only grows


def _growing(prover: Prover, held: z3.BoolRef) -> list[_Growing]:
    schema, symbols = prover.model.strategy.schema, prover.model.symbols
    found = []
    for constant in prover.symbols_of(held):
        place = schema.index.get(constant.decl().name())
        becomes = None if place is None else _becomes(schema.fields[place], schema)
        if place is not None and becomes is not None:
            found.append(_Growing(symbols.known(schema.fields[place].id), constant, becomes))
    return found


def _becomes(field: Field, schema: ContextSchema) -> Order | None:
    """Return how a field can only change; None for one that comes and goes."""
    fold = field.fold
    if fold is None:
        return None
    if fold.kind is FoldKind.FIRST:
        return lambda before, after: before == after
    if fold.kind is FoldKind.MIN:
        return lambda before, after: _at_most(field, after, before)
    grows = fold.kind in (FoldKind.COUNT, FoldKind.MAX) or (fold.kind is FoldKind.SUM and _adds(fold, schema))
    return (lambda before, after: _at_most(field, before, after)) if grows else None


def _adds(fold: Fold, schema: ContextSchema) -> bool:
    """Tell whether nothing negative can come to a sum."""
    attributes = {one.name: one for one in schema.events[fold.event].attributes} if fold.event in schema.events else {}
    low = attributes[fold.attribute].low if fold.attribute in attributes else None
    return low is not None and low >= 0.0


def _at_most(field: Field, one: z3.ExprRef, other: z3.ExprRef) -> z3.BoolRef:
    if field.type is ValueType.DOUBLE:
        return z3.And(doubles.less(one, other, or_equal=True))
    return one <= other
