"""Explanations through gRPC: to whom how much is told, whichever way it is asked, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import grpc
import pytest
from msgspec.structs import replace

from service.core.counterfactual import Counterfactual, NoSuchGoal
from service.core.decision import Answer, Decision, Reason, ReasonCode, Request
from service.core.depths import Depths
from service.core.explained import (
    CapSeen,
    Compared,
    Depth,
    Explained,
    Explanation,
    Fate,
    FieldSeen,
    Passed,
    RuleSeen,
    ScoreSeen,
    Stage,
    Story,
    WeightSeen,
)
from service.core.validity import Issued, Standing
from service.core.wanted import Wanted
from service.errors import StoreError, UnknownDecision
from service.rpc.access.gate import Access
from service.rpc.access.who import Caller, Role
from service.rpc.callers import Callers, SameCallers
from service.rpc.client import Ask, CallFailed, TactClient, WhatIf
from service.rpc.edge import Edge
from service.rpc.secured import UNSECURED, Secured
from service.rpc.server import Listen, Server
from tact.v1 import decision_pb2 as pb
from tests.core.telling import texts_in
from tests.rpc.test_validity import Judging
from tests.rpc.world import NOW_MS, Alone, Answering, Controlling, edge_of, serving, strategy

DECISION = "0ab" + "2" * 23
RULE = Reason(ReasonCode.GUARDRAIL, "Helped, not sold to.", "ticket", ("past.open_tickets",), NOW_MS + 1)
WORTH = Reason(ReasonCode.HIGHEST_NET_VALUE, "It brings 4.20 EUR.", "fibre", ("past.spend", "past.tier"))
TICKETS = Compared("past.open_tickets > 0", ("past.open_tickets",), 2, "int", 0, "int", holds=True)
SPAN = Compared("now - past.paid_at > duration('1h')", ("past.paid_at",), 7_200_000, "duration", 0, "dyn", None)
SCORE = ScoreSeen(0.2, True, 0.1, 60.0, 5.0, 0.5, 1.0, (WeightSeen("boost", 2.0),), 1.5, False, 4.2)
FATE = Fate(
    "fibre", (RULE,), 0.2, 0.1, 4.2, (Passed("hero", Stage.TREATED), Passed("side", None, "greet")),
    (RuleSeen("ticket", "past.open_tickets > 0", ("past.open_tickets",), True, (TICKETS, SPAN)),),
    (CapSeen("two-a-week", "hero", 2, 2, 604_800_000, False, NOW_MS + 5),), SCORE,
)  # fmt: skip
STAGES = ((Stage.TREATED, 2), (Stage.JUDGED, 1))
STORY = Story("hero", "greet", STAGES, "greedy", draw=0.25, odds=(("", 0.5),), asked_by=RULE)
EXPLANATION = Explanation(
    (FATE, Fate("greet", (), 1.0, None, 0.5)),
    (FieldSeen("past.open_tickets", 2, 1_000, "", "service", 60_000, used=True),),
    "full",
    (STORY,),
)
ANSWERS = (Answer("hero", "greet", "greeting", "Hello.", ("welcome",), 1.0, 0.5, (RULE, WORTH), "held"),)
DECIDED = Decision(DECISION, ANSWERS, "small@1", "m@1", NOW_MS, explanation=EXPLANATION)
TOKENS = {Depth.AGENT: "agents", Depth.AUDITOR: "auditors", Depth.CUSTOMER: "customers"}
CALLERS = SameCallers(
    Callers(
        {
            sha256(token.encode()).digest(): Caller(token, Role.DESKTOP, frozenset({"web"}), depth, identity=token)
            for depth, token in TOKENS.items()
        }
    )
)


@dataclass(slots=True)
class Telling:
    """Explains as it is told, and remembers what it was asked."""

    error: Exception | None = None
    would: Counterfactual | None = None
    told: Decision = DECIDED
    lost: frozenset[Any] = frozenset()
    incomplete: str = ""
    asked: list[Wanted] = field(default_factory=list)

    async def explain(self, wanted: Wanted, deadline_s: float) -> Explained:
        """Answer as told."""
        self.asked.append(wanted)
        if self.error is not None:
            raise self.error
        depths = (Depths(strategy()), Depths(strategy()))
        return Explained(self.told, "web", strategy().schema, depths, self.lost, self.incomplete, self.would)


class Issuing:
    """Knows to whom and where the decision was made, which is all that an explanation asks the store for itself."""

    async def issued(self, decision_id: str, deadline_s: float | None = None) -> Issued:
        """Return it."""
        return Issued(decision_id, "anna", "web", NOW_MS, "small@1", (), (), "full")


def edge(telling: Telling) -> Edge:
    """Return an edge that explains, and answers every question with the same explained decision."""

    async def how(request: Request) -> Decision:
        return replace(DECIDED, explanation=EXPLANATION if request.explain else None)

    made = edge_of(Answering(how), validator=Judging((Standing("hero", "fibre", (RULE,)),)))
    return Edge.of(
        made.strategy, decider=made.decider, stores=Alone(Issuing()), limits=made.limits, clock=made.clock,
        validator=made.validator, explaining=telling,
    )  # fmt: skip


@asynccontextmanager
async def known(telling: Telling, token: str = "") -> AsyncIterator[TactClient]:
    """Serve an edge that knows its callers, and yield a client that sends a token."""
    server = Server(edge(telling), Listen(port=0), access=Access(CALLERS))
    server.controlled_by(Controlling())
    port = await server.start()
    try:
        with NamedTemporaryFile("w") as file:
            file.write(token)
            file.flush()
            secured = Secured(token=Path(file.name)) if token else UNSECURED
            async with TactClient(f"127.0.0.1:{port}", secured=secured) as tact:
                yield tact
    finally:
        await server.drain(linger_s=0, grace_s=0)


async def test_everything_is_told_where_nobody_is_kept_apart() -> None:
    """Without callers whoever asks is told all: stages, rules with what was observed, caps, scores, odds, dice."""
    async with serving(edge(Telling())) as target, TactClient(target) as tact:
        told = await tact.explain_decision(DECISION)
    fate, story = told["explanation"]["actions"][0], told["explanation"]["placements"][0]
    assert (told["decision_id"], told["channel"], told["incomplete"], told["withheld"]) == (DECISION, "web", "", False)
    assert told["explanation"]["depth"] == "auditor"
    assert fate["placements"] == [
        {"placement": "hero", "passed": "treated", "beaten_by": ""},
        {"placement": "side", "passed": "unspecified", "beaten_by": "greet"},
    ]
    (check,) = fate["checks"]
    assert (check["rule_id"], check["condition"], check["holds"]) == ("ticket", "past.open_tickets > 0", True)
    assert check["comparisons"][0] == {
        "expression": "past.open_tickets > 0",
        "fields": ["past.open_tickets"],
        "observed": 2,
        "bound": 0,
        "holds": True,
    }
    assert (check["comparisons"][1]["observed"], check["comparisons"][1]["bound"]) == ("2:00:00", "0")
    assert "holds" not in check["comparisons"][1]
    assert fate["caps"][0]["frees_at"] == "2027-01-15T08:00:00.005Z"
    assert fate["score"]["weights"] == [{"rule_id": "boost", "factor": 2.0}]
    assert (fate["score"]["learned_factor"], fate["score"]["baseline_propensity"]) == (1.5, 0.1)
    assert (story["draw"], story["odds"]) == (0.25, [{"action_id": "", "probability": 0.5}])
    assert story["stages"] == [{"stage": "treated", "actions": 2}, {"stage": "judged", "actions": 1}]
    assert story["asked_by"]["rule_id"] == "ticket"


@pytest.mark.parametrize("depth", Depth)
async def test_a_caller_sees_as_deep_as_its_token_lets_it(depth: Depth) -> None:
    """What is deeper than a caller may see is told as deep as that, however deep is asked for."""
    async with known(Telling(), TOKENS[depth]) as tact:
        for wanted in ("", "auditor", "agent", "customer"):
            told = await tact.explain_decision(DECISION, wanted)
            least = min(depth, Depth[wanted.upper()] if wanted else depth)
            assert told["explanation"]["depth"] == least.name.lower()
            texts = set(texts_in(told))
            assert ("ticket" in texts) is (least >= Depth.AGENT)
            assert (story_of(told).get("draw") is not None) is (least is Depth.AUDITOR)


def story_of(told: dict[str, Any]) -> dict[str, Any]:
    """Return what is told of the first placement."""
    found: dict[str, Any] = told["explanation"]["placements"][0]
    return found


@pytest.mark.parametrize("ask", ["unary", "stream", "batch"])
@pytest.mark.parametrize("token", ["customers", "agents", "auditors"])
@pytest.mark.parametrize("explain", [True, False])
async def test_ordinary_answers_are_told_by_who_asks(ask: str, token: str, *, explain: bool) -> None:
    """Whoever may see no more than customers gets no rule, no score and no words for agents, however it asks."""
    question = Ask("carla", "web", ("hero",), explain=explain, request_id="1")
    async with known(Telling(), token) as tact:
        if ask == "unary":
            told = await tact.decide(question)
        else:
            many = tact.decide_stream([question]) if ask == "stream" else tact.decide_all([question], run="r")
            told = await anext(many)
    (answer,) = told["answers"]
    sees_rules = token in ("agents", "auditors")
    assert [reason["rule_id"] for reason in answer["reasons"]] == (["ticket", "fibre"] if sees_rules else ["", ""])
    assert (RULE.sentence in texts_in(told)) is sees_rules
    depth = {"agents": "agent", "auditors": "auditor"}.get(token, "customer")
    assert told.get("explanation", {"depth": depth})["depth"] == depth
    assert ("explanation" in told) is explain
    assert [reason["code"] for reason in answer["reasons"]] == ["guardrail", "highest_net_value"]


async def test_no_more_is_told_of_what_may_not_be_said_any_more() -> None:
    """What forbids a decision by now is told by who asks, as everything else is."""
    async with known(Telling(), "customers") as tact:
        told = await tact.validate_decision(DECISION)
        assert "ticket" not in set(texts_in(told))
    async with known(Telling(), "agents") as tact:
        assert "ticket" in set(texts_in(await tact.validate_decision(DECISION)))


async def test_a_wrong_token_is_told_no_explanation() -> None:
    """A token that is none of the callers' is refused, and so is none at all, before anything is looked for."""
    telling = Telling()
    for token in ("wrong", ""):
        async with known(telling, token) as tact:
            with pytest.raises(CallFailed, match="UNAUTHENTICATED"):
                await tact.explain_decision(DECISION)
    assert telling.asked == []


async def test_what_cannot_be_made_again_is_told_as_far_as_it_can_be() -> None:
    """Of a decision whose strategy is gone the answers are told, and why there is no more."""
    telling = Telling(told=replace(DECIDED, explanation=None), incomplete="the strategy is not archived")
    async with known(telling, "auditors") as tact:
        told = await tact.explain_decision(DECISION)
    assert "explanation" not in told
    assert told["incomplete"] == "the strategy is not archived"
    assert told["answers"][0]["reasons"][0]["rule_id"] == "ticket"


BAD = {
    "no decision": (pb.ExplainDecisionRequest(), "decision_id"),
    "no id": (pb.ExplainDecisionRequest(decision_id="x"), "decision_id"),
    "no depth": (pb.ExplainDecisionRequest(decision_id=DECISION, depth=4), "depth"),  # type: ignore[arg-type]  # on purpose
    "no action": (pb.ExplainDecisionRequest(decision_id=DECISION, what_if=pb.WhatIf()), "what_if.action_id"),
    "no goal": (
        pb.ExplainDecisionRequest(decision_id=DECISION, what_if=pb.WhatIf(action_id="a", goal=3)),  # type: ignore[arg-type]  # on purpose
        "what_if.goal",
    ),
    "too many changes": (
        pb.ExplainDecisionRequest(decision_id=DECISION, what_if=pb.WhatIf(action_id="a", most_changes=5)),
        "what_if.most_changes",
    ),
    "less than none": (
        pb.ExplainDecisionRequest(decision_id=DECISION, what_if=pb.WhatIf(action_id="a", most_changes=-1)),
        "what_if.most_changes",
    ),
    "too many actions": (pb.ExplainDecisionRequest(decision_id=DECISION, action_ids=["a"] * 101), "action_ids"),
}


@pytest.mark.parametrize(("message", "path"), BAD.values(), ids=BAD)
async def test_a_bad_question_is_refused_by_its_field(message: pb.ExplainDecisionRequest, path: str) -> None:
    """What cannot be meant is refused with the path of the field, and nothing is looked for."""
    telling = Telling()
    async with serving(edge(telling)) as target, grpc.aio.insecure_channel(target) as channel:
        call: Any = channel.unary_unary("/tact.v1.DecisionService/ExplainDecision")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(message.SerializeToString())
    assert CallFailed.of(refused.value).code == "INVALID_ARGUMENT"
    assert [bad.field for bad in CallFailed.of(refused.value).violations] == [path]
    assert telling.asked == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnknownDecision("none"), "NOT_FOUND"),
        (StoreError("away"), "UNAVAILABLE"),
        (NoSuchGoal("there is no action `x`; did you mean y?"), "INVALID_ARGUMENT"),
        (RuntimeError("secret"), "INTERNAL"),
    ],
)
async def test_each_failure_has_its_status(error: Exception, code: str) -> None:
    """What fails is told by its status, and no text of an error leaves the process that was not written for callers."""
    async with serving(edge(Telling(error))) as target, TactClient(target, timeout_s=2.0) as tact:
        with pytest.raises(CallFailed) as failed:
            await tact.explain_decision(DECISION, what_if=WhatIf("x"))
    assert failed.value.code == code
    assert "secret" not in str(failed.value)


async def test_a_depth_that_is_none_is_refused() -> None:
    """A question for a decision names a depth that there is, or none."""
    async with serving(edge(Telling())) as target, grpc.aio.insecure_channel(target) as channel:
        call: Any = channel.unary_unary("/tact.v1.DecisionService/Decide")
        asked = pb.DecideRequest(customer_id="c", channel="web", placements=["hero"], explain=True, explain_depth=9)  # type: ignore[arg-type]  # on purpose
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(asked.SerializeToString())
    assert [bad.field for bad in CallFailed.of(refused.value).violations] == ["explain_depth"]
