"""A search keeps its budget, tries what is smallest first, ends when nobody waits, and judges by what was said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from models.context import Scalar
from service.core.again import Again, made
from service.core.changes import ChangeKind
from service.core.counterfactual import Goal, Verdict, counterfactual
from service.core.decision import Bound, Committed, Known, ReasonCode, Request
from service.core.engine import Engine
from service.core.loader import load_strategy
from service.core.plan import Entry, pack
from service.core.policy import Judged
from service.core.snapshot import Snapshot
from service.core.stockroom import UNGRANTED
from tests.strategies import edited, write_strategy

NOW_MS, DAY_MS = 1_796_083_200_000, 86_400_000
AMOUNTS = ("past.spend", "past.spend_7d", "past.interest", "present.cart_value")
STEPS = "actionable:\n" + "".join(f"  - {{field: {name}, says: More., add: 1, at_most: 1000}}\n" for name in AMOUNTS)
CERTAIN = edited("strategy", "  explore: 0.05\n", "")
CAP = "two-offers-a-week"


def ruled(condition: str) -> str:
    """Return a section in which one rule permits the offer."""
    return f"eligibility:\n  - {{id: enough, says: Enough., permit: {{ids: [fibre-upgrade]}}, when: {condition}}}\n"


def decided(folder: Path, **sections: str | None) -> tuple[Engine, Again]:
    """Return a decision at one placement about somebody of whom the amounts are known."""
    engine = Engine(load_strategy(write_strategy(folder, strategy=CERTAIN, **sections)), None)
    return engine, about(engine, {**dict.fromkeys(AMOUNTS, 1.0), "past.open_tickets": 0})


def about(engine: Engine, values: Mapping[str, Scalar], *placements: str, agreed: str = "full") -> Again:
    """Return a decision about somebody of whom this is known, at the hero placement where none is named."""
    places, level = placements or ("hero",), engine.level(agreed)
    assert level is not None
    row = tuple(values.get(field.id) for field in engine.strategy.schema.fields)
    snapshot = Snapshot(row, {}, NOW_MS, level, permitted=True)
    request, known = Request("carla", "web", places, {}), Known(NOW_MS, agreed, (), {}, {})
    version, draws = engine.strategy.version, (0.5,) * len(places)
    entry = Entry("d" * 26, "carla", "web", NOW_MS, version, "", agreed, (), None, row, draws, ())
    return made(engine, entry, request, known, snapshot)


@dataclass(slots=True)
class Counting:
    """Counts how often it was asked, and after so many times says that nobody waits any more."""

    after: int
    asked: int = 0

    def __call__(self) -> bool:
        """Tell whether it was asked too often."""
        self.asked += 1
        return self.asked > self.after


@pytest.mark.parametrize("tries", [1, 40, 500])
def test_a_search_never_decides_more_often_than_it_may(
    tmp_path: Path, tries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many settings could remove a reason, they are tried within the same number of decisions."""
    engine, again = decided(tmp_path, actionable=STEPS, eligibility=ruled(" + ".join(AMOUNTS) + " > 1000000.0"))
    judged: list[int] = []
    judge = engine.judge

    def counted(snapshot: Snapshot, known: Known, request: Request) -> Judged:
        judged.append(1)
        return judge(snapshot, known, request)

    monkeypatch.setattr(engine, "judge", counted)
    would = counterfactual(engine, again, Goal("fibre-upgrade"), most=4, tries=tries)
    assert would.verdict is Verdict.GAVE_UP
    assert would.looked.tries <= tries
    assert len(judged) <= tries + 1500  # what is looked at to find moments that matter is bounded by itself


def test_one_change_that_does_it_is_found_before_any_two_are_tried(tmp_path: Path) -> None:
    """With one amount enough, up to four together find it in as few decisions as one alone does."""
    engine, again = decided(tmp_path, actionable=STEPS, eligibility=ruled(" + ".join(AMOUNTS) + " > 50.0"))
    alone, together = (counterfactual(engine, again, Goal("fibre-upgrade"), most, 500) for most in (1, 4))
    assert alone.verdict is together.verdict is Verdict.FOUND
    assert together.changes == alone.changes
    assert together.looked.tries == alone.looked.tries <= 500


@pytest.mark.parametrize("after", [0, 30])
def test_a_search_ends_when_nobody_waits(tmp_path: Path, after: int) -> None:
    """It looks whether anybody waits at every try, and nothing is tried from then on."""
    engine, again = decided(tmp_path, actionable=STEPS, eligibility=ruled(" + ".join(AMOUNTS) + " > 1000000.0"))
    stop = Counting(after)
    would = counterfactual(engine, again, Goal("fibre-upgrade"), 4, 10**9, stop=stop)
    assert would.verdict is Verdict.GAVE_UP
    assert would.looked.tries <= after + 1
    assert stop.asked <= after + 10


def committed(again: Again, rank: int, *bound: Bound) -> Committed:
    """Return what a commit took, where something bound."""
    return Committed(pack(again.entry), b"", (rank,), bound, repeated=False)


def test_what_bound_as_it_was_recorded_was_not_said(tmp_path: Path) -> None:
    """An action that a cap bound at commit did not win; it wins once that frees, and what was said is said already."""
    engine, again = decided(tmp_path)
    first, second = (one.action for one in again.entry.placements[0].candidates)
    assert (first, second) == ("fibre-upgrade", "new-phone")
    freed = NOW_MS + DAY_MS
    done = committed(again, -1, Bound(0, 0, CAP, freed), Bound(0, 1, CAP, freed))
    wins = counterfactual(engine, again, Goal(first), committed=done)
    assert [(one.kind, one.until_ms) for one in wins.changes] == [(ChangeKind.WAIT, freed)]
    assert wins.then == first
    loses = counterfactual(engine, again, Goal(first, wins=False), committed=done)
    assert (loses.verdict, loses.then) == (Verdict.ALREADY, "")
    assert counterfactual(engine, again, Goal(second), committed=done).verdict is Verdict.NONE
    assert counterfactual(engine, again, Goal(first)).verdict is Verdict.ALREADY
    one_took = committed(again, 1, Bound(0, 0, CAP, freed))  # a race: the other one still fitted
    assert counterfactual(engine, again, Goal(second), committed=one_took).verdict is Verdict.ALREADY
    loses = counterfactual(engine, again, Goal(second, wins=False), committed=one_took)
    assert ([one.until_ms for one in loses.changes], loses.then) == ([freed], first)


def test_what_only_people_end_is_not_waited_for(tmp_path: Path) -> None:
    """What the store did not grant stands against an action whatever changes, and is named."""
    engine, again = decided(tmp_path)
    first = again.entry.placements[0].candidates[0].action
    done = committed(again, 1, Bound(0, 0, UNGRANTED, NOW_MS + 1))
    would = counterfactual(engine, again, Goal(first), committed=done)
    assert (would.verdict, [one.code for one in would.stands]) == (Verdict.NONE, [ReasonCode.OUT_OF_STOCK])
