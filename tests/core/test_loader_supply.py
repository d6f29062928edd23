"""What consumes and what is wanted is read from the documents, and every mistake is named with what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.context import Source, Supplied
from models.documents import DocumentsRefused
from service.core.loader import load_strategy
from service.core.strategy import Consumes, DemandKind, DemandRule
from tests.service.shop import SECTIONS, edited, write_shop


def refusal(folder: Path, **changes: str) -> str:
    """Return the one problem that the shop has with these changes."""
    with pytest.raises(DocumentsRefused) as refused:
        load_strategy(write_shop(folder, **changes))
    (problem,) = refused.value.problems
    return str(problem)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Items, places, units, holds and rules of demand are those of the documents."""
    shop = load_strategy(write_shop(tmp_path))
    fields = {field.id: field for field in shop.schema.fields}
    assert fields["present.left"].supplied == Supplied("phone", "", "present.place")
    assert fields["present.gifts"].supplied == Supplied("gift", "hq", "")
    assert fields["present.gifts"].max_age_ms == 3_600_000
    assert {fields[name].source for name in ("present.left", "present.gifts")} == {Source.SUPPLY}
    consumes = {action.id: action.consumes for action in shop.actions}
    assert consumes["hello"] is None
    assert consumes["phone"] == Consumes("present.left", 1, 600_000, 0)
    assert consumes["gift"] == Consumes("present.gifts", 2, 600_000, 0)
    assert shop.demand == (
        DemandRule("views", "Views.", "viewed", DemandKind.VIEW, "", "item", "", "place", ""),
        DemandRule("carts", "Carts.", "carted", DemandKind.CART, "phone", "", "", "place", "pieces"),
    )


def test_one_unit_is_held_for_a_quarter_of_an_hour_unless_said_otherwise(tmp_path: Path) -> None:
    """What an action need not say: one unit, fifteen minutes, no throttle."""
    actions = edited("actions", "{supply: present.left, units: 1, hold: 10m}", "{supply: present.left}")
    shop = load_strategy(write_shop(tmp_path, actions=actions))
    assert shop.actions[1].consumes == Consumes("present.left", 1, 900_000, 0)


GIFTS = "type: int, purpose: service, max_age: 1h, source: supply, item: gift, place: hq}"
FIELDS = [
    ("no item", (", item: gift", ""), "the field has no `item`; write a name"),
    ("a long item", ("item: gift", f"item: {'x' * 65}"), "`item` has 65 characters"),
    ("no place", (", place: hq", ""), "write either `place`, a name, or `place_from`"),
    ("two places", ("place: hq", "place: hq, place_from: present.place"), "write either `place`"),
    ("a place that nothing holds", ("place: hq", "place_from: present.plaza"), "`present.plaza`, which is no field"),
    ("a place that is a number", ("place: hq", "place_from: past.views"), "`past.views`, which is no text"),
    ("a place that is itself", ("place: hq", "place_from: present.gifts"), "`present.gifts`, which is no text"),
    ("another type", ("type: int", "type: double"), "write `type: int`"),
    ("another purpose", ("purpose: service", "purpose: profiling"), "write `purpose: service`"),
    ("a bound", ("source: supply", "source: supply, low: 0"), "`low` checks values that come with a request"),
    ("an item without supply", ("source: supply, item", "source: request, item"), "has no key `item`"),
    ("an unknown source", ("source: supply", "source: erp"), "`source` is `erp`"),
]


@pytest.mark.parametrize(("change", "said"), [row[1:] for row in FIELDS], ids=[row[0] for row in FIELDS])
def test_bad_fields_of_the_supply(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    """A field of the supply that cannot be is refused, with file and line and what would be right."""
    with pytest.raises(DocumentsRefused) as refused:
        load_strategy(write_shop(tmp_path, fields=edited("fields", GIFTS, GIFTS.replace(*change))))
    problems = [str(problem) for problem in refused.value.problems]
    assert any(said in problem and problem.startswith("fields.yaml:") for problem in problems), problems


def test_only_the_present_is_supplied(tmp_path: Path) -> None:
    """What there is now is neither of the past nor predicted."""
    fields = SECTIONS["fields"].replace("present.gifts", "past.gifts")
    actions = SECTIONS["actions"].replace("present.gifts", "past.gifts")
    assert "write `present.gifts`" in refusal(tmp_path, fields=fields, actions=actions)


CONSUMES = "{supply: present.left, units: 1, hold: 10m}"
ACTIONS = [
    ("a field of another source", "{supply: present.place}", "no known field of source supply"),
    ("no field", "{units: 1}", "has no `supply`"),
    ("a field that is not there", "{supply: present.lefd}", "did you mean `present.left`?"),
    ("no unit", "{supply: present.left, units: 0}", "`units` is `0`"),
    ("half a unit", "{supply: present.left, units: 0.5}", "`units` is `0.5`"),
    ("a hold without end", "{supply: present.left, hold: 8d}", "write 7d at the most"),
    ("a hold that is no time", "{supply: present.left, hold: long}", "`hold` is `long`"),
    ("a throttle below nothing", "{supply: present.left, throttle_below: -1}", "`throttle_below` is `-1`"),
    ("another word", "{supply: present.left, unit: 1}", "did you mean `units`?"),
    ("a name alone", "present.left", "the `consumes` is `present.left`"),
]


@pytest.mark.parametrize(("consumes", "said"), [row[1:] for row in ACTIONS], ids=[row[0] for row in ACTIONS])
def test_bad_consumption(tmp_path: Path, consumes: str, said: str) -> None:
    """What cannot be consumed is refused, with file and line and what would be right."""
    problem = refusal(tmp_path, actions=edited("actions", CONSUMES, consumes))
    assert said in problem
    assert problem.startswith("actions.yaml:")


def test_the_safe_greeting_needs_nothing(tmp_path: Path) -> None:
    """What is said when nothing is known must not be something that may be out of stock."""
    actions = edited("actions", "    says: Hello.\n", f"    says: Hello.\n    consumes: {CONSUMES}\n")
    assert "`hello` consumes something" in refusal(tmp_path, actions=actions)


VIEWS = "{id: views, says: Views., event: viewed, kind: view, item_from: item, place_from: place}"
DEMANDS = [
    ("no event", ("event: viewed, ", ""), "the demand rule has no `event`"),
    ("an unknown event", ("event: viewed", "event: view"), "did you mean `viewed`?"),
    ("an unknown kind", ("kind: view", "kind: decision"), "`kind` is `decision`"),
    ("no item", (", item_from: item", ""), "write either `item`, a name, or `item_from`"),
    ("two items", ("item_from: item", "item_from: item, item: phone"), "write either `item`"),
    ("two places", ("place_from: place", "place_from: place, place: hq"), "write either `place`"),
    ("an unknown attribute", ("item_from: item", "item_from: thing"), "no known attribute of the event"),
    (
        "units of a text",
        ("place_from: place", "place_from: place, units_from: place"),
        "which is of type string; name one of int",
    ),
    ("another word", ("place_from: place", "place_from: place, units_form: x"), "did you mean `units_from`?"),
    ("a taken id", ("id: views", "id: carts"), "the id `carts` is taken"),
    ("any text and no place", (", place_from: place", ""), "`item` can hold any text"),
]


@pytest.mark.parametrize(("change", "said"), [row[1:] for row in DEMANDS], ids=[row[0] for row in DEMANDS])
def test_bad_demand(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    """A rule of demand that cannot be is refused, with file and line and what would be right."""
    demand = edited("demand", VIEWS, VIEWS.replace(*change))
    problem = refusal(tmp_path, demand=demand)
    assert said in problem
    assert problem.startswith("demand.yaml:")


def test_a_place_is_not_needed(tmp_path: Path) -> None:
    """An event can want something somewhere that nobody knows."""
    views = VIEWS.replace("item_from: item, place_from: place", "item: phone")
    shop = load_strategy(write_shop(tmp_path, demand=edited("demand", VIEWS, views)))
    assert (shop.demand[0].place, shop.demand[0].place_from) == ("", "")
