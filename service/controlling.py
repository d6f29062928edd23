"""What operators ask of one process: what it serves, what it refused, what it counts, and what is switched off."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from service.config import Settings
from service.core.audit import Who
from service.core.control import Counted, Status, Switches, Worker
from service.generation import Generations
from service.reloading import Reloading
from service.switching import Switching
from service.telemetry import Counts
from service.watching import StoreWatch
from service.workers.seat import memory_bytes


@dataclass(frozen=True, slots=True)
class Controlling:
    """Answers operators out of the parts of a running service."""

    generations: Generations
    reloading: Reloading
    switching: Switching
    counts: Counts
    watch: StoreWatch

    def status(self) -> Status:
        """Return what this process says of itself, as it knows it without asking the store."""
        strategy, model, challenger = self.generations.current.version.stamp
        return Status(
            strategy=strategy,
            model=model,
            since_ms=self.reloading.since_ms,
            refused=self.reloading.refused,
            counts=tuple(self._counted()),
            switches=self.switching.told,
            store_away=self.watch.away,
            challenger=challenger,
            worker=this_worker(self.generations.current.ground.settings),
        )

    async def set_switch(
        self, action: str, details: tuple[str, str] | None, deadline_s: float, who: Who
    ) -> tuple[Switches, bool]:
        """Switch something off (with why and by whom) or on, in every process; return all, and whether it changed."""
        return await self.switching.set(action, details, deadline_s, who)

    async def switches(self, deadline_s: float) -> Switches:
        """Return all that is switched off."""
        return await self.switching.listed(deadline_s)

    def _counted(self) -> Iterator[Counted]:
        for name, numbers in self.counts.told().items():
            for label, number in sorted(numbers.items()):
                yield Counted(name, label, number)


def this_worker(settings: Settings) -> Worker:
    """Return what this process is among those that answer on its port."""
    return Worker(settings.seat.number, settings.workers, settings.seat.starts, os.getpid(), memory_bytes())
