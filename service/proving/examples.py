"""Tell a customer whom the real engine decided as plain values: what is known of them, and what they are answered."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from service.core.decision import Answer
from service.core.strategy import Strategy
from service.proving.finding import Finding
from service.proving.proofs import Before, Example, Found, Said
from service.proving.questions import Decided


def example_of(strategy: Strategy, decided: Decided, action: str) -> Example:
    """Return a decided customer; `action` is what it is about, empty for nothing in particular."""
    at = decided.customer
    facts = {
        field.id: value for field, value in zip(strategy.schema.fields, at.values, strict=True) if value is not None
    }
    answers, alone = _said(decided.answers), _said(decided.alone)
    return Example(
        at.level, at.channel, at.permitted, at.now_ms, facts, action, (), answers, alone, as_seen=decided.seen
    )


def found_of(strategy: Strategy, one: Finding) -> Found:
    """Return a finding with its customer, if there is one."""
    example = example_of(strategy, one.decided, "") if one.decided else None
    return Found(one.kind.value, one.gravity.value, one.about, one.says, one.file, one.line, one.certain, example)


def with_history(example: Example, before: tuple[Before, ...], now_ms: int | None = None) -> Example:
    """Return the same customer after something was said to them; answers are of one to whom nothing was."""
    at_ms = example.now_ms if now_ms is None else now_ms
    return msgspec.structs.replace(example, before=before, now_ms=at_ms, answers=(), alone=())


def _said(answers: Iterable[Answer]) -> tuple[Said, ...]:
    return tuple(Said(one.placement, one.action, one.text) for one in answers)
