"""Whether a strategy keeps what it promises: found out in a process of its own, which alone may import the solver.

What was proven before is known at once, so a service starts as fast as without. A promise of which nobody can tell, as
the solver does not know in time, or not at all on this machine, is a warning in the log and no reason not to serve.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Protocol

from service.beside import beside
from service.children import run_module
from service.core.strategy import Strategy
from service.proving.kept import Kept, folder_of
from service.proving.prove import unproven

log = logging.getLogger(__name__)

PROVEN_WITHIN_S = 120.0


class PromiseBroken(Exception):
    """A strategy breaks what it promises: one line a promise, with file and line, and a customer of whom it is so."""


class CheckPromises(Protocol):
    """Raises `PromiseBroken` in words where a strategy that was read from a folder breaks a promise."""

    async def __call__(self, folder: Path, strategy: Strategy) -> None:
        """See that a strategy keeps what it promises."""
        ...


async def check_promises(folder: Path, strategy: Strategy) -> None:
    """See that a strategy which was read from a folder keeps what it promises; raise `PromiseBroken` where it does not.

    One that declares no invariants has nothing that could be broken, so nothing is proven of it here.
    """
    if not strategy.invariants:
        return
    kept = Kept(folder_of(os.environ))
    if not await beside(lambda: unproven(strategy, kept)):
        return
    ended = await run_module("service.proving", [str(folder)], timeout_s=PROVEN_WITHIN_S)
    try:
        found = json.loads(ended.output)
        broken, unknown = list(map(str, found["broken"])), list(map(str, found["unknown"]))
    except (ValueError, TypeError, KeyError):
        log.warning("the promises of %s could not be proven: %s", strategy.version, ended.last_words)
        return
    if broken:
        raise PromiseBroken("\n".join(broken))
    for line in unknown:
        log.warning("it could not be told whether %s keeps a promise: %s", strategy.version, line)
