"""Watches: one customer's answer over one stream, told again each time that it changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from service.core.decision import Decision, Request
from service.core.explained import Depth
from service.core.strategy import Strategy
from service.errors import CannotHear, DeadlineExpired, Forbidden, InvalidArgument, ServiceEnds, Violation
from service.listening import Serving, Told, Watch
from service.rpc import convert_watch as convert
from service.rpc.access.gate import at_hand
from service.rpc.access.roles import MEANS
from service.rpc.edge import Current, Edge
from service.rpc.watch_room import WatchRoom
from service.rpc.wrapper import TimeToEnd
from service.standing import Standing
from tact.v1 import decision_pb2 as pb

LOOKS_S = 0.5
"""How often is seen whether all watches have to end, or their callers may be others by now."""
EACH_S = 0.001
"""How much time each watch is given where all of them look again for the same reason."""


class Watches:
    """Answers the calls of Watch, of this process."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self._room = WatchRoom()
        self._watches: set[Watch] = set()
        self._looking: asyncio.Task[None] | None = None
        self._telling: convert.Telling | None = None

    async def watch(self, request: pb.WatchRequest, left: TimeToEnd) -> AsyncGenerator[pb.WatchResponse, None]:
        """Tell the answer to a question, and each change of it, until the caller leaves or its time is over."""
        current = self._current
        if current.ears is None or current.edge.standing is None:
            raise CannotHear
        asked, question = convert.asked_of(request), _Question(current, convert.question_of(request), self._told_by)
        _, about = question.now()
        if current.access is not None:
            current.access.check(about.customer, about.channel)
        watch = Watch(
            current.ears,
            asked,
            Serving(question.now, question.turn, _still(current, left, about.channel), self._spread_s),
        )
        caller = at_hand() if current.access is not None else None
        own = caller is not None and MEANS[caller.role].own
        with self._room.place(caller.identity if caller else "", about.customer, own=own):
            self._watches.add(watch)
            self._look_after_all()
            try:
                async with aclosing(watch.told()) as messages:
                    async for told in messages:
                        yield question.message(told)
                        del told  # it would stay as long as nothing happens
            finally:
                self._watches.discard(watch)

    def _told_by(self, strategy: Strategy) -> convert.Telling:
        if self._telling is None or self._telling.strategy is not strategy:
            self._telling = convert.Telling(strategy)
        return self._telling

    def _spread_s(self) -> float:
        return EACH_S * len(self._watches)

    def _look_after_all(self) -> None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._nudge_all())

    async def _nudge_all(self) -> None:
        """Wake all watches when the service ends, or when callers have changed, for as long as there are any."""
        access, ending = self._current.access, self._current.ending
        callers = access.callers if access else None
        while self._watches:
            try:
                async with asyncio.timeout(LOOKS_S):
                    await ending.wait()
            except TimeoutError:
                pass
            now = access.callers if access else None
            if ending.is_set() or now is not callers:
                callers = now
                for watch in tuple(self._watches):
                    watch.nudge()
            if ending.is_set():
                await asyncio.sleep(LOOKS_S)


def _still(current: Current, left: TimeToEnd, channel: str) -> Callable[[], None]:
    """Return what raises where a watch has to end."""

    def still() -> None:
        if current.ending.is_set():
            raise ServiceEnds("the service ends")
        if (seconds := left()) is not None and seconds <= 0:
            raise DeadlineExpired
        if current.access is not None:
            current.access.check_still()
            if channel not in at_hand().channels:
                raise Forbidden

    return still


@dataclass(slots=True)
class _Question:
    """What one watch asks, read anew for each version of the strategy, and how its messages are written."""

    current: Current
    raw: bytes
    telling: Callable[[Strategy], convert.Telling]
    edge: Edge | None = None
    request: Request | None = None

    def now(self) -> tuple[Standing, Request]:
        """Return what looks after answers now, and the question in its words; raise `InvalidArgument` for a bad one."""
        edge = self.current.edge
        if edge is not self.edge or self.request is None or edge.standing is None:
            if edge.standing is None:
                raise CannotHear
            self.request, self.edge = _read(edge, self.raw), edge
        return edge.standing, self.request

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[float]:
        """Wait for a place among the decisions, and take it; yield how many seconds a call may take."""
        admission, edge = self.current.admission, self.current.edge
        channel = self.request.channel if self.request else ""
        kind = admission.classes.of(channel, streamed=True)
        if not admission.take(kind):
            await admission.wait_in_turn(kind, channel)
        began_s = admission.clock()
        try:
            yield edge.limits.deadline_s
        finally:
            admission.give_back(kind, began_s)

    def message(self, told: Told) -> pb.WatchResponse:
        """Return a message as deep as the caller may be told it."""
        edge = self.current.edge
        depth = Depth.AUDITOR if self.current.access is None else at_hand().depth
        answer = None if told.decision is None else self._answer(edge, told.decision, depth)
        return self.telling(edge.strategy).message(told, answer, edge.depths.at(depth), edge.clock())

    def _answer(self, edge: Edge, decision: Decision, depth: Depth) -> bytes:
        request = self.request
        wanted = Depth(request.depth) if request is not None and request.depth else None
        return edge.answers.of(
            edge.depths.decision(decision, depth, wanted), request.request_id if request is not None else ""
        )


def _read(edge: Edge, raw: bytes) -> Request:
    """Read a question; raise `InvalidArgument` with the paths that its bad fields have in what is watched."""
    try:
        return edge.requests.read(raw)
    except InvalidArgument as bad:
        within = [Violation(f"question.{one.field}", one.description) for one in bad.violations]
        raise InvalidArgument.of(within) from None
