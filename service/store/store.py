"""Everything that the store keeps, each concern with its own object over the same connections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.store.calls import Calls
from service.store.connection import Connections
from service.store.consents import ConsentStore
from service.store.customers import CustomerStore
from service.store.events import EventStore
from service.store.outcomes import OutcomeStore
from service.store.retention import Retention

_DEFAULT = Retention()


@dataclass(frozen=True, slots=True)
class Store:
    """The store by concern. `calls` has the functions that all of it needs: load them before the first call."""

    calls: Calls
    customers: CustomerStore
    events: EventStore
    consents: ConsentStore
    outcomes: OutcomeStore

    @classmethod
    def over(
        cls,
        connections: Connections,
        groups_by_level: Mapping[str, str],
        lowest: str,
        retention: Retention = _DEFAULT,
    ) -> Store:
        """Put the store together.

        `groups_by_level` maps each consent level of the strategy to the purpose letters it allows; `lowest` is the
        level of customers without a consent.
        """
        calls = Calls(connections)
        return cls(
            calls=calls,
            customers=CustomerStore(calls, groups_by_level, lowest, retention),
            events=EventStore(calls, retention),
            consents=ConsentStore(calls, retention),
            outcomes=OutcomeStore(calls, retention),
        )
