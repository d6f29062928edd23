"""Handlers behind a gate that was asked before: who was not asked, or for another method, is not let in."""

from __future__ import annotations

from contextvars import copy_context
from typing import Any

import pytest

from service.errors import Forbidden, UnknownCaller
from service.rpc.asked_first import Guarded, having_asked

ONE, OTHER = "tact.v1.DecisionService/Decide", "tact.v1.DecisionService/Watch"


def test_only_who_was_asked_is_let_in() -> None:
    """A gate is asked once and counts for its own method, in the context of the call."""
    asked: list[str] = []
    guarded = Guarded({}, lambda method: lambda _: asked.append(method))

    def in_order() -> None:
        with pytest.raises(UnknownCaller):
            having_asked(ONE)(None)
        guarded.ask(ONE, None)
        having_asked(ONE)(None)
        with pytest.raises(UnknownCaller):
            having_asked(OTHER)(None)

    copy_context().run(in_order)
    assert asked == [ONE]
    with pytest.raises(UnknownCaller):
        having_asked(ONE)(None)


def test_who_is_refused_was_not_let_in() -> None:
    """What a gate raises is raised, and the handler behind it refuses too."""

    def refuses(_: Any) -> None:  # noqa: ANN401 - a call as gRPC has it
        raise Forbidden

    def in_order() -> None:
        with pytest.raises(Forbidden):
            Guarded({}, lambda _: refuses).ask(ONE, None)
        with pytest.raises(UnknownCaller):
            having_asked(ONE)(None)

    copy_context().run(in_order)
