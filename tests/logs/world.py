"""A real service over a real store, with decisions and outcomes to export."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from models.decision_table import DECISIONS, OUTCOMES
from service.core.engine import Engine
from service.decide import Decider
from service.logs.export import Exported, export
from service.logs.forgetting import forget
from service.logs.parts import Format, opened
from service.rpc.client import Answer, Ask, Outcome, TactClient
from service.store.store import Store
from service.store.suppression import Suppression
from tests.rpc.world import NOW_MS, edge_of, serving, store_at, strategy

DAY_MS = 86_400_000
KEYED = Suppression(b"a key of the tests, long enough to be one")
WEB = ("greeting", "hero")
SOURCE = "a service"


@dataclass(frozen=True, slots=True)
class World:
    """A client of a real service, its address, and the store behind it."""

    client: TactClient
    target: str
    store: Store

    async def decided(
        self, customer: str, count: int = 1, level: str = "full", given_ms: int = NOW_MS - DAY_MS
    ) -> list[Answer]:
        """Let a customer agree and be decided for; what is said to them is clicked. Return the decisions."""
        await self.client.set_consent(customer, level, ("email",), given_at=given_ms, source="web form")
        answers = []
        for _ in range(count):
            answer = await self.client.decide(Ask(customer, "web", WEB, {"present.sentiment": 0.5}))
            said = [one for answered in answer["answers"] for one in (answered.get("greeting"), answered.get("offer"))]
            told = [Outcome(answer["decision_id"], one["action_id"], "clicked", amount=1.5) for one in said if one]
            if told:
                await self.client.record_outcomes(told)
            answers.append(answer)
        return answers


@asynccontextmanager
async def world(
    url: str, suppression: Suppression = KEYED, now_ms: Callable[[], int] = lambda: NOW_MS
) -> AsyncIterator[World]:
    """Serve decisions over a real store, by this clock."""
    async with store_at(url, suppression) as store:
        await store.words.keep(strategy())
        decider = Decider(Engine(strategy(), None), store.customers, os.urandom, now_ms)
        async with serving(edge_of(decider, store)) as target, TactClient(target) as client:
            yield World(client, target, store)


async def exported(client: TactClient, out: Path, form: Format | None = None, step_rows: int = 20_000) -> Exported:
    """Export into a folder, and take out who was erased."""
    with opened(out, form, SOURCE) as parts:
        done = await export(client, parts, lambda bucket, rows: None, step_rows)
        done.forgotten = await forget(client, parts)
    return done


def rows_of(out: Path, prefix: str = DECISIONS) -> list[dict[str, Any]]:
    """Return the rows of a folder's Parquet parts of one kind."""
    return [row for part in sorted(out.glob(f"{prefix}*.parquet")) for row in pq.read_table(part).to_pylist()]


def tables_of(out: Path, prefix: str = DECISIONS) -> Sequence[pa.Table]:
    """Return the tables of a folder's Parquet parts of one kind."""
    return [pq.read_table(part) for part in sorted(out.glob(f"{prefix}*.parquet"))]


def outcomes_of(out: Path) -> list[dict[str, Any]]:
    """Return the outcomes of a folder."""
    return rows_of(out, OUTCOMES)
