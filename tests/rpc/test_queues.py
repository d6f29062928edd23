"""A line of waiters counts rightly, whoever leaves, and whenever they come to say so."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from service.rpc.admission.queues import Line, Queue, Waiter

KINDS = ("add", "cancel", "leave", "next", "oldest", "impatient")
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 9)), max_size=40)


def begun(queue: Queue | Line, steps: list[tuple[str, int]], loop: asyncio.AbstractEventLoop) -> list[Waiter]:
    """Do these steps and return who still waits; whoever is cancelled says that it leaves later, as a task does."""
    waits, leaving = list[Waiter](), list[Waiter]()
    for now_s, (step, which) in enumerate(steps):
        if step == "add":
            waits.append(Waiter(loop.create_future(), now_s, now_s + which))
            queue.add(waits[-1])
        elif step == "cancel" and waits:
            leaving.append(waits.pop(which % len(waits)))
            leaving[-1].place.cancel()
        elif step == "leave" and leaving:
            said(queue, leaving.pop(which % len(leaving)))
        elif step == "next" and (served := queue.next(now_s)):
            waits.remove(served)
        elif step == "oldest" and (taken := queue.oldest()):
            waits.remove(taken)
        elif step == "impatient":
            for one in queue.impatient(now_s):
                waits.remove(one)
        assert len(queue) >= len(waits), "whoever waits is counted"
    for one in leaving:
        said(queue, one)
    return waits


def said(queue: Queue | Line, waiter: Waiter) -> None:
    """Let one say that it leaves."""
    if isinstance(queue, Queue):
        queue.leave(waiter)
    else:
        queue.leave()


@given(STEPS)
def test_the_count_is_right_whenever_somebody_leaves(steps: list[tuple[str, int]]) -> None:
    """Nobody is served who has left, nobody twice, and once all have said that they leave, the count is exact."""
    loop = asyncio.new_event_loop()
    try:
        for queue in (Line(streamed=False), Line(streamed=True), Queue()):
            waits = begun(queue, steps, loop)
            assert len(queue) == len(waits)
    finally:
        loop.close()
