"""What would have changed a decision, as it is told through gRPC: to whom, and never what is agreed to no more."""

from __future__ import annotations

from msgspec.structs import replace

from models.context import Purpose
from service.core.changes import Change, ChangeKind
from service.core.counterfactual import Counterfactual, Goal, Looked, Verdict
from service.core.explained import Depth
from service.core.wanted import Wanted
from service.rpc.client import WhatIf
from tests.core.telling import texts_in
from tests.rpc.test_explanations import DECISION, RULE, Telling, known
from tests.rpc.world import NOW_MS, strategy

LOOKED = Looked(3, 17, (), None, (), permission=False)
CHANGE = Change(ChangeKind.FACT, "The ticket is closed.", "past.open_tickets", 2, 0, 1)
WAIT = Change(ChangeKind.WAIT, "It is waited.", until_ms=NOW_MS)
FOUND = Counterfactual(Goal("fibre"), Verdict.FOUND, (CHANGE, WAIT), "fibre", ("past.spend",), (), LOOKED)


async def test_what_would_change_the_answer_is_told() -> None:
    """The smallest changes are told with what they would bring; by default an action that was said is to lose."""
    telling = Telling(would=FOUND)
    async with known(telling, "agents") as tact:
        told = await tact.explain_decision(DECISION, what_if=WhatIf("fibre", "win", "hero", 2), actions=["fibre"])
        await tact.explain_decision(DECISION, what_if=WhatIf("fibre"))
    would = told["what_would_change"]
    assert (would["verdict"], would["goal"], would["then_action_id"], would["tries"]) == ("found", "win", "fibre", 17)
    assert [change["kind"] for change in would["changes"]] == ["fact", "wait"]
    assert (would["changes"][0]["before"], would["changes"][0]["after"]) == (2, 0)
    assert would["changes"][1]["wait_until"] == "2027-01-15T08:00:00Z"
    assert telling.asked == [
        Wanted(DECISION, Goal("fibre", placement="hero"), most=2, only=("fibre",), depth=Depth.AGENT),
        Wanted(DECISION, Goal("fibre"), either_way=True, depth=Depth.AGENT),
    ]


async def test_customers_are_not_told_what_would_change_an_answer() -> None:
    """At customer depth no change is even looked for."""
    telling = Telling()
    async with known(telling, "customers") as tact:
        told = await tact.explain_decision(DECISION, what_if=WhatIf("fibre"))
    assert "what_would_change" not in told
    assert telling.asked[0].goal is None


async def test_a_change_of_what_is_not_agreed_to_is_withheld() -> None:
    """Where the consent of now allows less than that of then, it is not told what would have changed the answer."""
    lost = frozenset(f.purpose for f in strategy().schema.fields if f.id == "past.open_tickets")
    async with known(Telling(would=FOUND, lost=lost), "auditors") as tact:
        told = await tact.explain_decision(DECISION, what_if=WhatIf("fibre"))
    assert told["withheld"]
    assert told["what_would_change"]["verdict"] == "withheld"
    assert told["what_would_change"]["changes"] == []
    assert "past.open_tickets" not in set(texts_in(told))


async def test_no_change_is_told_once_anything_is_agreed_to_no_more() -> None:
    """Changes speak of what was known then: none is told where any purpose of then is lost, whatever it changes."""
    profiling = frozenset({Purpose.PROFILING})
    assert any(field.purpose is Purpose.PROFILING for field in strategy().schema.fields)
    against = replace(FOUND, verdict=Verdict.NONE, changes=(), stands=(RULE,), ahead=("greet",))
    for would in (FOUND, against):
        async with known(Telling(would=would, lost=profiling), "auditors") as tact:
            told = (await tact.explain_decision(DECISION, what_if=WhatIf("fibre")))["what_would_change"]
        assert told["verdict"] == "withheld"
        assert (told["stands"], told["tries"], told["ahead_action_ids"]) == ([], 0, [])
