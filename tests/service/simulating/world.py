"""A real service that caps, refusals, promises, permission and a switch held back, its log, and logs made by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from models.decision_table import FEATURE, feature_column
from service.app import start
from service.config import Settings, StorePlace
from service.core.loader import load_strategy
from service.core.strategy import Strategy
from service.evaluating.rows import TableLog, files_of
from service.rpc.client import Ask, Outcome, TactClient
from service.simulating.deciding import Deciding, Redecided
from service.simulating.logged import SEEN, Logged, LoggedRow, decisions_of, row_of
from tests.logs.world import exported
from tests.strategies import edited, write_strategy

DAY_MS = 86_400_000
BEGINS_MS = 1_780_304_400_000
"""When logs made by hand begin: on 1 June 2026."""
PEOPLE, ROUNDS = 10, 10
OFF_FROM = 7
"""From which round on an offer is switched off."""

POLICY = {
    "cool_offs": "cool_offs:\n  - {id: a-no-counts, says: A no rests., about: {kinds: [offer]}, after: [refused], "
    "for: [30d], per: [action], forget: 730d}\n",
    "consistency": "consistency:\n  - {id: one-story, says: One., keep: {kinds: [offer]}, for: 30d, "
    "until_changes: [past.spend]}\n",
    "guardrails": None,
    "weights": None,
}
"""What the small strategy remembers, beside its caps."""
ASKED = (("web", ("greeting", "hero")), ("web", ("hero",)), ("desk", ("greeting", "offer")), ("email", ("body",)))


def small(folder: Path, **changes: str | None) -> Path:
    """Write the small strategy with a memory."""
    return write_strategy(folder, **{**POLICY, **changes})


def at_most(offers: int) -> str:
    """Return caps that allow so many offers a week."""
    return edited("caps", "at_most: 2", f"at_most: {offers}")


async def serve_and_export(store: str, strategy: Path, out: Path) -> None:
    """Let a real service decide for some people over the last days, who answer now and then, and export its log."""
    settings = Settings(store=StorePlace.parse(store), strategy=strategy, port=0, store_wait_s=5.0, allow_as_of=True)
    running, dice = await start(settings), Random(5)
    begins = datetime.now(UTC) - timedelta(days=9)  # the store forgets promises by its own clock
    try:
        async with TactClient(f"127.0.0.1:{running.port}", schema=running.strategy.schema) as client:
            for number in range(PEOPLE):
                level = "service" if number == 0 else "full"
                await client.set_consent(f"person-{number}", level, ("email",) if number % 2 else ())
            for turn in range(ROUNDS):
                if turn == OFF_FROM:
                    await client.control.switch_off("fibre-upgrade", because="a test", by="a test")
                await _round(client, begins + timedelta(hours=20 * turn), dice)
            await exported(client, out)
    finally:
        await running.stop()


async def _round(client: TactClient, begins: datetime, dice: Random) -> None:
    for number in range(PEOPLE):
        channel, placements = dice.choice(ASKED)
        at = begins + timedelta(minutes=number)
        context = {"present.sentiment": round(dice.uniform(-1.0, 1.0), 2)}
        answer = await client.decide(Ask(f"person-{number}", channel, placements, context, as_of=at))
        offers = [one["offer"]["action_id"] for one in answer["answers"] if "offer" in one]
        if offers and dice.random() < 0.3:
            refused = Outcome(answer["decision_id"], offers[0], "refused", occurred_at=at + timedelta(minutes=5))
            await client.record_outcomes([refused])


def logged_in(log: Path, strategy: Strategy) -> list[tuple[Logged, ...]]:
    """Return the decisions of a log, by person and in the order of time."""
    kinds = {feature_column(field.id): field.type for field in strategy.schema.fields}
    read = TableLog(files_of(log), (SEEN,)).read(kinds)
    fields = {column: column.removeprefix(FEATURE) for column in kinds}
    cells = [row for _, batches in read for batch in batches for row in batch]
    return list(decisions_of([row_of("log", one, fields) for one in cells]))


def again(people: Iterable[Sequence[Logged]], strategy: Strategy) -> list[tuple[LoggedRow, str]]:
    """Return each row of a log with what a strategy would have said there."""
    return [
        (row, one.action)
        for logged, found in again_at(people, strategy)
        for row, one in zip(logged.rows, found.spoken, strict=True)
    ]


def again_at(people: Iterable[Sequence[Logged]], strategy: Strategy) -> list[tuple[Logged, Redecided]]:
    """Return each decision of a log as a strategy would have made it."""
    told = {given.promised.key.partition("|")[0] for one in people for logged in one for given in _promises(logged)}
    deciding, found = Deciding(strategy, None, frozenset(told)), []
    for decisions in people:
        carried = deciding.beginning()
        found += [(logged, deciding.again(logged, carried)) for logged in decisions]
    return found


def _promises(logged: Logged) -> Sequence[Any]:
    return logged.head.beside.promises if logged.head.beside else ()


def row(
    number: int, at_ms: int, action: str = "", *, who: str = "ann", placement: str = "hero", **more: object
) -> LoggedRow:
    """Return a row on the web of a log made by hand."""
    cells = {
        "decision_id": f"decision-{number:04}", "placement": placement, "channel": "web", "customer_id": who,
        "level": "full", "at": at_ms, "action": action or "nothing",
    }  # fmt: skip
    return row_of("log:1", {**cells, **more}, {})


def loaded(folder: Path) -> Strategy:
    """Load a strategy."""
    return load_strategy(folder)
