"""Whether a strategy keeps what it promises: found out in a process of its own, which alone may import the solver.

What was proven before is known at once, so a service starts as fast as without. A promise of which nobody can tell, as
the solver does not know in time, or not at all on this machine, is a warning in the log and no reason not to serve.
"""

from __future__ import annotations

import json
import logging
import os
from contextlib import aclosing
from pathlib import Path
from typing import Protocol

from service.beside import beside
from service.children import lines_of
from service.core.strategy import Strategy
from service.proving.kept import Kept, folder_of
from service.proving.prove import unproven

log = logging.getLogger(__name__)

PROVEN_WITHIN_S = 120.0
WAITS_S = 20.0
"""So long the other process may wait for one that proves already, before it begins itself."""


class PromiseBroken(Exception):
    """A strategy breaks what it promises: one line a promise, with file and line, and a customer of whom it is so."""


class CheckPromises(Protocol):
    """Raises `PromiseBroken` in words where a strategy that was read from a folder breaks a promise."""

    async def __call__(self, folder: Path, strategy: Strategy) -> None:
        """See that a strategy keeps what it promises."""
        ...


async def check_promises(folder: Path, strategy: Strategy) -> None:
    """See that a strategy which was read from a folder keeps what it promises; raise `PromiseBroken` where it does not.

    One that declares no invariants has nothing that could be broken, so nothing is proven of it here. The first promise
    that is found broken refuses it, however long others take.
    """
    if not strategy.invariants:
        return
    kept = Kept(folder_of(os.environ))
    if not await beside(lambda: unproven(strategy, kept)):
        return
    through = False
    lines = lines_of("service.proving", [str(folder)], timeout_s=WAITS_S + PROVEN_WITHIN_S)
    async with aclosing(lines):
        async for line in lines:
            through = _told(json.loads(line), strategy)
    if not through:
        log.warning("not every promise of %s could be proven: the proof ended or took too long", strategy.version)


def _told(told: dict[str, str], strategy: Strategy) -> bool:
    """Hear one line of who proves; return whether it was the last one."""
    if "error" in told or told.get("version", strategy.version) != strategy.version:
        raise PromiseBroken(f"the documents of {strategy.version} changed while they were proven")
    if told.get("ruling") == "broken":
        raise PromiseBroken(told["line"])
    if "failed" in told:
        log.warning("the promises of %s could not be proven: %s", strategy.version, told["failed"])
    if told.get("ruling") == "unknown":
        log.warning("it could not be told whether %s keeps a promise: %s", strategy.version, told["line"])
    return "through" in told
