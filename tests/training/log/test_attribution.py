"""Claims about what came of decisions: windows, influence, amounts, what happened anyway, and what it was worth."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from rich.progress import Progress

from tests.training.log.world import DAY_MS, HOUR_MS, OUTCOMES, START, built, came, event, row, shop, write_parquet
from training.errors import TrainingRefused
from training.log.build import Built, Order, build
from training.log.chunk import code_of
from training.strategy import read_strategy

NAN = math.nan
LATER = event(99, "bought", "eve", at=24 * 40, amount=1)
"""An event of somebody else, after which all windows are over."""

EVENTS: dict[str, tuple[list[dict[str, Any]], float, float, tuple[float, float], float]] = {
    # what happened: outcome, influenced, (spend, paid), worth; the decision says tea at hour 0
    "nothing at all": ([], 0, 0, (0, 0), -0.5),
    "the coupon is used": ([event(1, "redeemed", offer="tea", paid=1, shop="a")], 1, 0, (0, 1), -1.5),
    "another's coupon is used": ([event(1, "redeemed", offer="cake", paid=1, shop="a")], 0, 0, (0, 0), -0.5),
    "by somebody else": ([event(1, "redeemed", "bob", offer="tea", paid=1, shop="a")], 0, 0, (0, 0), -0.5),
    "elsewhere": ([event(1, "redeemed", offer="tea", paid=1, shop="b")], 1, 0, (0, 0), -0.5),
    "where nobody knows": ([event(1, "redeemed", offer="tea", paid=1)], 1, 0, (0, 0), -0.5),
    "at the very moment": ([event(1, "redeemed", at=0, offer="tea", paid=1, shop="a")], 1, 0, (0, 1), -1.5),
    "just before": ([event(1, "redeemed", at=-0.001, offer="tea", paid=1, shop="a")], 0, 0, (0, 0), -0.5),
    "just within": ([event(1, "redeemed", at=119.999, offer="tea", paid=1, shop="a")], 1, 0, (0, 0), -0.5),
    "just too late": ([event(1, "redeemed", at=120, offer="tea", paid=1, shop="a")], 0, 0, (0, 0), -0.5),
    "looked at before": (
        [event(1, "looked", at=1, offer="tea"), event(2, "redeemed", at=2, offer="tea", paid=1, shop="a")],
        1, 1, (0, 1), -1.5,
    ),
    "looked at together": (
        [event(1, "looked", at=2, offer="tea"), event(2, "redeemed", at=2, offer="tea", paid=1, shop="a")],
        1, 1, (0, 1), -1.5,
    ),
    "looked at after": (
        [event(1, "looked", at=3, offer="tea"), event(2, "redeemed", at=2, offer="tea", paid=1, shop="a")],
        1, 0, (0, 1), -1.5,
    ),
    "looked at before the decision": (
        [event(1, "looked", at=-1, offer="tea"), event(2, "redeemed", at=2, offer="tea", paid=1, shop="a")],
        1, 0, (0, 1), -1.5,
    ),
    "looked at another": (
        [event(1, "looked", at=1, offer="cake"), event(2, "redeemed", at=2, offer="tea", paid=1, shop="a")],
        1, 0, (0, 1), -1.5,
    ),
    "looked at only": ([event(1, "looked", at=1, offer="tea")], 0, 0, (0, 0), -0.5),
    "spends twice": ([event(1, "bought", amount=3), event(2, "bought", at=47, amount=2)], 0, 0, (5, 0), 2.0),
    "spends too late": ([event(1, "bought", at=48, amount=3)], 0, 0, (0, 0), -0.5),
    "spends more than counts": ([event(1, "bought", amount=3_000)], 0, 0, (10, 0), 4.5),
    "the same event twice": ([event(1, "bought", amount=3), event(1, "bought", amount=3)], 0, 0, (3, 0), 1.0),
}  # fmt: skip


@pytest.mark.parametrize("what", EVENTS)
def test_outcomes_are_attributed_as_they_are_declared(tmp_path: Path, what: str) -> None:
    """Within the window from the decision on, of the same customer and action, where it is said: that counts."""
    events, happened, influenced, amounts, worth = EVENTS[what]
    found = built(shop(tmp_path, OUTCOMES), tmp_path, rows=[row(1)], events=[*events, LATER])
    tea = found.decisions.actions.index("tea")
    assert found.decisions.happened[0].tolist() == pytest.approx(
        [happened if place == tea else NAN for place in range(4)], nan_ok=True
    )
    assert found.influenced.tolist() == [influenced]
    assert (found.amounts["spend"][0], found.amounts["paid"][0]) == amounts
    assert found.decisions.worth.tolist() == pytest.approx([worth])
    assert math.isnan(found.delay_ms[0]) != bool(happened)


def test_only_influenced_outcomes_count_where_the_model_wants_that(tmp_path: Path) -> None:
    """With `influenced: true` an outcome that nothing led to is none."""
    events = [event(1, "redeemed", at=2, offer="tea", paid=1), event(2, "looked", "bob", offer="tea"),
              event(3, "redeemed", "bob", at=2, offer="tea", paid=1), LATER]  # fmt: skip
    declared = shop(tmp_path, OUTCOMES)
    told = Path(tmp_path, "shop", "all.yaml")
    told.write_text(told.read_text().replace("model: {", "model: {outcome: redeemed, influenced: true, "))
    rows = [row(1), row(2, "bob")]
    plain = built(declared, tmp_path, rows=rows, events=events)
    strict = built(read_strategy(told.parent), tmp_path, rows=rows, events=events)
    tea = plain.decisions.actions.index("tea")
    order = np.argsort(plain.influenced)
    assert plain.influenced[order].tolist() == [0, 1]
    assert plain.decisions.happened[order, tea].tolist() == [1, 1]
    assert strict.decisions.happened[order, tea].tolist() == [0, 1]


SILENT = """\
outcomes:
  - {id: spend, says: Money spent., of: {kinds: [offer]}, event: bought, amount: amount, within: 2d}
worth: {spend: 0.5, cost: -1}
"""


def test_what_happens_anyway_is_known_of_every_action(tmp_path: Path) -> None:
    """After nothing, an event that names no action tells of all actions of the outcome, and is worth as much."""
    events = [event(1, "bought", amount=8), LATER]
    rows = [row(1, action="nothing"), row(2, "bob", action="nothing"), row(3, "cid", action="hello")]
    found = built(shop(tmp_path, SILENT), tmp_path, rows=rows, events=events).decisions
    assert found.actions == ("nothing", "cake", "hello", "tea")
    by_worth = found.part(np.argsort(-found.worth))
    assert by_worth.worth[:2].tolist() == [4.0, 0.0]
    assert math.isnan(by_worth.worth[2])  # a greeting is none of the actions that spending is an outcome of
    assert np.array_equal(by_worth.happened[:2], [[NAN, 1, NAN, 1], [NAN, 0, NAN, 0]], equal_nan=True)
    assert np.isnan(by_worth.happened[2]).all()


def test_an_event_that_names_the_action_tells_nothing_after_silence(tmp_path: Path) -> None:
    """What was not said has no coupon: nobody knows what would have happened, and nothing was paid."""
    events = [event(1, "redeemed", offer="tea", paid=1, shop="a"), event(2, "bought", amount=4), LATER]
    found = built(shop(tmp_path, OUTCOMES), tmp_path, rows=[row(1, action="nothing")], events=events)
    assert np.isnan(found.decisions.happened).all()
    assert found.decisions.worth.tolist() == [2.0]


def test_an_event_that_comes_anyway_tells_of_every_action_after_silence(tmp_path: Path) -> None:
    """With `anyway` the event names who took what unasked: each action of the outcome did or did not happen."""
    anyway = OUTCOMES.replace("    within: 5d\n", "    within: 5d\n    anyway: true\n")
    events = [
        event(1, "redeemed", offer="tea", paid=1, shop="a"), event(2, "redeemed", "bob", at=120, offer="cake", paid=1),
        event(3, "redeemed", "cid", offer="cake", paid=1), LATER,
    ]  # fmt: skip
    rows = [
        row(1, action="nothing"), row(2, "bob", at=0, action="nothing"), row(3, "cid", at=1, action="nothing"),
        row(4, "cid", at=1),
    ]  # fmt: skip
    found = built(shop(tmp_path, anyway), tmp_path, rows=rows, events=events).decisions
    told = {tuple(one) for one in np.nan_to_num(found.happened[found.action == 0], nan=-1.0).tolist()}
    assert found.actions == ("nothing", "cake", "hello", "tea")
    assert told == {(-1, 0, -1, 1), (-1, 0, -1, 0), (-1, 1, -1, 0)}
    assert np.nan_to_num(found.happened[found.action == 3], nan=-1.0).tolist() == [[-1, -1, -1, 0]]
    assert set(found.worth[found.action == 0].tolist()) == {0.0}, "the worth of nothing is what it is without the flag"


def test_what_is_not_over_is_not_known(tmp_path: Path) -> None:
    """A window that runs past the end of the log says nothing yet, not even of what happened early in it."""
    events = [event(1, "redeemed", offer="tea", paid=1, shop="a"), event(2, "bought", "eve", at=119, amount=1)]
    declared = shop(tmp_path, OUTCOMES)
    early = built(declared, tmp_path, rows=[row(1)], events=events)
    assert np.isnan(early.decisions.happened).all()
    assert early.counts.unfinished == 1
    assert early.decisions.worth.tolist() == [-1.5]  # spending and paying have shorter windows
    forced = built(declared, tmp_path, rows=[row(1)], events=events, unfinished=True)
    assert np.nanmax(forced.decisions.happened) == 1
    assert forced.counts.unfinished == 0
    sooner = [event(2, "bought", "eve", at=47, amount=1)]
    assert np.isnan(built(declared, tmp_path, rows=[row(1)], events=sooner).decisions.worth).all()


def test_without_declarations_accepted_is_the_outcome(tmp_path: Path) -> None:
    """Accepted with the decision's id; it earns its amount, or the declared value, less reward and cost."""
    rows = [
        row(1, "a", at=1, outcomes=[came("shown"), came("accepted", amount=6.0)]),
        row(2, "b", at=2, outcomes=[came("accepted", at=2, amount=0.0)]),
        row(3, "c", at=3, outcomes=[came("clicked"), came("refused")]),
        row(4, "d", at=4, outcomes=[]),
        row(5, "e", at=5, action="nothing", outcomes=[]),
        row(6, "f", at=6, action="hello", outcomes=[came("accepted", "hello", at=6)]),
        row(7, "g", at=7, outcomes=[came("accepted", "cake", at=7, amount=9.0)]),
    ]
    found = built(shop(tmp_path), tmp_path, rows=rows).decisions
    said = [found.happened[place, found.action[place]] for place in range(7)]
    assert said == pytest.approx([1, 1, 0, 0, NAN, 1, 0], nan_ok=True)
    assert found.worth.tolist() == pytest.approx([4.5, 2.5, -0.5, -0.5, 0.0, 0.1, -0.5])
    assert np.isnan(found.happened[4]).all()


def test_reported_outcomes_after_nothing_are_baselines(tmp_path: Path) -> None:
    """Where the log reports of an action after nothing at all, it tells of it after every nothing."""
    rows = [
        row(1, "a", at=1, action="nothing", outcomes=[came("accepted", "tea", amount=3)]),
        row(2, "b", at=2, action="nothing", outcomes=[]),
        row(3, "c", at=3),
        row(4, "d", at=4, action="cake"),
    ]
    found = built(shop(tmp_path), tmp_path, rows=rows).decisions
    tea, cake = found.actions.index("tea"), found.actions.index("cake")
    assert found.happened[:2, tea].tolist() == [1, 0]
    assert np.isnan(found.happened[:2, cake]).all()
    assert found.worth.tolist()[:2] == [3.0, 0.0]


def test_declared_reports_have_windows_and_influence(tmp_path: Path) -> None:
    """Outcomes of declared kinds count within their window, and clicked before accepted is influenced."""
    declared = shop(tmp_path, """\
outcomes:
  - {id: sold, says: Sold., of: {kinds: [offer]}, kinds: [accepted], within: 2h, amount: reported,
     influenced_by: {kinds: [clicked]}}
worth: {sold: 1, reward: -1}
""")  # fmt: skip
    rows = [
        row(1, "a", at=0, outcomes=[came("clicked", at=0), came("accepted", at=1, amount=5)]),
        row(2, "b", at=1, outcomes=[came("accepted", at=2), came("clicked", at=3)]),
        row(3, "c", at=2, outcomes=[came("accepted", at=4, amount=5)]),
        row(4, "d", at=9, outcomes=[]),
    ]
    found = built(declared, tmp_path, rows=rows)
    tea = found.decisions.actions.index("tea")
    assert found.decisions.happened[:, tea].tolist() == pytest.approx([1, 1, 0, NAN], nan_ok=True)
    assert found.influenced.tolist() == pytest.approx([1, 0, 0, NAN], nan_ok=True)
    assert found.decisions.worth.tolist() == pytest.approx([4, 3, 0, NAN], nan_ok=True)
    assert found.delay_ms.tolist()[:1] == [DAY_MS / 24]


SOLD = """\
outcomes:
  - {id: sold, says: Sold., of: {kinds: [offer]}, kinds: [accepted], within: 2h, amount: reported}
worth: {sold: 1}
"""


@pytest.mark.parametrize(("at", "counts"), [(-99, 0), (0, 0), (1, 1), (2, 1), (3, 0)])
@pytest.mark.parametrize("action", ["tea", "nothing"])
def test_reports_count_from_the_decision_until_the_window_ends(
    tmp_path: Path, at: int, counts: float, action: str
) -> None:
    """What was reported with a time before its decision, or after the window, did not come of it."""
    rows = [
        row(1, "a", at=1, action=action, outcomes=[came("accepted", at=at, amount=50.0)]),
        row(2, "b", at=1, action=action, outcomes=[came("accepted", at=2, amount=5.0)]),
        row(3, "c", at=9, outcomes=[]),
    ]
    found = built(shop(tmp_path, SOLD), tmp_path, rows=rows)
    tea, first = found.decisions.actions.index("tea"), int(found.key[0] != code_of("d1"))
    assert found.decisions.happened[first, tea] == counts
    assert found.decisions.worth[first] == 50.0 * counts
    assert not found.delay_ms[first] < 0


def test_one_wrong_clock_does_not_end_every_window(tmp_path: Path) -> None:
    """What is dated later than now is named and does not end the log; a world that is all in the future has its own."""
    declared = shop(tmp_path, SOLD)
    rows = [row(number, f"c{number}", at=number, outcomes=[]) for number in range(5)]
    rows.append(row(9, "z", at=4, outcomes=[came("accepted", at=24 * 3650, amount=1.0)]))
    table = write_parquet(tmp_path / "log.parquet", rows, declared)

    def at(now_ms: int) -> Built:
        return build(Order(declared, table, now_ms=now_ms), Progress(disable=True))

    now, before = at(START + DAY_MS), at(START - DAY_MS)
    tea = now.decisions.actions.index("tea")
    assert now.decisions.happened[:, tea].tolist() == pytest.approx([0, 0, 0, NAN, NAN, NAN], nan_ok=True)
    assert (now.counts.ahead, now.counts.unfinished) == (1, 3)
    assert now.counts.too_late[0].startswith("1 decisions, outcomes or events are dated later than now")
    assert (before.counts.ahead, before.counts.unfinished) == (0, 0)
    late = replace(now.counts, ahead=0, unfinished=0)
    assert late.too_late == ()


def test_outcomes_of_an_own_name_stand_for_the_event(tmp_path: Path) -> None:
    """A log from elsewhere may bring declared outcomes by their ids; without those and without events it is refused."""
    declared = shop(tmp_path, OUTCOMES)
    own = [came("redeemed"), came("spend", amount=4.0), came("paid", amount=1.0)]
    rows = [row(1, outcomes=own), row(2, at=24 * 9, outcomes=[])]
    found = built(declared, tmp_path, rows=rows)
    assert found.decisions.worth.tolist()[:1] == [0.5]
    assert np.nanmax(found.decisions.happened) == 1
    with pytest.raises(TrainingRefused, match="the outcome `redeemed` is told by the event redeemed; name the events"):
        built(declared, tmp_path, rows=[row(1)])


def test_another_worth_can_be_asked_for(tmp_path: Path) -> None:
    """The factors of a run replace those of the strategy; a name that is no outcome is refused with the nearest one."""
    outcomes = shop(tmp_path, OUTCOMES).outcomes
    assert outcomes.worth_by({"spend": 1.0}).worth == {"spend": 1.0}
    with pytest.raises(ValueError, match="`spent`, which is no outcome; did you mean `spend`"):
        outcomes.worth_by({"spent": 1.0})
    with pytest.raises(ValueError, match="is no number"):
        outcomes.worth_by({"spend": math.nan})


@pytest.mark.parametrize("seed", range(4))
def test_random_histories_equal_a_plain_account(tmp_path: Path, seed: int) -> None:
    """Whatever happens to whom and when, each decision has what a look through all events finds for it."""
    dice = Random(seed)
    names, actions = [f"c{n}" for n in range(8)], ["tea", "cake", "hello", "nothing"]
    rows = [row(n, dice.choice(names), dice.randrange(0, 200, 4), dice.choice(actions)) for n in range(150)]
    events = [_happening(dice, names) for _ in range(250)]
    found = built(shop(tmp_path, OUTCOMES), tmp_path, rows=rows, events=events)
    wanted = {told["decision_id"]: plain_account(told, events) for told in rows}
    spend, paid = found.amounts["spend"], found.amounts["paid"]
    for place, told in enumerate(sorted(rows, key=lambda one: (one["at"], code_of(one["decision_id"])))):
        mine = found.decisions.happened[place, found.decisions.action[place]]
        got = (mine, found.influenced[place], spend[place], paid[place], found.decisions.worth[place])
        assert got == pytest.approx(wanted[told["decision_id"]], nan_ok=True), told


def _happening(dice: Random, names: list[str]) -> dict[str, Any]:
    offer = dice.choice(["tea", "cake"])
    kinds: dict[str, dict[str, object]] = {
        "bought": {"amount": dice.choice([1.5, 4.0])},
        "looked": {"offer": offer},
        "redeemed": {"offer": offer, "paid": 1.0, "shop": dice.choice("ab")},
    }
    kind = dice.choice(list(kinds))
    return event(dice.randrange(300), kind, dice.choice(names), dice.randrange(0, 320, 2), **kinds[kind])


def plain_account(told: dict[str, Any], events: list[dict[str, Any]]) -> tuple[float, ...]:
    """Return outcome, influenced, spend, paid and worth of one decision, by looking at every event."""
    own: dict[str, dict[str, Any]] = {}
    for one in events:
        if one["customer_id"] == told["customer_id"]:
            own.setdefault(one["event_id"], one)
    action, at_ms = told["action"], told["at"]

    def within(kind: str, hours: int) -> list[dict[str, Any]]:
        found = [one for one in own.values() if one["type"] == kind]
        return [one for one in found if at_ms <= one["occurred_at"] < at_ms + hours * HOUR_MS]

    used = [one for one in within("redeemed", 120) if one["attributes"]["offer"] == action]
    led = [one for one in within("looked", 120) if one["attributes"]["offer"] == action]
    influenced = any(seen["occurred_at"] <= one["occurred_at"] for one in used for seen in led)
    spend = min(10.0, sum(one["attributes"]["amount"] for one in within("bought", 48)))
    ours = [one for one in within("redeemed", 48) if one["attributes"]["offer"] == action]
    paid = sum(one["attributes"]["paid"] for one in ours if one["attributes"]["shop"] == "a")
    worth = 0.5 * spend - paid - (0.5 if action in ("tea", "cake") else 0.0)
    over = at_ms + 120 * HOUR_MS <= max(one["occurred_at"] for one in events)
    known = over and action in ("tea", "cake")
    unknown = (float(bool(used)), float(influenced)) if known else (NAN, NAN)
    return (*unknown, spend, paid, worth)
