"""What is asked for too soon is done as soon as it can be."""

from __future__ import annotations

from service.signals import Later


def test_it_is_done_once_for_all_that_asked_too_soon_and_then_each_time() -> None:
    """Nothing is done for nobody; asked for before it is known what, it is done once; afterwards at once."""
    done: list[str] = []
    look = Later()
    look.is_to(lambda: done.append("first"))
    assert done == []
    look()
    assert done == ["first"]
    early = Later()
    early()
    early()
    early.is_to(lambda: done.append("early"))
    early()
    assert done == ["first", "early", "early"]
