"""A decision as callers are told it, for those who make it again and answer nobody."""

from __future__ import annotations

from typing import Any

from models.context import ContextSchema
from service.core.decision import Decision
from service.rpc.convert_answer import answer_of
from service.rpc.plain import plain


def answered(decision: Decision) -> dict[str, Any]:
    """Return an unexplained decision as plain values, with the names of the contract."""
    return plain(answer_of(decision, "", ContextSchema.of((), ())))
