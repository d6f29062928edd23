"""What every call sees: one strategy with its decider and store, as one frozen value that can be swapped whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import NoReturn

from models.bounds import EventForm, event_forms
from models.context import Field, Scalar, Source
from models.folds import Folding
from service.core.depths import Depths
from service.core.due import Lent, Name, Sendable
from service.core.insight import NOTHING_COUNTED
from service.core.strategy import DemandRule, Strategy
from service.core.supplies import Wanting
from service.core.triggers import Arming
from service.core.wanted import Wanted
from service.errors import UnknownDecision
from service.rpc.access.gate import Access
from service.rpc.admission.admission import Admission
from service.rpc.admission.bulkhead import Bulkhead, insights_alone
from service.rpc.answer_bytes import AnswerBytes
from service.rpc.ports import Decider, Explaining, Stores, Tally, Validator
from service.rpc.ports_journey import Insighting
from service.rpc.ports_operating import Control
from service.rpc.ports_triggers import Triggering
from service.rpc.requests import RequestReader, reader_for
from service.rpc.values import reader_of
from service.standing import Standing
from service.telemetry.watch import UNWATCHED, Watch
from service.watching_people import Ears
from tact.v1.values_pb2 import Value

Clock = Callable[[], int]
"""Milliseconds since 1970 in UTC."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long calls may take and what they may ask for.

    Calls that name no deadline get `deadline_s`, batches and each item of a stream of batches `batch_s`. A deadline
    beyond `longest_s` is cut to it. `allow_as_of` lets callers decide and look as of another moment.
    """

    deadline_s: float = 1.0
    batch_s: float = 10.0
    longest_s: float = 60.0
    allow_as_of: bool = False


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The words of a strategy that callers may use, laid out for checking.

    `usual` are the ways to ask for one or two placements that need no second look;
    `requested` holds the request fields by id with their index in the schema and how their values are read; `stored`
    the ids of all others; `predicted` the fields that models write, `supplied` those of the supply; `wants` the rules
    of demand by the event that they are about; `arming` tells what events arm and cancel.
    """

    placements: Mapping[str, frozenset[str]]
    usual: frozenset[tuple[str, tuple[str, ...]]]
    requested: Mapping[str, tuple[int, Callable[[Value], Scalar]]]
    stored: frozenset[str]
    events: Mapping[str, EventForm]
    predicted: Mapping[str, Field]
    supplied: frozenset[str]
    levels: frozenset[str]
    wants: Mapping[str, tuple[DemandRule, ...]]
    folding: Folding
    arming: Arming

    @classmethod
    def of(cls, strategy: Strategy) -> Vocabulary:
        """Collect the words of a strategy."""
        fields = strategy.schema.fields
        return cls(
            placements={channel.id: frozenset(channel.placements) for channel in strategy.channels},
            usual=frozenset(_usual(strategy)),
            requested={f.id: (i, reader_of(f.bounds)) for i, f in enumerate(fields) if f.source is Source.REQUEST},
            stored=frozenset(f.id for f in fields if f.source is not Source.REQUEST),
            events=event_forms(strategy.schema),
            predicted={f.id: f for f in fields if f.source is Source.MODEL},
            supplied=frozenset(f.id for f in fields if f.source is Source.SUPPLY),
            levels=frozenset(level.id for level in strategy.levels),
            wants=_wants(strategy),
            folding=Folding(strategy.schema),
            arming=Arming(strategy.triggers),
        )


class NotCounted:
    """A tally that nobody reads."""

    def add(self, item: str, place: str, kind: Wanting, units: int) -> None:
        """Count nothing."""


NOT_COUNTED = NotCounted()


class NothingDue:
    """Sends nothing, for nothing is due."""

    async def due(self, channel: str, most: int, deadline_s: float) -> AsyncIterator[tuple[Name, ...]]:
        """Yield nothing."""
        nothing: tuple[tuple[Name, ...], ...] = ()
        for names in nothing:
            yield names

    async def lend(self, names: Sequence[Name], lease_s: float, deadline_s: float) -> tuple[Lent, ...]:
        """Lend nothing."""
        return ()

    async def sendable(self, lent: Lent, lease_s: float, deadline_s: float) -> Sendable | None:
        """Send nothing."""
        return None


NOTHING_DUE = NothingDue()


class NothingLogged:
    """Explains nothing, for nothing was logged."""

    async def explain(self, wanted: Wanted, deadline_s: float) -> NoReturn:
        """Know no decision."""
        raise UnknownDecision("nothing was logged")


NOTHING_LOGGED = NothingLogged()


@dataclass(frozen=True, slots=True)
class Edge:
    """One strategy with the decider and the stores that serve it, the limits of calls and the wall clock.

    `requests` reads requests for decisions, `answers` packs decisions, `explaining` explains those that were made,
    `triggering` sends what is due, and `depths` know what of an answer is told to whom.
    """

    strategy: Strategy
    vocabulary: Vocabulary
    decider: Decider
    stores: Stores
    limits: Limits
    clock: Clock
    validator: Validator
    tally: Tally
    requests: RequestReader
    answers: AnswerBytes
    explaining: Explaining
    depths: Depths
    triggering: Triggering = NOTHING_DUE
    standing: Standing | None = None
    insights: Insighting = NOTHING_COUNTED

    @classmethod
    def of(
        cls,
        strategy: Strategy,
        *,
        decider: Decider,
        stores: Stores,
        limits: Limits,
        clock: Clock,
        validator: Validator,
        tally: Tally = NOT_COUNTED,
        explaining: Explaining = NOTHING_LOGGED,
        triggering: Triggering = NOTHING_DUE,
        standing: Standing | None = None,
        insights: Insighting = NOTHING_COUNTED,
    ) -> Edge:
        """Lay the strategy's words out for checking and keep the rest."""
        words, answers = Vocabulary.of(strategy), AnswerBytes(strategy.schema)
        requests, depths = reader_for(strategy, words, limits), Depths(strategy)
        return cls(
            strategy, words, decider, stores, limits, clock, validator, tally, requests, answers, explaining, depths,
            triggering, standing, insights,
        )  # fmt: skip


@dataclass(slots=True)
class Current:
    """The edge that new calls see; a call keeps the one it started with.

    While the server is `draining`, streams that would go on for ever end by themselves; those of requests do when it is
    `ending` and takes no new calls. `control` answers operators.
    `watch` sees how long decisions take. `access` says who may do what; without it everybody may do everything.
    `admission` says who may begin a decision now, `batches` who may work on a batch, and
    `insights` who may count for insight: that takes seconds, and no batch and no search waits for it. `ears` hear what
    is written, so that it can be watched.
    """

    edge: Edge
    watch: Watch = UNWATCHED
    draining: bool = False
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    control: Control | None = None
    access: Access | None = None
    admission: Admission = field(default_factory=Admission)
    batches: Bulkhead = field(default_factory=Bulkhead)
    insights: Bulkhead = field(default_factory=insights_alone)
    ears: Ears | None = None

    def check(self, customer: str) -> None:
        """Raise `Forbidden` or `OverQuota` unless whoever calls may ask about this customer."""
        if self.access is not None:
            self.access.check(customer)

    def count(self, entries: int) -> None:
        """Count the entries of a batch as calls: the first is the call itself, which the gate has counted."""
        if self.access is not None:
            self.access.add(entries - 1)


def _usual(strategy: Strategy) -> Iterator[tuple[str, tuple[str, ...]]]:
    for channel in strategy.channels:
        for size in (1, 2):
            yield from ((channel.id, asked) for asked in permutations(channel.placements, size))


def _wants(strategy: Strategy) -> dict[str, tuple[DemandRule, ...]]:
    events = dict.fromkeys(rule.event for rule in strategy.demand)
    return {event: tuple(rule for rule in strategy.demand if rule.event == event) for event in events}
