"""Run a simulation on all cores: spread the log, let workers decide its parts again, and add up what they counted."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from service.children import Waiting
from service.simulating.policies import joined
from service.simulating.tally import Tally
from service.simulating.worker import Plan

PART_S = 600.0
"""How long a part may take at the most: parts are of a few thousand rows."""

Advance = Callable[[int, int], None]


class SimulationFailed(Exception):
    """A simulation could not be made; the message says why."""


def simulated(plan: Plan, parts: Sequence[Path], jobs: int, folder: Path, advance: Advance) -> Tally:
    """Decide all parts again with so many processes; the policies go to `policies.parquet` in the folder.

    Raises `SimulationFailed`.
    """
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")  # of the workers: the parts are what runs side by side
    written = folder / "plan.json"
    written.write_bytes(msgspec.json.encode(plan))
    asyncio.run(_all(written, [part for part in parts if part.stat().st_size], jobs, advance))
    tally, policies = Tally(), []
    for part in parts:
        if part.with_suffix(".tally").exists():
            tally.merge(msgspec.msgpack.decode(part.with_suffix(".tally").read_bytes(), type=Tally))
            policies.append(part.with_suffix(".parquet"))
    joined(policies, folder / "policies.parquet")
    return tally


async def _all(plan: Path, parts: Sequence[Path], jobs: int, advance: Advance) -> None:
    left, done = list(reversed(parts)), 0

    async def work() -> None:
        nonlocal done
        worker = Waiting("service.simulating.worker", [str(plan)])
        try:
            while left:
                ended = await worker.ask(str(left.pop()), PART_S)
                if ended.code:
                    raise SimulationFailed(ended.last_words)
                done += 1
                advance(done, int(json.loads(ended.output)["rows"]))
        finally:
            await worker.close()

    try:
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(jobs, len(parts))):
                workers.create_task(work())
    except* SimulationFailed as failed:
        raise SimulationFailed(str(failed.exceptions[0])) from None
