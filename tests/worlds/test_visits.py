"""The visits of the demo world: what the strategy takes in, troubles that end, and takers true to their tastes."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from models.context import Source
from models.schema import load_context
from training.worlds import demo, telling
from training.worlds.people import Person, person
from training.worlds.tastes import STRATEGY, Traits, read_sayables, true_worth
from training.worlds.visits import MOST, visits

Visit = dict[str, Any]
NAMED = ("ticket", "order", "cart")
PEOPLE = tuple(person(f"customer-{number:06}", Random(number)) for number in range(400))


@pytest.fixture(scope="module")
def rows() -> list[Visit]:
    """Return the visits of four hundred people."""
    return [dict(row) for row in visits(PEOPLE, read_sayables(STRATEGY), Random(5))]


def test_there_are_no_more_visits_than_somebody_can_watch(rows: list[Visit]) -> None:
    """Few customers come four times each; many share what is enough to look at."""
    assert len(rows) == 4 * len(PEOPLE)
    crowd = PEOPLE * 20
    assert sum(1 for _ in visits(crowd, read_sayables(STRATEGY)[:1], Random(1))) == MOST


def test_every_visit_can_be_asked_about(rows: list[Visit]) -> None:
    """Channels, placements, what is seen and what happened are as the strategy declares them."""
    schema = load_context(STRATEGY)
    head = msgspec.yaml.decode((STRATEGY / "strategy.yaml").read_bytes())
    places = {channel["id"]: set(channel["placements"]) for channel in head["channels"]}
    seen = {field.id for field in schema.fields if field.source is Source.REQUEST}
    for row in rows:
        assert set(row["placements"]) <= places[row["channel"]]
        assert set(row["context"]) <= seen
        for event in row["events"]:
            declared = schema.events[event["type"]].attributes
            assert set(event["attributes"]) <= {one.name for one in declared}
            assert {one.name for one in declared if not one.optional} <= set(event["attributes"])
    assert {row["channel"] for row in rows} == set(places)


def test_a_trouble_ends_after_it_began_and_for_whoever_had_it(rows: list[Visit]) -> None:
    """A ticket is closed, and a parcel arrives, once and after it was opened or delayed, for the same customer."""
    begun: dict[str | None, str] = {}
    ended = Counter[str]()
    for row in rows:
        for event in row["events"]:
            name = next((event["attributes"][key] for key in NAMED if key in event["attributes"]), None)
            if event["type"] in ("ticket.opened", "delivery.delayed", "cart.updated"):
                begun[name] = event["customer_id"]
            elif event["type"] in ("ticket.closed", "delivery.arrived", "cart.bought"):
                assert begun.pop(name) == event["customer_id"]
                ended[event["type"]] += 1
    assert len(ended) == 3
    assert min(ended.values()) > 5


def test_takers_follow_their_true_tastes(rows: list[Visit]) -> None:
    """Over all visits each action is taken as often as the true propensities of the visitors add up to."""
    known = {one.id: one for one in PEOPLE}
    for sayable in read_sayables(STRATEGY):
        chances = [true_worth(sayable, _traits(known, row)).p for row in rows]
        taken = sum(sayable.id in row["takes"] for row in rows)
        spread = math.sqrt(sum(p * (1 - p) for p in chances))
        assert abs(taken - sum(chances)) < 4.5 * spread, sayable.id
        assert all(row["takes"].get(sayable.id, sayable.value) == sayable.value for row in rows)


def _traits(known: dict[str, Person], row: Visit) -> Traits:
    one = known.get(str(row["customer_id"]))
    return one.traits if one else Traits()


def test_the_telling_customers_are_left_to_whoever_looks(tmp_path: Path) -> None:
    """Nobody whose story the demo tells comes by itself, so that what it shows of them stays so."""
    demo.main(["--out", str(tmp_path), "--customers", "20"])
    came = {msgspec.json.decode(line)["customer_id"] for line in (tmp_path / "visits.jsonl").read_bytes().splitlines()}
    assert len(came) > 10
    assert came.isdisjoint({one.id for one in telling.PEOPLE} | {telling.UNKNOWN})
