"""Compare what a case wants with what it got, and say in words what is different."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from service.cases.case import NOTHING, Case
from service.cases.due import DUE
from service.cases.runner import Got, Runner
from service.cases.wanted import kebab
from service.core.decision import Reason
from service.core.selection import bits, mask
from service.core.strategy import Strategy


@dataclass(frozen=True, slots=True)
class Verdict:
    """A case, what it got, and what is wrong with that; nothing where the case is as it should be."""

    case: Case
    got: Got
    wrong: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Tell whether the strategy decides what the case wants."""
        return not self.wrong


def verdict_on(case: Case, runner: Runner, strategy: Strategy) -> Verdict:
    """Run a case and say what is wrong with what comes of it."""
    got = runner.run(case)
    wrong = (*_due(case, got), *_answers(case, got))
    return Verdict(case, got, wrong if case.not_due or wrong else (*wrong, *_held_back(case, got, strategy)))


def _due(case: Case, got: Got) -> Iterator[str]:
    """Yield what is wrong with when the case's trigger is due."""
    because = case.wanted.because
    if case.not_due and got.due == DUE:
        yield f"{case.trigger} is due, and must not be"
    elif case.not_due and because and got.due != because:
        yield f"{case.trigger}: wanted the reason {because}, got {got.due}"
    elif case.trigger and not case.not_due and got.due != DUE:
        yield f"{case.trigger} is not due: {got.due}"


def _answers(case: Case, got: Got) -> Iterator[str]:
    """Yield what is wrong with the answers themselves."""
    wanted = case.wanted
    for answer in got.answers:
        action = wanted.gets.get(answer.placement)
        if action is None:
            continue
        if answer.action != action:
            yield f"at {answer.placement}: wanted {action or NOTHING}, got {answer.action or NOTHING}"
        elif wanted.held_back is None:
            yield from _because(case, answer.placement, answer.reasons, answer.until_ms)
        for words in wanted.words:
            if words not in answer.text:
                yield f"at {answer.placement}: wanted the words “{words}”, got “{answer.text}”"


def _because(case: Case, what: str, reasons: tuple[Reason, ...], until_ms: int | None = None) -> Iterator[str]:
    because = case.wanted.because
    named = [reason for reason in reasons if _names(reason, because)] if because else list(reasons)
    if because and not named:
        yield f"{what}: wanted the reason {because}, got {_listed(reasons)}"
        return
    wanted_ms = case.wanted.until_ms
    ends = {until_ms, *(reason.until_ms for reason in named)} - {None}
    if wanted_ms is not None and case.now_ms + wanted_ms not in ends:
        found = ", ".join(_span(end - case.now_ms) for end in sorted(end for end in ends if end)) or "no end"
        yield f"{what}: wanted this to last {_span(wanted_ms)}, got {found}"


def _held_back(case: Case, got: Got, strategy: Strategy) -> Iterator[str]:
    """Yield each action that can be had at a placement though it must not, or is held back by something else alone."""
    if case.wanted.held_back is None:
        return
    said = {(answer.placement, answer.action) for answer in got.answers}
    meant = [strategy.actions[i] for i in bits(mask(case.wanted.held_back, strategy.actions, case.channel))]
    worded = {(t.placement, a.id) for a in meant for t in a.treatments if t.channel == case.channel}
    here = [(placement, a.id) for a in meant for placement in case.placements if (placement, a.id) in worded]
    if not here:
        yield f"none of what must be held back has words at {', '.join(case.placements)} on {case.channel}"
    for placement, action in here:
        reasons = got.vetoes.get((placement, action), ())
        where = f" at {placement}" if len(case.placements) > 1 else ""
        if (placement, action) in said or not reasons:
            yield f"{action} can be had{where}, and must not"
        else:
            yield from _because(case, f"{action}{where}", reasons)


def _names(reason: Reason, because: str) -> bool:
    return because in (reason.rule, kebab(reason.code))


def reason_name(reason: Reason) -> str:
    """Return the rule of a reason, or what a case calls it where it has none."""
    return reason.rule or kebab(reason.code)


def _listed(reasons: tuple[Reason, ...]) -> str:
    return ", ".join(dict.fromkeys(map(reason_name, reasons))) or "none"


def _span(ms: int) -> str:
    """Return a time span in the largest whole unit."""
    for unit, length in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)):
        if ms % length == 0:
            return f"{ms // length}{unit}"
    return f"{ms} ms"
