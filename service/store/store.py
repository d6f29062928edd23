"""Everything that the store keeps, each concern with its own object over the same connections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.context import ContextSchema
from models.fold_merge import stored_fields
from service.core.archived import Part
from service.core.journey import letters_of_events
from service.store.archive import ArchiveStore
from service.store.audit import AuditStore, InForce
from service.store.calls import Calls
from service.store.chain import ChainStore
from service.store.changes import ChangeStore
from service.store.consents import ConsentStore
from service.store.counts import CountStore
from service.store.customers import CustomerStore
from service.store.demand import DemandStore
from service.store.events import NO_TRIGGERS, EventStore
from service.store.households import HouseholdStore
from service.store.identities import IdentityStore
from service.store.issued import IssuedStore
from service.store.journeys import JourneyStore
from service.store.log_reading import LogStore
from service.store.memory import MemoryStore
from service.store.moments import MomentStore
from service.store.outcomes import Outcomes, OutcomeStore
from service.store.people import People
from service.store.predictions import PredictionStore
from service.store.purposes import PurposeStore
from service.store.retention import Retention
from service.store.rights import RightsStore
from service.store.supply import SupplyStore
from service.store.suppression import Suppression
from service.store.unsaying import UnsayingStore
from service.store.way import Way
from service.store.words import WordStore

_DEFAULT = Retention()
_NO_KEY = Suppression()


@dataclass(frozen=True, slots=True)
class Store:
    """The store by concern. `calls` has the functions that all of it needs: load them before the first call.

    `recorder` records outcomes, `outcomes` may be what stands around it.
    """

    calls: Calls
    customers: People
    identities: IdentityStore
    events: EventStore
    consents: ConsentStore
    outcomes: Outcomes
    recorder: OutcomeStore
    issued: IssuedStore
    predictions: PredictionStore
    changes: ChangeStore
    rights: RightsStore
    supply: SupplyStore
    demand: DemandStore
    purposes: PurposeStore
    words: WordStore
    memory: MemoryStore
    unsaying: UnsayingStore
    households: HouseholdStore
    log: LogStore
    counts: CountStore
    chain: ChainStore
    archive: ArchiveStore
    journeys: JourneyStore
    audit: AuditStore
    moments: MomentStore

    @classmethod
    def over(
        cls,
        connections: Way,
        groups_by_level: Mapping[str, str],
        lowest: str,
        retention: Retention = _DEFAULT,
        suppression: Suppression = _NO_KEY,
        mark_changes: bool = False,
        schema: ContextSchema | None = None,
        parts: Sequence[Part] = (),
        in_force: InForce | None = None,
        confirmed: Way | None = None,
        channels: Mapping[str, str] = NO_TRIGGERS,
    ) -> Store:
        """Put the store together.

        `groups_by_level` maps each consent level of the strategy to the purpose letters it allows; `lowest` is the
        level of customers without a consent. `suppression` keeps erased customers out; without its key nobody can be
        erased. `mark_changes` notes whom models are to be asked about again. `schema` says how
        the fields that are kept of a person's identities merge, and for which purposes. `parts` are archived,
        `in_force` is noted in the audit record. What writes goes over `confirmed`, where that is given. `channels` are
        those of the triggers.
        """
        calls = Calls(connections, confirmed)
        recorder = OutcomeStore(calls, retention)
        identities = IdentityStore(calls, groups_by_level, lowest, retention, suppression, mark_changes)
        customers = CustomerStore(calls, groups_by_level, lowest, retention, suppression)
        moments = MomentStore(calls, retention, channels.values())
        return cls(
            calls=calls,
            customers=People(customers, identities, stored_fields(schema)),
            identities=identities,
            events=EventStore(calls, retention, suppression, mark_changes, channels, letters_of_events(schema)),
            consents=ConsentStore(calls, groups_by_level, lowest, retention, suppression, identities, mark_changes),
            outcomes=recorder,
            recorder=recorder,
            issued=IssuedStore(calls),
            predictions=PredictionStore(calls, groups_by_level, lowest, retention, suppression, identities),
            changes=ChangeStore(calls),
            rights=RightsStore(calls, suppression, identities, SupplyStore(calls, retention), retention, moments),
            supply=SupplyStore(calls, retention),
            demand=DemandStore(calls, retention),
            purposes=PurposeStore(calls, stored_fields(schema)),
            words=WordStore(calls, retention),
            memory=MemoryStore(calls, retention, suppression, identities),
            unsaying=UnsayingStore(calls),
            households=HouseholdStore(calls, retention),
            log=LogStore(calls, suppression),
            counts=CountStore(calls),
            chain=ChainStore(calls, retention),
            journeys=JourneyStore(calls, groups_by_level, lowest),
            archive=ArchiveStore(calls, retention, parts),
            audit=AuditStore(calls, suppression, in_force),
            moments=moments,
        )
