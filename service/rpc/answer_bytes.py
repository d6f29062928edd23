"""Decisions as the bytes of their answers: what `answer_of` makes, to the last byte, without a message of protobuf.

service/rpc/_answers.c is compiled when Tact is installed (models/kernel_build.py) and packs a decision in one step.
`answer_plainly.Plainly` is its twin: it serves where there was no compiler, or with `TACT_KERNEL=python`, and for what
the compiled one leaves to it (explanations, texts that cannot be encoded, values of other types than usual).
"""

from __future__ import annotations

from collections.abc import Callable

from models.compiled import compiled
from models.context import ContextSchema
from service.core.decision import Answer, Decision, Reason, ReasonCode
from service.core.rules import Kind
from service.core.rungs import RUNG_OF, Rung
from service.rpc.answer_plainly import Plainly

_compiled = compiled("service.rpc._answers")

COMPILED: bool = _compiled is not None
"""Whether answers are packed in one step."""

Packs = Callable[[Decision, str], bytes]
_STRUCTS = (Decision, Answer, Reason)
_RUNGS = tuple(RUNG_OF.get(code, Rung.REQUEST_ONLY) for code in ReasonCode)
_KINDS = (Kind.GREETING.value, Kind.OFFER.value)


class AnswerBytes:
    """Packs answers under one schema. `of` returns the serialized DecideResponse of a decision, by the request's id."""

    def __init__(self, schema: ContextSchema) -> None:
        self.of = packing(Plainly(schema).of)


def packing(plainly: Packs) -> Packs:
    """Return what packs answers, and leaves to `plainly` what is unusual."""
    if not COMPILED:
        return plainly
    packs: Packs = _compiled.Packing(_STRUCTS, tuple(ReasonCode), _RUNGS, *_KINDS, plainly).of
    return packs
