"""Turn what a strategy promises into questions: each asks for a customer for whom the promise is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import z3

from models.context import Purpose
from service.core.cel import Checked, check_condition
from service.core.epochs import in_force
from service.core.invariants import Form, Invariant, Named, Never, Written
from service.core.rules import CONTACT_PERMISSION, Eligibility, Exemption, Kind, Selector
from service.core.selection import mask
from service.core.strategy import Action, Consumes, Strategy
from service.proving.counterexample import Court
from service.proving.questions import Decided, Question
from service.proving.strategy import Model, Rule
from service.proving.symbols import Truth3

_Real = Callable[[Decided], bool]


def conditions(strategy: Strategy, promises: Iterable[Invariant]) -> dict[str, Checked]:
    """Return the conditions that promises are written with, by their text."""
    found: dict[str, Checked] = {}
    for one in promises:
        if isinstance(one, Never):
            for source in (one.never.source, one.when.source):
                found[source] = check_condition(source, strategy.schema, strategy.attributes)
    for taken in (action.consumes for action in strategy.actions if action.consumes):
        enough = _enough(taken)
        found[enough] = check_condition(enough, strategy.schema)
    return found


@dataclass(frozen=True, slots=True)
class Asking:
    """Writes the questions about one strategy. `checked` has the conditions of its promises by their text."""

    model: Model
    court: Court
    checked: Mapping[str, Checked]

    def questions(self, promise: Never | Named) -> tuple[Question, ...]:
        """Return a question for each channel and action that may break a promise; none that are plainly impossible."""
        strategy = self.model.strategy
        channels = promise.channels or tuple(channel.id for channel in strategy.channels)
        pairs = ((channel, action) for channel in channels for action in self.model.sayable[channel])
        found = (self._question(promise, channel, action) for channel, action in pairs)
        return tuple(question for question in found if question is not None)

    def plainly(self, promise: Never | Named, question: Question) -> Question | None:
        """Return the same question about customers of whom all that the promise asks is known; None for no such."""
        if not isinstance(promise, Never) or promise.unknown_permits:
            return None
        action = next(one for one in self.model.strategy.actions if one.id == question.action)
        return self._question(replace(promise, unknown_permits=True), question.channel, action)

    def degraded(self, promise: Never) -> tuple[z3.BoolRef, ...]:
        """Return when the safe greeting breaks a promise if it is said whatever holds: it is where nothing is known."""
        strategy, found = self.model.strategy, []
        for channel in promise.channels or tuple(one.id for one in strategy.channels):
            greeted = (one for one in self.model.sayable[channel] if one.id == strategy.safe_greeting)
            for greeting in () if self.model.channel(channel).permission else greeted:
                broken, _ = self._never(promise, channel, greeting)
                found.append(z3.And(self.model.in_force(promise.written.valid), broken))
        return tuple(found)

    def closed(self, written: Written) -> tuple[Question, ...]:
        """Return the questions whether a rule lets something through that it is about; one a channel and rule."""
        channels = [channel.id for channel in self.model.strategy.channels]
        pairs = ((channel, rule) for channel in channels for rule in self.model.rules)
        return tuple(one for channel, rule in pairs for one in self._let(written, rule, channel))

    # ------------------------------------------------------------------------------------------------- one by one

    def _question(self, promise: Never | Named, channel: str, action: Action) -> Question | None:
        if isinstance(promise, Never):
            found: tuple[z3.BoolRef, _Real] | None = self._never(promise, channel, action)
        else:
            found = self._named(promise, channel, action)
        if found is None:
            return None
        broken, real = found
        formula = z3.And(self.model.may_be_said(channel, action), self.model.in_force(promise.written.valid), broken)
        if z3.is_false(z3.simplify(broken)):
            return None
        name, says = promise.written.id, promise.written.says
        return Question(name, says, channel, formula, self._says(promise.written, action, real), action.id)

    def _says(self, written: Written, action: Action, broken: _Real) -> _Real:
        def real(decided: Decided) -> bool:
            promised = in_force(written.valid, decided.customer.now_ms)
            return promised and decided.says(action.id) and broken(decided)

        return real

    def _never(self, promise: Never, channel: str, action: Action) -> tuple[z3.BoolRef, _Real]:
        never, when = self.checked[promise.never.source], self.checked[promise.when.source]
        sure = promise.unknown_permits
        broken = z3.And(_broken(self.model.truth(never, action), sure), _broken(self.model.truth(when), sure))

        def real(decided: Decided) -> bool:
            told = (self.court.truth(one, decided.customer, action.id) for one in (never, when))
            return all(truth is True if sure else truth is not False for truth in told)

        return broken, real

    def _named(self, promise: Named, channel: str, action: Action) -> tuple[z3.BoolRef, _Real] | None:
        if promise.but is not None and mask(promise.but, (action,), channel):
            return None
        if promise.form is Form.WITHOUT_CONSENT:
            return self._without_consent(action)
        if promise.form is Form.OUT_OF_STOCK:
            return self._out_of_stock(channel, action)
        return self._without_permission(promise, channel, action)

    def _without_consent(self, action: Action) -> tuple[z3.BoolRef, _Real] | None:
        if action.kind is not Kind.OFFER:
            return None
        levels = {level.id: level.purposes for level in self.model.strategy.levels}

        def real(decided: Decided) -> bool:
            return Purpose.PERSONALIZATION not in levels[decided.customer.level]

        return z3.Not(self.model.symbols.allows(Purpose.PERSONALIZATION)), real

    def _out_of_stock(self, channel: str, action: Action) -> tuple[z3.BoolRef, _Real] | None:
        taken = action.consumes
        if taken is None:
            return None
        index = self.model.strategy.schema.index[taken.supply]
        enough = self.checked[_enough(taken)]

        def real(decided: Decided) -> bool:
            left = decided.customer.values[index]
            return not isinstance(left, int) or left < taken.units

        return z3.Not(self.model.truth(enough).holds), real

    def _without_permission(self, promise: Named, channel: str, action: Action) -> tuple[z3.BoolRef, _Real] | None:
        asks = next(one.permission for one in self.model.strategy.channels if one.id == channel)
        if not asks:  # a channel that is named has nobody asked for permission, so whatever is said there is unasked
            return (z3.BoolVal(True), lambda decided: True) if channel in promise.channels else None
        named = z3.BoolVal(False) if promise.written.file else self.model.exempt(CONTACT_PERMISSION, channel, action)
        exempt = [one for one in self.model.strategy.exemptions if CONTACT_PERMISSION in one.exempt_from]

        def real(decided: Decided) -> bool:
            free = not promise.written.file and _lets_out(exempt, action, channel, decided.customer.now_ms)
            return not decided.customer.permitted and not free

        return z3.And(z3.Not(self.model.permitted), z3.Not(named)), real

    # ----------------------------------------------------------------------------------------------- rules fail closed

    def _let(self, written: Written, rule: Rule, channel: str) -> Iterator[Question]:
        about = self.model.about(rule, channel)
        actions = [one for one in self.model.sayable[channel] if about >> one.index & 1]
        if not actions:
            return
        condition, permits = self.model.checked[rule.when.source], isinstance(rule, Eligibility)
        exempt = [one for one in self.model.strategy.exemptions if rule.id in one.exempt_from]

        def through(action: Action) -> z3.BoolRef:
            truth = self.model.truth(condition, action)
            passes = truth.holds if permits else truth.fails
            free = [self.model.in_force(one.valid) for one in exempt if mask(one.actions, (action,), channel)]
            return z3.And(self.model.may_be_said(channel, action), z3.Not(passes), *(z3.Not(one) for one in free))

        def real(decided: Decided) -> bool:
            now_ms = decided.customer.now_ms
            return in_force(rule.valid, now_ms) and any(
                decided.says(one.id)
                and self.court.truth(condition, decided.customer, one.id) is not permits
                and not _lets_out(exempt, one, channel, now_ms)
                for one in actions
            )

        formula = z3.And(self.model.in_force(rule.valid), z3.Or([through(one) for one in actions]))
        yield Question(written.id, f"{written.says} (`{rule.id}`)", channel, formula, real)


def _enough(taken: Consumes) -> str:
    return f"{taken.supply} >= {taken.units}"


def _broken(truth: Truth3, sure: bool) -> z3.BoolRef:
    return truth.holds if sure else z3.Not(truth.fails)


def _lets_out(exempt: Iterable[Exemption], action: Action, channel: str, now_ms: int) -> bool:
    return any(mask(one.actions, (action,), channel) for one in exempt if in_force(one.valid, now_ms))


def selected(selector: Selector, strategy: Strategy, channel: str) -> tuple[Action, ...]:
    """Return the actions that a selector means on a channel and that have words there."""
    meant = mask(selector, strategy.actions, channel)
    said = (one for one in strategy.actions if meant >> one.index & 1)
    return tuple(one for one in said if any(treatment.channel == channel for treatment in one.treatments))
