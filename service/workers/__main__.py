"""A worker's program: `python -m service.workers DESCRIPTOR`, with the number of the socket to its supervisor."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.config import Settings
from service.scheduling import pull_levers, settle_memory
from service.workers.channel import first_line
from service.workers.messages import Begin, for_worker
from service.workers.seat import core_of

if TYPE_CHECKING:
    from service.app import Running
    from service.workers.worker import Asking


def main() -> None:
    """Hear what to do, prepare the process for it before gRPC is imported, and serve."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the supervisor tells when to look, also whoever sent it to all
    end = socket.socket(fileno=int(sys.argv[1]))
    end.set_inheritable(False)
    line, rest = first_line(end)
    begin = for_worker(line)
    if not isinstance(begin, Begin):
        raise SystemExit("a worker is started by its supervisor: tact serve --workers 2")
    prepare(begin.settings)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(begin.settings, end, rest))


def prepare(settings: Settings) -> None:
    """Set this process up: its core, its scheduling, its log lines, which name the worker."""
    if settings.pin:
        os.sched_setaffinity(0, {core_of(settings.seat)})
    pull_levers(settings.scheduling)
    logging.basicConfig(
        level=settings.log_level.upper(),
        format=f"%(asctime)s %(levelname)s worker {settings.seat.number} %(name)s: %(message)s",
        force=True,
    )


async def _work(settings: Settings, end: socket.socket, rest: bytes) -> None:
    from service.workers.worker import Worker

    await Worker(settings).run(_start, end, rest)


async def _start(settings: Settings, shared: Asking) -> Serves:
    from service.app import StartRefused, start
    from service.workers.worker import CannotServe

    try:
        running = await start(settings, shared)
    except StartRefused as refused:
        raise CannotServe(str(refused)) from None
    settle_memory()
    return Serves(running)


@dataclass(frozen=True)
class Serves:
    """The service of this process, as the worker sees it."""

    running: Running

    @property
    def port(self) -> int:
        """The port it answers on."""
        return self.running.port

    @property
    def web_port(self) -> int | None:
        """The port that browsers call; unset where none may."""
        return self.running.web.port if self.running.web else None

    @property
    def told(self) -> tuple[str, str]:
        """The versions of strategy and model that are in force."""
        return self.running.strategy.version, self.running.model

    @property
    def guardrails(self) -> tuple[str, ...]:
        """The ids of the guardrails in force."""
        return tuple(rule.id for rule in self.running.strategy.guardrails)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What whoever started it should know."""
        return self.running.store.warnings

    def look_now(self) -> None:
        """Judge the folders of the strategy and the model now."""
        self.running.reloading.look_now()

    async def until_refused(self) -> str:
        """Wait until it cannot go on; return why."""
        return await self.running.store.until_refused()

    async def stop(self) -> None:
        """Drain and end."""
        await self.running.stop()


if __name__ == "__main__":
    main()
