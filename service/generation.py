"""A generation: one version with everything that serves it, so that calls change from one to the next in one step."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
import weakref
from dataclasses import dataclass, field, replace

from models.context import Source
from service.archived_engines import ArchivedEngines
from service.config import Settings
from service.core.audit import Who
from service.core.engine import Engine
from service.decide import Decider, Patience
from service.entropy import Entropy
from service.explaining import Explaining
from service.insights import Insights
from service.learning import Learning
from service.policy.household import Householding
from service.policy.remembering import Remembering
from service.rpc.edge import Clock, Edge, Limits
from service.standing import Held, Looking, Standing
from service.store.archive import PATIENCE_S
from service.store.ears import StoreEars
from service.store.opening import Ways
from service.store.store import Store
from service.store.suppression import Suppression
from service.supply.warehouse import Warehouse
from service.switching import Switching
from service.telemetry import Counts
from service.triggering import Triggering
from service.validate import Validator
from service.versions import Version

KEPT_ENGINES = 4
"""Of how many versions, the one in force among them, the words are kept in memory; a decision is repeated within
seconds, if at all.
"""


MOST_TOLD = 128
"""How long what the audit record says of somebody may be."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What all generations of a process stand on; `engines` are those of the last versions, by name.

    `ears` hear what is written.
    """

    ways: Ways
    suppression: Suppression
    settings: Settings
    switches: Switching
    counts: Counts
    clock: Clock
    ears: StoreEars
    engines: dict[tuple[str, str], Engine] = field(default_factory=dict)

    def keep(self, version: Version) -> None:
        """Keep an engine for the words of what it decided, and no more than those that were in force last."""
        self.engines.pop(version.name, None)  # one that is in force again is the last one, and not where it stood
        self.engines[version.name] = version.engine
        while len(self.engines) > KEPT_ENGINES:
            del self.engines[next(iter(self.engines))]


@dataclass(frozen=True, slots=True)
class Generation:
    """One version with its store, its warehouse, its decider, the edge that shows all of it to calls, and what it
    learns between trainings.
    """

    version: Version
    store: Store
    warehouse: Warehouse
    decider: Decider
    edge: Edge
    ground: Ground
    learning: Learning

    @classmethod
    def of(cls, version: Version, ground: Ground) -> Generation:
        """Put a generation together; nothing of it is under way before `open`."""
        strategy, clock = version.strategy, ground.clock
        store = _store(version, ground)
        process = os.urandom(8).hex()
        decisions = Householding.around(store.customers, store.households, store.issued, strategy)
        outcomes = Remembering(store.recorder, store.memory, strategy, store.words)
        warehouse = Warehouse.of(strategy, decisions, outcomes, store.supply, store.demand, store.issued, process)
        store = replace(store, outcomes=warehouse.outcomes)
        engine = version.engine
        learning = Learning(store.counts, engine.adapting, engine.model_version, clock)
        decider = Decider(
            version.engine,
            warehouse.decisions,
            Entropy(),
            clock,
            patience=Patience(most_s=ground.settings.store_wait_s),
            book=warehouse.book,
            switches=ground.switches,
            counts=ground.counts,
            earlier=ground.engines,
            learning=learning,
        )
        standing = _standing(version, ground, store, decider, warehouse, learning)
        edge = Edge.of(
            strategy,
            decider=decider,
            stores=store,
            limits=Limits(allow_as_of=ground.settings.allow_as_of),
            clock=clock,
            validator=_validator(version, ground, store, warehouse),
            tally=warehouse.tally,
            explaining=_explaining(version, ground, store),
            insights=_insights(version, ground, store, warehouse),
            triggering=_triggering(version, ground, store, decider, warehouse, standing),
            standing=standing,
        )
        return cls(version, store, warehouse, decider, edge, ground, learning)

    async def claim(self) -> None:
        """Let the store know what this version's fields are for and what its words are, before it decides anything.

        Raises StoreRefused where the store holds something else, and another StoreError when it does not answer.
        """
        await self.store.purposes.claim()
        await self.store.words.keep(self.version.strategy)
        await self.store.archive.keep(PATIENCE_S)
        await self.store.audit.note_in_force(PATIENCE_S)

    def open(self) -> None:
        """Begin with what is done in the background, and keep the words: it is about to be in force."""
        self.ground.keep(self.version)
        book = self.warehouse.book
        self.ground.ears.follow(self.store.identities, book.renew, book.refresh)
        self.warehouse.open()
        self.learning.open()

    async def close(self) -> None:
        """End what is done in the background."""
        await self.learning.close()
        await self.warehouse.close()


class Generations:
    """The generation in force, and those before it of which calls are still under way."""

    def __init__(self, first: Generation) -> None:
        self.current = first
        self._leaving: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()

    def follow(self, generation: Generation) -> None:
        """Put another generation in force; the one before is closed when no call holds it any more."""
        ended = asyncio.Event()
        loop, before = asyncio.get_running_loop(), self.current
        # Every call holds the edge, and that alone the decider: when it is gone, so are the calls.
        ends = weakref.finalize(before.decider, loop.call_soon_threadsafe, ended.set)
        self.current = generation
        leaving = loop.create_task(_closed(before.learning, before.warehouse, ended, self._closing, ends))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def close(self) -> None:
        """Close all of them; no call is under way any more."""
        self._closing.set()
        await asyncio.gather(*self._leaving)
        await self.current.close()


async def _closed(
    learning: Learning,
    warehouse: Warehouse,
    ended: asyncio.Event,
    closing: asyncio.Event,
    ends: weakref.finalize[..., Decider],
) -> None:
    """Close what serves a generation when its calls have ended; to hold the generation would keep these from ending."""
    waiting = {asyncio.ensure_future(event.wait()) for event in (ended, closing)}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for one in waiting:
        one.cancel()
    ends.detach()
    await learning.close()
    await warehouse.close()


def this_process() -> Who:
    """Return by whom and from where this process changes what is in force: for whom it runs, on which machine."""
    try:
        by = getpass.getuser()
    except (KeyError, OSError):  # nobody has this number
        by = f"uid {os.getuid()}"
    return Who(by[:MOST_TOLD], f"{socket.gethostname()}, process {os.getpid()}"[:MOST_TOLD])


def _validator(version: Version, ground: Ground, store: Store, warehouse: Warehouse) -> Validator:
    return Validator(
        lambda: version.engine,
        store.issued,
        store.customers,
        store.supply,
        warehouse.book,
        ground.counts,
        ground.switches,
    )


def _triggering(
    version: Version, ground: Ground, store: Store, decider: Decider, warehouse: Warehouse, standing: Standing
) -> Triggering:
    return Triggering(
        version.engine,
        store.moments,
        store.customers,
        store.identities,
        decider,
        _validator(version, ground, store, warehouse),
        warehouse.book,
        standing,
        ground.counts,
        ground.clock,
    )


def _standing(
    version: Version, ground: Ground, store: Store, decider: Decider, warehouse: Warehouse, learning: Learning
) -> Standing:
    engine, decisions, book = version.engine, warehouse.decisions, warehouse.book
    held = Held(store.unsaying, store.supply, store.households)
    return Standing(engine, Looking(decider, decisions, book, ground.switches, learning, Entropy()), held)


def _insights(version: Version, ground: Ground, store: Store, warehouse: Warehouse) -> Insights:
    return Insights(version.stamp, store.log, lambda: version.engine, lambda: warehouse.book.stocks, ground.clock)


def _explaining(version: Version, ground: Ground, store: Store) -> Explaining:
    engines = ArchivedEngines(ground.engines, store.archive)
    return Explaining(lambda: version.engine, engines, store.issued, store.customers)


def _store(version: Version, ground: Ground) -> Store:
    strategy = version.strategy
    return Store.over(
        ground.ways.quick,
        {level.id: "".join(purpose.group for purpose in level.purposes) for level in strategy.levels},
        strategy.levels[0].id,
        mark_changes=any(field.source is Source.MODEL for field in strategy.schema.fields),
        schema=strategy.schema,
        retention=ground.settings.keep,
        suppression=ground.suppression,
        parts=version.parts,
        in_force=(version.stamp, this_process()),
        confirmed=ground.ways.confirmed,
        channels={trigger.id: trigger.channel for trigger in strategy.triggers},
    )
