"""Prove one promise after the other, whatever it is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import z3

from service.core.cooloffs import CoolOffs
from service.core.invariants import AtMost, Ends, Invariant, Named, Never, Rests, Written
from service.core.memory import Memory, Refusal
from service.core.rules import Answered, Counts
from service.core.strategy import Action, Strategy
from service.proving.contacts import Contact, Counting, Span, countings, promised_in
from service.proving.examples import example_of, found_of, with_history
from service.proving.findings import findings
from service.proving.found_ends import endless
from service.proving.hearing import Hearing
from service.proving.invariants import Asking, conditions, selected
from service.proving.proofs import Before, Found, Proof, Ruling
from service.proving.prover import Prover
from service.proving.questions import Decided, Outcome, Question, Verdict
from service.proving.rounding import rounded
from service.proving.solving import Undecided

MINUTE_MS = 60_000
_CUSTOMERS_TRIED = 12
_DEGRADED = (
    "the rules keep it, but while the store does not answer nothing is known, and all are told the safe greeting"
)
_LATER = (
    "what is {} is reported after it was decided, and no cap holds back what was decided before: how much of it falls "
    "into one such time cannot be told"
)
_BESIDE = "; these caps bound nothing here, for they count days, which begin elsewhere in another zone, or reports: "
_FOR_EVER_MS = 36_499 * 86_400_000
_KINDS = {Answered.REFUSED: 4, Answered.NOT_NOW: 5, Answered.NEVER: 6}


class Promises:
    """Proves what one strategy promises; a question takes at most `timeout_s` seconds."""

    def __init__(self, strategy: Strategy, promises: Sequence[Invariant], timeout_s: float) -> None:
        self.strategy = strategy
        self.checked = conditions(strategy, promises)
        self.prover = Prover(strategy, timeout_s, self.checked.values())
        self._asking = Asking(self.prover.model, self.prover.court, self.checked)
        self._hearing = Hearing(strategy)
        self._timeout_s = timeout_s

    def takes(self, timeout_s: float, promise_s: float) -> None:
        """Let a question take this long from now on, and all that are about the next promise so long together."""
        self._timeout_s = min(timeout_s, promise_s)
        self.prover.takes(timeout_s, promise_s)

    def prove(self, promise: Invariant) -> Proof:
        """Return the proof of a promise."""
        found = self._found(promise)
        if found.ruling is Ruling.PROVEN and self._said_degraded(promise):
            return _proof(promise.written, Ruling.UNKNOWN, f"{_DEGRADED} `{self.strategy.safe_greeting}`")
        return found

    def _found(self, promise: Invariant) -> Proof:
        if isinstance(promise, Never | Named):
            return self._asked(promise.written, self._asking.questions(promise), promise)
        if isinstance(promise, AtMost):
            return self._at_most(promise)
        return self._rests(promise) if isinstance(promise, Rests) else self._ends(promise)

    def _said_degraded(self, promise: Invariant) -> bool:
        """Tell whether the safe greeting may break a promise where nothing is known, as while no store answers."""
        if isinstance(promise, Never):
            try:
                return any(self.prover.find_kept(formula) is not None for formula in self._asking.degraded(promise))
            except Undecided:
                return True
        about = promise.count if isinstance(promise, AtMost) else promise.about if isinstance(promise, Rests) else None
        greeting, channels = self.strategy.safe_greeting, (one for one in self.strategy.channels if not one.permission)
        return about is not None and any(
            action.id == greeting for one in channels for action in selected(about, self.strategy, one.id)
        )

    def closed(self, written: Written) -> Proof:
        """Return the proof that every rule holds for all that it is about."""
        return self._asked(written, self._asking.closed(written))

    def findings(self) -> tuple[Found, ...]:
        """Return what is odd about the strategy."""
        return tuple(found_of(self.strategy, one) for one in findings(self.strategy, self.prover))

    # ------------------------------------------------------------------------------------------------- what is not said

    def _asked(self, written: Written, questions: Sequence[Question], promise: Never | Named | None = None) -> Proof:
        """Ask all questions about a channel at once, and one by one only where that is not proven."""
        doubts: dict[str, None] = {}
        for channel in dict.fromkeys(question.channel for question in questions):
            own = [question for question in questions if question.channel == channel]
            if len(own) > 1 and self.prover.ask(_together(own)).outcome is Outcome.PROVEN:
                continue
            for verdict in map(self.prover.ask, own):
                if verdict.decided is not None:
                    return self._broken(written, self._plainly(promise, verdict))
                if verdict.outcome is Outcome.UNKNOWN:
                    doubts[verdict.why] = None
        if doubts:
            return _proof(written, Ruling.UNKNOWN, "; ".join(doubts))
        return _proof(written, Ruling.PROVEN)

    def _plainly(self, promise: Never | Named | None, verdict: Verdict) -> tuple[Question, Decided]:
        """Return a counterexample of whom is known what the promise asks, or else the one that was found."""
        question = self._asking.plainly(promise, verdict.question) if promise and verdict.question.action else None
        told = self.prover.ask(question) if question else verdict
        one = told if told.decided is not None else verdict
        if one.decided is None:
            raise ValueError("a verdict without a customer is no counterexample")
        return one.question, one.decided

    def _broken(self, written: Written, against: tuple[Question, Decided]) -> Proof:
        question, decided = against
        plain = rounded(self.prover.court, decided, question.real, question.action)
        action = question.action or next(iter(sorted(a for said in plain.may.values() for a in said)), "")
        return _proof(written, Ruling.BROKEN, "", example_of(self.strategy, plain, action))

    # ----------------------------------------------------------------------------------------------------- how often

    def _at_most(self, promise: AtMost) -> Proof:
        found_in = tuple(countings(self.strategy, promise))
        for counting in found_in:
            often, rules = counting.too_many(promise.at_most)
            solver = z3.Solver()
            solver.set("timeout", int(self._timeout_s * 1000))
            solver.add(*rules)
            found = solver.check() if counting.contacts else z3.unsat
            if found == z3.unsat:
                continue
            if found == z3.unknown:
                return _proof(promise.written, Ruling.UNKNOWN, "the caps are too many to be added up in time")
            return self._too_many(promise, counting, solver, often)
        if promise.counts is not Counts.DECIDED and any(counting.contacts for counting in found_in):
            return _proof(promise.written, Ruling.UNKNOWN, _LATER.format(promise.counts.value))
        return _proof(promise.written, Ruling.PROVEN)

    def _too_many(self, promise: AtMost, counting: Counting, solver: z3.Solver, often: list[z3.ArithRef]) -> Proof:
        """Find a customer who would hear too much, one contact after the other."""
        if promise.counts is not Counts.DECIDED and counting.beside:
            return _proof(promise.written, Ruling.UNKNOWN, _LATER.format(promise.counts.value))
        for _ in range(_CUSTOMERS_TRIED):
            if solver.check() != z3.sat:
                break
            model = solver.model()
            times = [(one, model.eval(count).as_long()) for one, count in zip(counting.contacts, often, strict=True)]
            said = [one for one, many in times for _ in range(many)]
            proof = self._heard(promise, said)
            if proof is not None:
                return proof
            clash = self._clash(said)
            solver.add(z3.Or([z3.Sum([often[i] for i in places]) == 0 for places in _places(counting, clash)]))
        why = "the caps let more through, but nobody was found to whom all of it may be said"
        return _proof(
            promise.written, Ruling.UNKNOWN, f"{why}{_BESIDE}{', '.join(counting.beside)}" if counting.beside else why
        )

    def _heard(self, promise: AtMost, said: Sequence[Contact]) -> Proof | None:
        places = [(one.channel, one.placement, one.action.id) for one in said]
        court, last = self.prover.court, said[-1]
        heard: list[tuple[Decided, tuple[Before, ...], int]] = []

        def real(decided: Decided) -> bool:
            told = rounded(court, decided, lambda one: one.says(last.action.id), last.action.id)
            for one in (told, decided):  # what no store could give cannot be heard either, and plainer values can
                found = self._hearing.one_after_the_other(one.customer, places, promise.within_ms, daily=promise.daily)
                heard[:] = [(one, *found)] if found else []
                if found:
                    return True
            return False

        formula = z3.And(*(self._may(one) for one in said), *(self._within(one.span) for one in said))
        question = Question(promise.written.id, promise.written.says, last.channel, formula, real, last.action.id)
        decided = self.prover.ask(question).decided
        if decided is None or not real(decided):
            return None
        told, before, ends_ms = heard[0]
        example = with_history(example_of(self.strategy, told, last.action.id), before, ends_ms)
        return _proof(promise.written, Ruling.BROKEN, f"{len(said)} are said, one after the other", example)

    def _clash(self, said: Sequence[Contact]) -> tuple[tuple[str, str], ...]:
        """Return the contacts, as channel and action, that cannot all be made with one customer."""
        named = {(one.channel, one.action.id): self._may(one) for one in said}
        keys = {"\n".join(key): formula for key, formula in named.items()}
        core = self.prover.core(keys.items()) or tuple(keys)
        return tuple((key.partition("\n")[0], key.partition("\n")[2]) for key in core)

    def _may(self, one: Contact) -> z3.BoolRef:
        return self.prover.model.may_be_said(one.channel, one.action)

    def _within(self, span: Span) -> z3.BoolRef:
        symbols, bounds = self.prover.model.symbols, []
        if span.from_ms is not None:
            bounds.append(symbols.from_moment(span.from_ms))
        if span.until_ms is not None:
            bounds.append(z3.Not(symbols.from_moment(span.until_ms)))
        return z3.And(bounds) if bounds else z3.BoolVal(True)

    # -------------------------------------------------------------------------------------------------- after an answer

    def _rests(self, promise: Rests) -> Proof:
        doubts: dict[str, None] = {}
        for span in promised_in(self.strategy, promise.written.valid):
            for channel in self.strategy.channels:
                for action in selected(promise.about, self.strategy, channel.id):
                    for answer in promise.after:
                        proof = self._rested(promise, span, channel.id, action, answer)
                        if proof is not None and proof.ruling is Ruling.BROKEN:
                            return proof
                        if proof is not None:
                            doubts[proof.why] = None
        if doubts:
            return _proof(promise.written, Ruling.UNKNOWN, "; ".join(doubts))
        return _proof(promise.written, Ruling.PROVEN)

    def _rested(self, promise: Rests, span: Span, channel: str, action: Action, answer: Answered) -> Proof | None:
        """Return None where an action rests long enough after an answer."""
        wanted_ms = _FOR_EVER_MS if promise.for_ms is None else promise.for_ms - 1
        if self._resting(span, channel, action, answer, wanted_ms):
            return None
        lasts = {0, *(length for rule in self.strategy.cool_offs for length in rule.durations_ms)}
        ago_ms = next(ms for ms in sorted(lasts) if not self._resting(span, channel, action, answer, ms))
        ago_ms = min(max(ago_ms, MINUTE_MS), wanted_ms)

        def real(decided: Decided) -> bool:
            at = decided.customer
            remembered = Memory((_refusal(action, answer, at.now_ms - ago_ms),), version=1)
            places = [one.placement for one in action.treatments if one.channel == channel]
            return any(self._hearing.says(at, (channel, place, action.id), {}, remembered) for place in places)

        formula = z3.And(self.prover.model.may_be_said(channel, action), self._within(span))
        question = Question(promise.written.id, promise.written.says, channel, formula, real, action.id)
        verdict = self.prover.ask(question)
        if verdict.decided is None:
            unsure = verdict.outcome is Outcome.UNKNOWN
            return _proof(promise.written, Ruling.UNKNOWN, verdict.why) if unsure else None
        place = next(one.placement for one in action.treatments if one.channel == channel)
        before = (Before(channel, place, action.id, ago_ms, answer.value),)
        decided = rounded(self.prover.court, verdict.decided, real, action.id)
        example = with_history(example_of(self.strategy, decided, action.id), before)
        return _proof(promise.written, Ruling.BROKEN, "it is said again after that answer", example)

    def _resting(self, span: Span, channel: str, action: Action, answer: Answered, ago_ms: int) -> bool:
        cool_offs = CoolOffs.of(self.strategy)
        if cool_offs is None:
            return False
        refusal = _refusal(action, answer, span.moment_ms - ago_ms)
        vetoes = cool_offs.vetoes((refusal,), channel, span.moment_ms)
        return any(veto.mask >> action.index & 1 for veto in vetoes)

    # -------------------------------------------------------------------------------------------------------- what ends

    def _ends(self, promise: Ends) -> Proof:
        found = [one for one in endless(self.prover) if not set(one.about[:1]) & set(promise.but)]
        if not found:
            return _proof(promise.written, Ruling.PROVEN)
        sure = [one for one in found if one.certain]
        first = (sure or found)[0]
        example = example_of(self.strategy, first.decided, "") if first.decided else None
        return _proof(promise.written, Ruling.BROKEN if sure else Ruling.UNKNOWN, first.says, example)


def _proof(written: Written, ruling: Ruling, why: str = "", example: object = None) -> Proof:
    return Proof(written.id, written.says, written.file, written.line, ruling, why, example)  # type: ignore[arg-type]


def _together(questions: Sequence[Question]) -> Question:
    first = questions[0]

    def real(decided: Decided) -> bool:
        return any(question.real(decided) for question in questions)

    return Question(first.id, first.says, first.channel, z3.Or([one.formula for one in questions]), real)


def _refusal(action: Action, answer: Answered, at_ms: int) -> Refusal:
    return Refusal(action.id, action.group, action.intents, _KINDS[answer], at_ms, b"before")


def _places(counting: Counting, clash: Iterable[tuple[str, str]]) -> list[list[int]]:
    """Return the places of these contacts among all that could be made."""
    return [[i for i, one in enumerate(counting.contacts) if (one.channel, one.action.id) == pair] for pair in clash]
