"""What the edge needs from the rest of the service, as small protocols."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Protocol

from service.core.chain_walk import Found
from service.core.chained import Link, Stream
from service.core.decision import Committed, Decision, Known, Request
from service.core.explained import Explained
from service.core.logged import DecisionPage, OutcomePage
from service.core.predictions import Change, PredictionFate, PredictionToStore
from service.core.records import Agreed, ConsentRecord, EventFate, EventToFold, OutcomeRecord, OutcomeStatus, Person
from service.core.rights import Erased, Kept, KeptDecision, KeptOutcome
from service.core.supplies import DemandTold, SupplyFate, SupplyReport, Wanting
from service.core.validity import Issued, Validity
from service.core.wanted import Wanted
from service.core.words import Words
from service.rpc.ports_journey import Journeys
from service.rpc.ports_operating import Audit
from service.rpc.ports_triggers import Moments
from service.telemetry.timeline import UNTIMED, Timeline


class Decider(Protocol):
    """Answers what to say."""

    async def decide(self, request: Request, deadline_s: float, line: Timeline = UNTIMED) -> Decision:
        """Decide within `deadline_s` seconds; raise `AlreadyExists` when the key was used for another request.

        When its steps ended is marked on the line.
        """
        ...

    def told(self, committed: Committed) -> Decision:
        """Return a decision that was committed before, in the words of the strategy in force."""
        ...


class Validator(Protocol):
    """Says whether what was decided may still be said."""

    async def validate(self, decision_id: str, as_of_ms: int | None, deadline_s: float) -> Validity:
        """Judge a decision again; raise `UnknownDecision` when there is none."""
        ...


class Explaining(Protocol):
    """Explains decisions that were made."""

    async def explain(self, wanted: Wanted, deadline_s: float) -> Explained:
        """Explain a decision; raise `UnknownDecision` when there is none."""
        ...


class Customers(Protocol):
    """Knows customers."""

    async def context(self, customer: str, deadline_s: float) -> Known:
        """Read what the customer's consent allows."""
        ...


class Events(Protocol):
    """Takes events in."""

    async def fold(self, customer: str, events: Sequence[EventToFold], deadline_s: float) -> tuple[EventFate, ...]:
        """Fold events of one customer in order and return the fate of each."""
        ...


class Consents(Protocol):
    """Keeps what customers agreed to."""

    async def set_consent(self, customer: str, consent: ConsentRecord, deadline_s: float) -> ConsentRecord:
        """Replace the consent; raise `ConsentOlder` when one given later is stored, `CustomerErased` for one before."""
        ...

    async def agreed(self, customer: str, *, history: bool, deadline_s: float) -> Agreed:
        """Read the consent, with the changes that led to it where the history is asked for."""
        ...


class Predictions(Protocol):
    """Keeps what models say of customers."""

    async def record(self, prediction: PredictionToStore, deadline_s: float) -> PredictionFate:
        """Store a prediction with all of its fields or with none."""
        ...


class Changes(Protocol):
    """Knows whom models are to be asked about again."""

    def lend(self, most: int, lease_s: float, deadline_s: float) -> AsyncIterator[tuple[Change, ...]]:
        """Yield those of whom something changed, up to `most` at a time, each lent for `lease_s` seconds."""
        ...

    async def finish(self, changes: Sequence[Change], deadline_s: float) -> int:
        """Take back what has been worked on and return how many of these loans still held."""
        ...

    async def held(self, changes: Sequence[Change], deadline_s: float) -> tuple[Change, ...]:
        """Return those that are still lent as they say, in time or not."""
        ...


class Identities(Protocol):
    """Knows which ids are one person's."""

    async def link(self, alias: str, customer: str, deadline_s: float) -> bool:
        """Make an id an alias; False when it was one. Raise `LinkRefused` or `CustomerErased` when it cannot be."""
        ...

    async def unlink(self, alias: str, customer: str, deadline_s: float) -> bool:
        """Undo the link of an alias; False when there is none. Raise `LinkRefused` when it is no alias of this one."""
        ...

    async def person(self, customer: str, deadline_s: float) -> Person:
        """Return who a customer is, with all aliases."""
        ...


class IssuedDecisions(Protocol):
    """Knows the decisions that were made."""

    async def issued(self, decision_id: str, deadline_s: float) -> Issued | None:
        """Return what was said and to whom; None when there is no such decision (any more)."""
        ...


class Outcomes(Protocol):
    """Keeps what came of decisions."""

    async def record_outcome(self, outcome: OutcomeRecord, deadline_s: float) -> OutcomeStatus:
        """Record one outcome beside its decision."""
        ...


class Supply(Protocol):
    """Knows what there is."""

    async def report(self, report: SupplyReport, deadline_s: float) -> SupplyFate:
        """Put a report in force unless one that was counted later is."""
        ...


class DemandLog(Protocol):
    """Keeps what was wanted."""

    async def told(self, cursor: str, deadline_s: float) -> tuple[DemandTold, ...]:
        """Return what was told after a cursor, the oldest first; an empty one is the beginning."""
        ...


class Tally(Protocol):
    """Counts what is wanted."""

    def add(self, item: str, place: str, kind: Wanting, units: int) -> None:
        """Count one event of so many units."""
        ...


class Rights(Protocol):
    """Tells and removes what is kept about a person."""

    async def person(self, customer: str, deadline_s: float | None) -> Person:
        """Return who a customer is, with all aliases."""
        ...

    async def kept(self, customer: str, deadline_s: float | None) -> Kept:
        """Return what stands in keys of this one id's own, whatever the consent allows."""
        ...

    def decisions(self, customer: str, up_to: str, deadline_s: float | None) -> AsyncIterator[KeptDecision]:
        """Yield the decisions about this one id, the oldest first."""
        ...

    def outcomes(self, customer: str, up_to: str, deadline_s: float | None) -> AsyncIterator[KeptOutcome]:
        """Yield what came of these decisions."""
        ...

    async def erase(self, customer: str, deadline_s: float) -> Erased:
        """Remove all that is kept about the person; raise `ErasureKeyMissing` without a key."""
        ...

    async def rewrite(self, deadline_s: float) -> bool:
        """Have the store write its append-only file anew; False when it does not start that."""
        ...


class StrategyWords(Protocol):
    """Knows the words of strategies."""

    async def of(self, version: str, deadline_s: float | None) -> Words | None:
        """Return the words of a version; None where they are not kept."""
        ...


class Chains(Protocol):
    """Knows whether the log is as it was written."""

    async def verify(
        self,
        bucket: int,
        stream: Stream,
        now_ms: int,
        anchor: Link | None,
        unlinked_ms: int,
        deadline_s: float | None,
    ) -> Found:
        """Return whether the chain of a bucket's stream is whole."""
        ...


class Log(Protocol):
    """Tells what was logged, bucket by bucket."""

    async def decisions(self, bucket: int, after: str, deadline_s: float | None) -> DecisionPage:
        """Return the next decisions of a bucket after a place."""
        ...

    async def outcomes(self, bucket: int, after: str, deadline_s: float | None) -> OutcomePage:
        """Return the next outcomes of a bucket after a place."""
        ...

    async def erased(self, customers: Iterable[str], deadline_s: float | None) -> Mapping[str, int]:
        """Return when (ms) customers were erased, of those who were."""
        ...


class Stores(Protocol):
    """What the store keeps, by concern. Everything here raises `StoreError` when the store fails."""

    @property
    def customers(self) -> Customers:
        """What is known of customers."""
        ...

    @property
    def events(self) -> Events:
        """What happened to them."""
        ...

    @property
    def consents(self) -> Consents:
        """What they agreed to."""
        ...

    @property
    def predictions(self) -> Predictions:
        """What models say of them."""
        ...

    @property
    def changes(self) -> Changes:
        """Whom models are to be asked about again."""
        ...

    @property
    def issued(self) -> IssuedDecisions:
        """The decisions that were made."""
        ...

    @property
    def outcomes(self) -> Outcomes:
        """What came of decisions."""
        ...

    @property
    def identities(self) -> Identities:
        """Who is one person with whom."""
        ...

    @property
    def supply(self) -> Supply:
        """What there is."""
        ...

    @property
    def demand(self) -> DemandLog:
        """What is wanted."""
        ...

    @property
    def words(self) -> StrategyWords:
        """What the strategies that decided looked at and said."""
        ...

    @property
    def moments(self) -> Moments:
        """What triggers wait for."""
        ...

    @property
    def audit(self) -> Audit:
        """Who changed what."""
        ...

    @property
    def chain(self) -> Chains:
        """Whether what was logged is as it was written."""
        ...

    @property
    def log(self) -> Log:
        """What was logged."""
        ...

    @property
    def journeys(self) -> Journeys:
        """What happened to customers."""
        ...

    @property
    def rights(self) -> Rights:
        """What is kept about a person, to be told or removed."""
        ...
