"""Serving and training see the same: through the store, the log of the service, its export, and the history of events.

Random histories are told to a real service over gRPC, in disorder and with repeats, and decisions are asked between
them. What the service then logged is exported as a table; training computes the same rows from that table and, again,
from the events alone. `TACT_SAME_FEATURES` says how many customers there are (default 12).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.progress import Progress

from models.artifacts import ArtifactRefused, load_folded
from models.features import FeatureSpace
from service.core.engine import Engine
from service.core.loader import load_strategy
from service.core.strategy import Strategy
from service.decide import Decider
from service.rpc.client import Ask, Event, TactClient
from service.rpc.edge import Edge, Limits
from service.store.store import Store
from service.store.suppression import Suppression
from tests.logs.world import exported
from tests.models.forgery import artifact, restamp
from tests.rpc.world import Unasked, serving
from tests.store.patience import patient
from tests.training.world import write_lines
from training.errors import InputRefused
from training.log.build import Order, build
from training.strategy import read_strategy

CUSTOMERS = int(os.environ.get("TACT_SAME_FEATURES", "12"))
START = 1_790_000_000_000
NOW = START + 100 * 86_400_000
HOUR = 3_600_000

STRATEGY = """\
strategy: {name: same, says: Features., currency: EUR, safe_greeting: hello}
consent:
  - {id: none, says: Nothing., purposes: []}
  - {id: full, says: All., purposes: [service, personalization, profiling]}
channels: [{id: web, placements: [hero]}]
time_zone: {field: past.zone, default: Europe/Berlin}
events:
  - id: bought
    says: Bought.
    attributes:
      amount: double
      pieces: {type: int, optional: true}
      shop: {type: string, values: [north, south, "the rest"], optional: true}
      gift: {type: bool, optional: true}
      paid_at: {type: timestamp, optional: true}
  - {id: opened, says: A case., attributes: {case: string}}
  - {id: closed, says: Its end., attributes: {case: string}}
  - {id: moved, says: They moved., attributes: {zone: string}}
fields:
  - {id: past.spend, says: S., type: double, purpose: service, fold: {kind: sum, event: bought, attribute: amount}}
  - {id: past.count, says: C., type: int, purpose: service, fold: {kind: count, event: bought, where: {shop: north}}}
  - {id: past.largest, says: M., type: double, purpose: profiling,
     fold: {kind: max, event: bought, attribute: amount}}
  - {id: past.first_pieces, says: F., type: int, purpose: service,
     fold: {kind: first, event: bought, attribute: pieces}}
  - {id: past.shop, says: O., type: string, purpose: personalization, max_age: 3d,
     fold: {kind: last, event: bought, attribute: shop}}
  - {id: past.gift, says: G., type: bool, purpose: service, fold: {kind: last, event: bought, attribute: gift}}
  - {id: past.paid_at, says: P., type: timestamp, purpose: service,
     fold: {kind: max, event: bought, attribute: paid_at}}
  - {id: past.week, says: W., type: double, purpose: service,
     fold: {kind: window_sum, event: bought, attribute: amount, window: 7d, keep: 4}}
  - {id: past.decay, says: D., type: double, purpose: service,
     fold: {kind: decay, event: bought, attribute: amount, half_life: 2d}}
  - {id: past.since, says: T., type: double, purpose: service, fold: {kind: since, event: bought}}
  - {id: past.rate, says: R., type: double, purpose: service,
     fold: {kind: rate, event: bought, window: 2d, per: 1h}}
  - {id: past.open, says: N., type: int, purpose: service,
     fold: {kind: open, event: opened, attribute: case, closed_by: closed, closed_key: case}}
  - {id: past.cases, says: K., type: int, purpose: service, fold: {kind: distinct, event: opened, attribute: case}}
  - {id: past.zone, says: Z., type: string, purpose: service, fold: {kind: last, event: moved, attribute: zone}}
  - {id: present.mood, says: M., type: double, purpose: service, source: request, low: -1, high: 1}
  - {id: present.page, says: Page., type: string, values: [cart, home], purpose: service, source: request}
  - {id: present.born, says: Born., type: timestamp, purpose: profiling, source: request}
actions:
  - id: hello
    kind: greeting
    says: Hello.
    propensity: 0.5
    value: 1
    treatments: [{channel: web, placements: [hero], text: Hello.}]
model:
  features: [past.spend, past.count, past.largest, past.first_pieces, past.shop, past.gift, past.paid_at, past.week,
    past.decay, past.since, past.rate, past.open, past.cases, present.mood, present.page, present.born, present.hour,
    present.weekday]
"""

Row = dict[str, Any]


def history(customer: str, dice: Random) -> list[Row]:
    """Draw what happens to a customer, with equal moments and values, in no order."""
    zones = ("Asia/Kathmandu", "America/St_Johns", "Nowhere/Land")
    return [
        {"event_id": f"{customer}-{n}", "customer_id": customer, "type": kind,
         "occurred_at": START + dice.choice([dice.randrange(20), dice.randrange(400)]) * HOUR, "attributes": told}
        for n in range(dice.randrange(1, 25))
        for kind, told in [dice.choice([
            ("bought", _bought(dice)), ("bought", _bought(dice)), ("opened", {"case": dice.choice("abc")}),
            ("closed", {"case": dice.choice("abc")}), ("moved", {"zone": dice.choice(zones)}),
        ])]
    ]  # fmt: skip


def _bought(dice: Random) -> Row:
    optional = {
        "pieces": dice.choice([0, 3, -7]),
        "shop": dice.choice(["north", "south", "the rest"]),
        "gift": dice.random() < 0.5,
        "paid_at": dice.choice([-86_400_000, START, START + 1]),
    }
    amount = dice.choice([0.1, 2.5, -3.0, 99.99, 1e9])
    return {"amount": amount, **{name: value for name, value in optional.items() if dice.random() < 0.7}}


def asked(dice: Random) -> Row:
    """Draw what comes with a request."""
    told = {
        "present.mood": dice.choice([-1.0, 0.1, 1.0]),
        "present.page": dice.choice(["cart", "home"]),
        "present.born": dice.choice([0, -1_000_000_000_000, START]),
    }
    return {name: value for name, value in told.items() if dice.random() < 0.7}


@asynccontextmanager
async def service(url: str, strategy: Strategy) -> AsyncIterator[TactClient]:
    """Serve the strategy over a real store."""
    groups = {level.id: "".join(purpose.group for purpose in level.purposes) for level in strategy.levels}
    async with patient(url) as connections:
        lowest, key = strategy.levels[0].id, Suppression(b"a key of the tests, long enough to be one")
        store = Store.over(connections, groups, lowest, schema=strategy.schema, suppression=key)
        await store.calls.load_functions()
        await store.words.keep(strategy)
        decider = Decider(Engine(strategy, None), store.customers, os.urandom, lambda: NOW)
        edge = Edge.of(
            strategy, decider=decider, stores=store, limits=Limits(allow_as_of=True), clock=lambda: NOW,
            validator=Unasked(),
        )  # fmt: skip
        async with serving(edge) as target, TactClient(target, schema=strategy.schema) as client:
            yield client


async def live(
    client: TactClient, customer: str, events: Sequence[Row], dice: Random, level: str = "full"
) -> list[Row]:
    """Tell the service a history as it goes, and ask between; return what was asked, as a log of decisions has it."""
    await client.set_consent(customer, level, (), given_at=START - HOUR, source="test")
    moments = sorted({START + dice.choice([0, dice.randrange(500)]) * HOUR + dice.randrange(2) for _ in range(6)})
    waiting, rows = list(events), []
    for moment in moments:
        due = [event for event in waiting if event["occurred_at"] < moment]
        waiting = [event for event in waiting if event["occurred_at"] >= moment]
        arriving = [*due, *dice.choices(due, k=min(len(due), 3))]
        dice.shuffle(arriving)
        if arriving:
            told = [Event(e["event_id"], customer, e["type"], e["occurred_at"], e["attributes"]) for e in arriving]
            await client.record_events(told)
        context = asked(dice)
        answer = await client.decide(Ask(customer, "web", ("hero",), context, as_of=moment))
        rows.append(
            {"decision_id": answer["decision_id"], "customer_id": customer, "at": moment, "channel": "web",
             "action": "hello", "probability": 1.0, "context": context, "outcomes": {}}
        )  # fmt: skip
    return rows


async def test_serving_and_training_see_the_same(clean_store_url: str, tmp_path: Path) -> None:
    """On random histories, what was served, the exported table of it and the history of events give the same bits."""
    (tmp_path / "same").mkdir()
    (tmp_path / "same" / "all.yaml").write_text(STRATEGY)
    strategy, declared, dice = load_strategy(tmp_path / "same"), read_strategy(tmp_path / "same"), Random(7)
    happened = {f"c{n}": history(f"c{n}", dice) for n in range(CUSTOMERS)}
    async with service(clean_store_url, strategy) as client:
        rows = [row for name, events in happened.items() for row in await live(client, name, events, dice)]
        await exported(client, tmp_path / "log")
    events = [event for events in happened.values() for event in events]
    dice.shuffle(events)
    write_lines(tmp_path / "events.jsonl", events)
    write_lines(tmp_path / "decisions.jsonl", rows)
    told = Order(declared, events=tmp_path / "events.jsonl", decisions=tmp_path / "decisions.jsonl")
    learned = build(told, Progress(disable=True))
    served = build(Order(declared, tmp_path / "log"), Progress(disable=True))
    assert len(served.decisions) == len(rows) > 4 * CUSTOMERS
    assert served.counts.unknown == learned.counts.unknown == ()
    assert served.decisions.at_ms.tolist() == learned.decisions.at_ms.tolist()
    for place, column in enumerate(learned.decisions.columns):
        np.testing.assert_array_equal(served.decisions.x[:, place], learned.decisions.x[:, place], column)
    touched = [
        column for place, column in enumerate(learned.decisions.columns) if np.ptp(learned.decisions.x[:, place])
    ]
    assert len(touched) > 0.9 * len(learned.decisions.columns)  # the histories touch what they are to compare


async def test_the_log_knows_no_more_than_was_served(clean_store_url: str, tmp_path: Path) -> None:
    """Without consent all was unknown when it was decided, and so it is in the table, also where events are at hand."""
    (tmp_path / "same").mkdir()
    (tmp_path / "same" / "all.yaml").write_text(STRATEGY)
    strategy, declared, dice = load_strategy(tmp_path / "same"), read_strategy(tmp_path / "same"), Random(8)
    events = history("shy", dice)
    async with service(clean_store_url, strategy) as client:
        rows = await live(client, "shy", events, dice, "none")
        await exported(client, tmp_path / "log")
    write_lines(tmp_path / "events.jsonl", events)
    served = build(Order(declared, tmp_path / "log", tmp_path / "events.jsonl"), Progress(disable=True)).decisions
    unknown = [column.endswith("?") for column in served.columns]
    np.testing.assert_array_equal(served.x, np.tile(np.array(unknown, dtype=np.float64), (len(rows), 1)))


ONE = """\
events: [{id: bought, says: B., attributes: {amount: double, pieces: double, gift: {type: bool, optional: true}}}]
fields:
  - {id: past.spend, says: S., type: double, purpose: service, fold: {kind: sum, event: bought, attribute: amount}}
actions: [{id: hello}]
model: {features: [past.spend]}
"""
MEANINGS = {
    "another fold": ("kind: sum", "kind: max"),
    "another attribute": ("attribute: amount", "attribute: pieces"),
    "fewer events": ("attribute: amount", "attribute: amount, where: {gift: true}"),
    "a window": ("kind: sum", "kind: window_sum, window: 7d"),
    "an age": ("purpose: service", "purpose: service, max_age: 7d"),
}
SAME = {"other words": ("says: S.", "says: Spent."), "a purpose": ("purpose: service", "purpose: profiling")}


def space_of(folder: Path, change: tuple[str, str]) -> FeatureSpace:
    """Return the features of the strategy with one change."""
    folder.mkdir()
    (folder / "all.yaml").write_text(ONE.replace(*change))
    return read_strategy(folder).space


@pytest.mark.parametrize("change", [*MEANINGS, *SAME])
def test_the_schema_hash_stops_a_mismatch(tmp_path: Path, change: str) -> None:
    """A model serves the declarations that it was trained on, and none that would show it something else."""
    trained = space_of(tmp_path / "then", ("", ""))
    restamp(artifact(tmp_path / "model"), feature_hash=trained.hash)
    now = space_of(tmp_path / "now", (MEANINGS | SAME)[change])
    if change in SAME:
        load_folded(tmp_path / "model", now)
    else:
        with pytest.raises(ArtifactRefused, match="made for other features"):
            load_folded(tmp_path / "model", now)


def test_a_table_of_other_types_is_no_training_set(tmp_path: Path) -> None:
    """A column of another type than the strategy declares now is refused with both types."""
    (tmp_path / "all.yaml").write_text(ONE)
    table = pa.table({"decision_id": ["d"], "at": pa.array([START], pa.timestamp("ms", tz="UTC")), "customer_id": ["c"],
                      "action": ["hello"], "probability": [1.0], "feature.past.spend": ["much"]})  # fmt: skip
    pq.write_table(table, tmp_path / "log.parquet")
    with pytest.raises(InputRefused, match="is of type string, and the strategy says double"):
        build(Order(read_strategy(tmp_path), tmp_path / "log.parquet"), Progress(disable=True))
