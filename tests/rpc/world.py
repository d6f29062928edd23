"""A strategy with a request field of every type, an edge over it, and a real server to call.

The decider stands in for the core: what it is asked and what it answers is not the subject here. The store is a real
one wherever what it keeps is the subject.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import grpc

from service.core.audit import Who
from service.core.control import Counted, Off, RefusedVersion, Status, Switches
from service.core.decision import Answer, Committed, Decision, Reason, ReasonCode, Request
from service.core.loader import load_strategy
from service.core.records import ConsentRecord, EventToFold, OutcomeRecord
from service.core.strategy import Strategy
from service.errors import StoreError, UnknownDecision
from service.rpc.admission.admission import Admission
from service.rpc.edge import Edge, Limits
from service.rpc.ports import Decider, Stores, Validator
from service.rpc.server import Listen, Server
from service.store.store import Store
from service.store.suppression import Suppression
from service.telemetry.timeline import UNTIMED, Timeline
from service.watching_people import Ears
from tests.store.patience import patient
from tests.strategies import SECTIONS, write_strategy

NOW_MS = 1_800_000_000_000
NO_KEY = Suppression()
MORE_FIELDS = """\
  - {id: past.shares, says: A sum., type: double, purpose: service, fold: {kind: sum, event: noted, attribute: share}}
  - {id: present.calls, says: Calls today., type: int, purpose: service, source: request, low: 0, high: 100}
  - {id: present.count, says: Any whole number., type: int, purpose: service, source: request}
  - {id: present.since, says: Since when., type: timestamp, purpose: service, source: request}
  - {id: present.words, says: What they said., type: string, purpose: service, source: request}
  - {id: present.pages, says: What they saw., type: strings, purpose: service, source: request}
"""
MORE_EVENTS = """\
  - id: noted
    says: Anything.
    attributes:
      text: {type: string, optional: true}
      number: {type: int, optional: true}
      share: {type: double, optional: true}
      texts: {type: strings, optional: true}
"""


@cache
def strategy() -> Strategy:
    """Return the small telecom strategy with a request field of every type and an event of loose attributes."""
    fields, events = SECTIONS["fields"] + MORE_FIELDS, SECTIONS["events"] + MORE_EVENTS
    with TemporaryDirectory() as folder:
        return load_strategy(write_strategy(Path(folder), fields=fields, events=events))


def answered(request: Request) -> Decision:
    """Return a plausible decision for a request: a greeting everywhere."""
    because = Reason(ReasonCode.HIGHEST_NET_VALUE, "A friendly hello is worth most.", "greet", ("past.tier",))
    answers = tuple(
        Answer(placement, "greet", "greeting", "Good to see you.", ("welcome",), 1.0, 0.0, (because,))
        for placement in request.placements
    )
    return Decision("0" * 26, answers, strategy().version, "", NOW_MS)


@dataclass(slots=True)
class Answering:
    """A decider that remembers what it was asked and answers with `how`."""

    how: Callable[[Request], Awaitable[Decision]] | None = None
    asked: list[Request] = field(default_factory=list)
    deadlines: list[float] = field(default_factory=list)

    async def decide(self, request: Request, deadline_s: float, line: Timeline = UNTIMED) -> Decision:
        """Answer as told."""
        self.asked.append(request)
        self.deadlines.append(deadline_s)
        return await self.how(request) if self.how else answered(request)

    def told(self, committed: Committed) -> NoReturn:
        """Fail: nothing was ever committed."""
        raise AssertionError("nothing was committed")


class Unasked:
    """A validator that knows no decision."""

    async def validate(self, decision_id: str, as_of_ms: int | None, deadline_s: float) -> NoReturn:
        """Fail."""
        raise UnknownDecision("there is none")


class Untouched:
    """A store that must not be touched: what is refused never gets that far."""

    async def context(self, customer: str, deadline_s: float) -> NoReturn:
        """Fail."""
        raise AssertionError("the store was touched")

    async def fold(self, customer: str, events: Sequence[EventToFold], deadline_s: float) -> NoReturn:
        """Fail."""
        raise AssertionError("the store was touched")

    async def set_consent(self, customer: str, consent: ConsentRecord, deadline_s: float) -> NoReturn:
        """Fail."""
        raise AssertionError("the store was touched")

    async def agreed(self, customer: str, *, history: bool, deadline_s: float) -> NoReturn:
        """Fail."""
        raise AssertionError("the store was touched")

    async def record_outcome(self, outcome: OutcomeRecord, deadline_s: float) -> NoReturn:
        """Fail."""
        raise AssertionError("the store was touched")


class Alone:
    """Stores of which one object does everything."""

    def __init__(self, everything: Any) -> None:  # noqa: ANN401 - a fake has only what its test needs
        self.customers = self.events = self.consents = self.outcomes = everything
        self.identities = self.issued = everything
        self.predictions = self.changes = everything
        self.supply = self.demand = everything
        self.rights = self.words = self.journeys = self.moments = everything
        self.log: Any = everything
        self.audit: Any = everything
        self.chain: Any = everything


REFUSED = RefusedVersion("strategy", ("caps.yaml:3: a cap ends; write `within`", "and more"), NOW_MS - 1_000, True)
STATUS = Status(
    "small@1", "model@2", NOW_MS, REFUSED, (Counted("check.disagreed", "no-upsell", 2),), Switches(), store_away=True
)


class Controlling:
    """A control that remembers what was switched; `fails` stands for a store that is away."""

    def __init__(self, *, fails: bool = False) -> None:
        self.off: dict[str, Off] = {}
        self.fails = fails

    def status(self) -> Status:
        """Say what was prepared."""
        return STATUS

    async def set_switch(
        self, action: str, details: tuple[str, str] | None, deadline_s: float, who: Who
    ) -> tuple[Switches, bool]:
        """Switch, and tell all."""
        if self.fails:
            raise StoreError("away")
        changed = (details is not None) is not (action in self.off)
        if details is None:
            self.off.pop(action, None)
        else:
            self.off.setdefault(action, Off(action, NOW_MS, *details))
        return await self.switches(deadline_s), changed

    async def switches(self, deadline_s: float) -> Switches:
        """Tell all."""
        return Switches(1, 1, tuple(self.off[name] for name in sorted(self.off)))


UNTOUCHED = Controlling()


def edge_of(
    decider: Decider | None = None,
    stores: Stores | None = None,
    limits: Limits | None = None,
    validator: Validator | None = None,
) -> Edge:
    """Return an edge over the test's strategy at a fixed moment."""
    return Edge.of(
        strategy(),
        decider=decider or Answering(),
        stores=stores or Alone(Untouched()),
        limits=limits or Limits(),
        clock=lambda: NOW_MS,
        validator=validator or Unasked(),
    )


@asynccontextmanager
async def serving(
    edge: Edge, listen: Listen | None = None, control: Controlling | None = UNTOUCHED, ears: Ears | None = None
) -> AsyncIterator[str]:
    """Run a real server for an edge on a free port, which admits whatever comes, and yield its address."""
    server = Server(edge, replace(listen or Listen(), port=0), admission=Admission(first=512))
    if ears is not None:
        server.listens_by(ears)
    if control is not None:
        server.controlled_by(Controlling() if control is UNTOUCHED else control)
    port = await server.start()
    await server.announce(serving=True)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.drain(linger_s=0, grace_s=0)


@asynccontextmanager
async def calling(edge: Edge, ears: Ears | None = None) -> AsyncIterator[Any]:
    """Run a real server for an edge and yield a channel to it, untyped: tests send bytes and read messages."""
    async with serving(edge, ears=ears) as target, channel_to(target) as channel:
        yield channel


@asynccontextmanager
async def channel_to(target: str) -> AsyncIterator[Any]:
    """Yield an untyped channel."""
    async with grpc.aio.insecure_channel(target) as channel:
        yield channel


@asynccontextmanager
async def store_at(url: str, suppression: Suppression = NO_KEY) -> AsyncIterator[Store]:
    """Yield the real store of the strategy over a real store."""
    levels = {level.id: "".join(purpose.group for purpose in level.purposes) for level in strategy().levels}
    async with patient(url) as connections:
        lowest, schema = strategy().levels[0].id, strategy().schema
        store = Store.over(connections, levels, lowest, schema=schema, suppression=suppression)
        await store.calls.load_functions()
        yield store
