"""How single fields are shown: why there is no value where there is none, and how old what is kept is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.folds import State
from models.states import packed
from service.core.decision import Known
from service.core.loader import load_strategy
from service.core.strategy import Strategy
from service.rpc.convert_context import context_answer
from service.rpc.edge import Limits
from service.rpc.plain import plain
from tact.v1 import context_pb2 as pb
from tests.rpc.messages import consent, event
from tests.rpc.test_contexts import DAY_MS, at, batch, contexts_at, known_fields
from tests.rpc.world import MORE_EVENTS, NOW_MS, strategy
from tests.strategies import SECTIONS, write_strategy

WINDOWS = """\
  - {id: past.often, says: A., type: int, purpose: service,
     fold: {kind: window_count, event: noted, window: 7d, keep: 3}}
  - {id: past.shared, says: A., type: double, purpose: service,
     fold: {kind: window_sum, event: noted, attribute: share, window: 7d, keep: 3}}
  - {id: past.pace, says: A., type: double, purpose: service, max_age: 30d,
     fold: {kind: rate, event: noted, window: 7d, per: 1d, keep: 3}}
"""


def windows(folder: Path) -> Strategy:
    """Return the small strategy with a window of every kind that keeps three."""
    fields = SECTIONS["fields"] + WINDOWS
    return load_strategy(write_strategy(folder, fields=fields, events=SECTIONS["events"] + MORE_EVENTS))


def shown_of(rules: Strategy, kept: dict[str, State], now_ms: int = NOW_MS) -> dict[str, dict[str, Any]]:
    """Return how the fields of these ids are shown when this is kept of them."""
    keys = {field.id: field.key for field in rules.schema.fields}
    group = packed({keys[name]: state for name, state in kept.items()}, {keys[name]: NOW_MS for name in kept})
    answer = context_answer(Known(now_ms, "service", (), {"s": group}, {}), rules, None)
    return {field["field_id"]: field for field in plain(answer)["fields"] if field["field_id"] in kept}


@pytest.mark.parametrize(
    ("held", "days_later", "states"),
    [
        (2, 0, ["known", "known", "known"]),
        (3, 0, ["too_many", "too_many", "too_many"]),
        (3, 8, ["known", "known", "known"]),
        (3, 31, ["known", "known", "stale"]),
    ],
)
def test_a_window_of_more_than_is_kept(tmp_path: Path, held: int, days_later: int, states: list[str]) -> None:
    """Where more may have happened than is kept there is no value, and it says so, with age and origin."""
    items = [[NOW_MS - 1_000 * ago, 1_000_000] for ago in range(held, 0, -1)]
    names = ["past.often", "past.shared", "past.pace"]
    state: State = [NOW_MS - 1_000, items]
    shown = shown_of(windows(tmp_path), dict.fromkeys(names, state), NOW_MS + days_later * DAY_MS)
    assert [shown[name]["state"] for name in names] == states
    for name in names:
        assert shown[name]["age_seconds"] == days_later * 86_400 + 1
        assert shown[name]["occurred_at"] == "2027-01-15T07:59:59Z"
        assert shown[name]["arrived_at"] == "2027-01-15T08:00:00Z"
        assert ("value" in shown[name]) == (shown[name]["state"] == "known")


async def test_three_hundred_contacts_are_not_none(clean_store_url: str) -> None:
    """A customer of whom more was heard than is kept is not shown as one of whom nothing was ever heard."""
    sent = [event(event_id=f"e{n}", occurred_at=at(NOW_MS - n)) for n in range(300)]
    async with contexts_at(clean_store_url, Limits(allow_as_of=True)) as contexts:
        await contexts.SetConsent(consent(level="personal"))
        await contexts.RecordEvents(batch(*sent))
        answer = await contexts.GetContext(pb.GetContextRequest(customer_id="c-1", as_of=at(NOW_MS)))
    (shown,) = (field for field in answer.fields if field.field_id == "past.purchases_7d")
    assert shown.state == pb.FIELD_KNOWLEDGE_TOO_MANY
    assert shown.age_seconds == 0.0
    assert not shown.HasField("value")


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("past.open_tickets", [NOW_MS, "t1"]),
        ("past.worst_score", [NOW_MS]),
        ("past.often", [NOW_MS, [[NOW_MS, "a"]] * 3]),
        ("past.often", [NOW_MS, {"t1": NOW_MS}]),
        ("past.pace", [NOW_MS, 7]),
        ("predicted.stay", [NOW_MS, 0.5]),
        ("predicted.stay", [NOW_MS, [[5, 1_000_000]], 1_000]),
    ],
)
def test_what_another_fold_kept_is_told(tmp_path: Path, name: str, state: State) -> None:
    """A state that another fold left under the field's key is no value, and not nothing either."""
    stay = "  - {id: predicted.stay, says: A., type: double, purpose: service, source: model}\n"
    fields = SECTIONS["fields"] + WINDOWS + stay
    rules = load_strategy(write_strategy(tmp_path, fields=fields, events=SECTIONS["events"] + MORE_EVENTS))
    shown = shown_of(rules, {name: state})[name]
    assert (shown["state"], shown["age_seconds"], shown["model_version"]) == ("unreadable", 0.0, "")
    assert "value" not in shown


def test_a_state_kept_for_another_purpose_is_not_the_fields() -> None:
    """Only what is kept for a field's own purpose is shown, whatever else stands under its key."""
    rules = strategy()
    tickets = rules.schema.fields[rules.schema.index["past.open_tickets"]]
    mine = packed({tickets.key: [NOW_MS - 2_000, {"z": [NOW_MS - 2_000, 0]}]})
    other = packed({tickets.key: [NOW_MS - 1_000, {"q": [NOW_MS - 2_000, NOW_MS - 1_000]}]})
    for groups in ({"s": mine, "p": other}, {"p": other, "s": mine}):
        answer = context_answer(Known(NOW_MS, "full", (), groups, {}), rules, None)
        assert known_fields(answer)["past.open_tickets"] == 1
        (shown,) = (field for field in answer.fields if field.field_id == "past.open_tickets")
        assert shown.age_seconds == 2.0
    answer = context_answer(Known(NOW_MS, "full", (), {"p": other}, {}), rules, None)
    assert known_fields(answer) == {}


async def test_a_moment_of_the_past_hides_nothing(clean_store_url: str) -> None:
    """As of a moment before an event the live service still tells it, with a negative age."""
    async with contexts_at(clean_store_url, Limits(allow_as_of=True)) as contexts:
        await contexts.SetConsent(consent(level="personal"))
        await contexts.RecordEvents(batch(event(occurred_at=at(NOW_MS))))
        ask = pb.GetContextRequest(customer_id="c-1", as_of=at(NOW_MS - DAY_MS))
        shown = {field.field_id: field for field in (await contexts.GetContext(ask)).fields}
    assert shown["past.spend"].state == pb.FIELD_KNOWLEDGE_KNOWN
    assert shown["past.spend"].age_seconds == -86_400.0
