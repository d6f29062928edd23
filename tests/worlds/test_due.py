"""The triggers of the strategies that come with Tact: no part of one could be left out or changed unnoticed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from service.cases.runner import Runner
from service.cases.verdict import verdict_on
from service.core.rules import Selector
from service.core.triggers import DAY_MS, Happening, Trigger, Wait
from tests.worlds.test_cases import shipped

WITH_TRIGGERS = ("demo", "trucks")
MINUTE_MS = 60_000


def changes(one: Trigger) -> Iterator[tuple[str, Trigger]]:
    """Yield a trigger with each of its parts changed, and which that was."""
    yield "it is armed by something else", replace(one, after=replace(one.after, event="no.such.event"))
    for end in one.unless:
        yield f"{end.event} does not end it", replace(one, unless=tuple(each for each in one.unless if each != end))
    for end in (each for each in one.unless if each.where):
        yield f"any {end.event} ends it", replace(one, unless=(Happening(end.event),))
    if one.when.source:
        yield "it has no condition", replace(one, when=replace(one.when, source=""))
    if one.after.at_least:
        yield "little is enough", replace(one, after=replace(one.after, at_least=()))
    if one.after.where:
        yield "any of its events arms it", replace(one, after=replace(one.after, where=()))
    if one.times > 1:
        yield "once less is enough", replace(one, times=one.times - 1)
        yield "once more is needed", replace(one, times=one.times + 1)
        yield "it may take longer", replace(one, within_ms=one.within_ms + 7 * DAY_MS)
    yield "it is for anything else", replace(one, of=Selector(ids=("greet-neutral", "good-day")))
    yield from waits(one)


def waits(one: Trigger) -> Iterator[tuple[str, Trigger]]:
    """Yield a trigger that is due at another time."""
    minute = one.wait.minute
    if minute is not None:
        yield "it is due the day after", replace(one, wait=replace(one.wait, span_ms=one.wait.span_ms + DAY_MS))
        yield "it is due later on the day", replace(one, wait=replace(one.wait, minute=minute + 1))
    else:
        yield "it is due later", replace(one, wait=Wait(one.wait.span_ms + 5 * DAY_MS))
    if one.look_again_ms:
        yield "nobody looks again", replace(one, look_again_ms=0)


def every_change() -> list[object]:
    """Return each change of each trigger, named by it."""
    return [
        pytest.param(name, changed, id=f"{one.id}: {what}")
        for name in WITH_TRIGGERS
        for one in shipped(name)[0].triggers
        for what, changed in changes(one)
    ]


@pytest.mark.parametrize(("name", "changed"), every_change())
def test_a_changed_trigger_breaks_a_case(name: str, changed: Trigger) -> None:
    """Whatever is changed about a trigger, a case comes out otherwise."""
    strategy, cases, _ = shipped(name)
    triggers = tuple(changed if one.id == changed.id else one for one in strategy.triggers)
    other = replace(strategy, triggers=triggers)
    about = [case for case in cases if case.trigger == changed.id]
    runner = Runner(other)
    assert not all(verdict_on(case, runner, other).ok for case in about)
