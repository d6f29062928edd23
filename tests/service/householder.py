"""A process that decides for the members of households as fast as it can.

    python -m tests.service.householder URL STRATEGY SEED DECISIONS

A third of the idempotency keys are the same in every process. Prints a line when it begins, and one
after every eight decisions.
"""

from __future__ import annotations

import asyncio
import os
import sys
from itertools import islice
from pathlib import Path
from random import Random

from models import folds
from service.core.decision import Decision, Request
from service.core.engine import Engine
from service.core.loader import load_strategy
from service.core.records import ConsentRecord, EventToFold
from service.core.strategy import Strategy
from service.decide import Decider, Patience
from service.policy.household import Householding
from service.store.connection import Connections
from service.store.households import GRANTED_MS, HouseholdStore
from service.store.retention import Retention
from service.store.store import Store
from tests.service.world import DAY_MS, NOW_MS, no_exploration
from tests.store.patience import patient
from tests.strategies import SECTIONS

IN_FLIGHT = 8
HOUSEHOLDS, MEMBERS, AT_MOST = 6, 4, 20
HOME = {
    "household": "household: {field: past.household}\n",
    "events": SECTIONS["events"]
    + """\
  - {id: home.moved, says: They moved in with others., attributes: {household: string}}
""",
    "fields": SECTIONS["fields"]
    + """\
  - id: past.household
    says: With whom they live.
    type: string
    purpose: service
    fold: {kind: last, event: home.moved, attribute: household}
""",
    "caps": f"""\
caps:
  - id: offers-a-household
    says: A household is not offered more than that a week.
    count: {{kinds: [offer]}}
    at_most: {AT_MOST}
    within: 7d
    by: household
""",
}
"""The changes of the small strategy by which customers live together."""


def store_of(connections: Connections, strategy: Strategy) -> Store:
    """Return everything that is stored for a strategy."""
    levels = {level.id: "".join(purpose.group for purpose in level.purposes) for level in strategy.levels}
    return Store.over(connections, levels, strategy.levels[0].id, schema=strategy.schema)


def decider_of(store: Store, strategy: Strategy, granted_ms: int = GRANTED_MS) -> Decider:
    """Return who decides with the caps of households; a granted use is asked about after `granted_ms`."""
    households = HouseholdStore(store.calls, Retention(), granted_ms)
    decisions = Householding.around(store.customers, households, store.issued, strategy)
    return Decider(Engine(strategy, None), decisions, no_exploration, lambda: NOW_MS, Patience(share=0.5, most_s=20.0))


async def moved_in(store: Store, strategy: Strategy, customer: str, household: str, now_ms: int = NOW_MS) -> None:
    """Make a customer to whom anything may be sold; with a household they live there."""
    await store.consents.set_consent(customer, ConsentRecord("full", ("email",), now_ms - DAY_MS, "test"), 5.0)
    happened = [("ticket.opened", {"ticket": "t"}, 3), ("ticket.closed", {"ticket": "t"}, 2)]
    happened += [("home.moved", {"household": household}, 1)] if household else []
    for event, attributes, days in happened:
        operations = folds.operations(strategy.schema, event, attributes)
        await store.events.fold(customer, [EventToFold(event, now_ms - days * DAY_MS, operations)], 5.0)


def member(household: int, number: int) -> str:
    """Name a customer."""
    return f"home-{household}-{number}"


async def ask(decider: Decider, customer: str, key: str = "") -> Decision:
    """Decide as of `NOW_MS` what a customer sees."""
    return await decider.decide(Request(customer, "web", ("hero",), {}, False, key, "", NOW_MS), 30.0)


async def main(url: str, folder: str, seed: str, decisions: str) -> None:
    """Decide again and again."""
    dice, strategy = Random(seed), load_strategy(Path(folder))
    connections = patient(url)
    decider = decider_of(store_of(connections, strategy), strategy)
    print(os.getpid(), flush=True)

    async def one(number: int) -> None:
        customer = member(dice.randrange(HOUSEHOLDS), dice.randrange(MEMBERS))
        await ask(decider, customer, f"same-{number}" if number % 3 == 0 else "")

    numbers = iter(range(int(decisions)))
    while some := list(islice(numbers, IN_FLIGHT)):
        await asyncio.gather(*map(one, some))
        print(len(some), flush=True)
    await connections.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))
