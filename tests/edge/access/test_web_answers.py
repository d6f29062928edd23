"""A web caller is told what customers are told, in every answer that there can be: fields are held against a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import pytest
from google.protobuf.message import Message
from msgspec.structs import replace

from service.core.again import Again
from service.core.decision import Decision, Request
from service.core.engine import Engine
from service.core.explained import Depth, Explained
from service.core.validity import Issued, Standing, Validity
from service.core.wanted import Wanted
from service.rpc.access.gate import Access
from service.rpc.callers import CallersFile
from service.rpc.convert_answer import answer_of
from service.rpc.edge import Edge, Limits
from service.rpc.plain import plain
from service.rpc.server import Listen, Server
from service.telemetry.timeline import UNTIMED, Timeline
from tact.v1 import decision_pb2 as pb
from tests.core.telling import decisions, lost_by, real, texts_in
from tests.core.test_depths import FIELD, rules_of
from tests.edge.access.world import OWN, bearer, digest
from tests.profile import cases
from tests.rpc.world import NOW_MS, Alone, channel_to

Told: TypeAlias = pb.DecideResponse | pb.ExplainDecisionResponse | pb.ValidateDecisionResponse | pb.WatchResponse
ANSWERS = cases(400, 100_000)
DEPTHS = pb.ExplainDepth.values()
KINDS = 4  # one decision is told as it is made, with and without an explanation, and later, and judged again
SHARES = {"demo": 1, "bank": 3, "starbucks": 3, "trucks": 3}
"""How many of ten decisions are of which strategy; those of the demo cost most."""
TOKEN = "a customer's token"
CHANNELS = "[web, desk, email, phone, app]"

_REASON = ("code", "sentence", "fields", "until.seconds", "until.nanos")
_SAID = (
    "placement", "greeting.action_id", "greeting.text", "greeting.intents", "offer.action_id", "offer.text",
    "offer.intents", "offer.sells", "suppression.until.seconds", "suppression.until.nanos",
    *(f"reasons.{name}" for name in _REASON),
)  # fmt: skip
_EXPLAINED = (
    "depth", "consent_level", "actions.action_id", "fields.field_id", "fields.value", "fields.purpose", "fields.used",
    "fields.age_seconds", "fields.max_age_seconds", "placements.placement", "placements.sentence",
    "placements.action_id",
)  # fmt: skip
_DECIDED = (
    "decision_id", "versions.strategy", "versions.model", "decided_at.seconds", "decided_at.nanos",
    *(f"answers.{name}" for name in _SAID), *(f"explanation.{name}" for name in _EXPLAINED),
)  # fmt: skip
_ANSWERED = (*_DECIDED, "request_id", "degraded", "rung", *(f"degraded_reasons.{name}" for name in _REASON))
ALLOWED: dict[type[Message], frozenset[str]] = {
    pb.DecideResponse: frozenset(_ANSWERED),
    pb.WatchResponse: frozenset(
        (
            "seq", "kind", "cursor", "more_causes", "told_at.seconds", "told_at.nanos", "withdrawn.placement",
            "withdrawn.action_id", *(f"withdrawn.reasons.{name}" for name in _REASON), "causes.kind", "causes.seq",
            "causes.at.seconds", "causes.at.nanos", *(f"answer.{name}" for name in _ANSWERED),
        )
    ),
    pb.ExplainDecisionResponse: frozenset((*_DECIDED, "channel", "incomplete", "withheld")),
    pb.ValidateDecisionResponse: frozenset(
        (
            "valid", "versions.strategy", "versions.model", "decided_at.seconds", "decided_at.nanos",
            "judged_at.seconds", "judged_at.nanos", "placements.placement", "placements.action_id", "placements.valid",
            *(f"placements.reasons.{name}" for name in _REASON),
        )
    ),
}  # fmt: skip
"""Everything that a web caller may be told, by its path; a new field of the contract is not, until it stands here."""


@dataclass(slots=True)
class Prepared:
    """Answers with what was prepared: the decision of a request is the one that its number names."""

    strategy: Engine | None = None
    made: list[tuple[Again, Decision]] = field(default_factory=list)
    dice: Random = field(default_factory=lambda: Random("what is lost"))

    async def decide(self, request: Request, deadline_s: float, line: Timeline = UNTIMED) -> Decision:
        """Answer what was prepared."""
        decision = self.made[int(request.idempotency_key)][1]
        return decision if request.explain else replace(decision, explanation=None)

    async def explain(self, wanted: Wanted, deadline_s: float) -> Explained:
        """Explain what was prepared, as far as is agreed to by now."""
        made, decision = self.made[int(wanted.decision_id)]
        assert self.strategy is not None
        both = (self.strategy.explainer.depths,) * 2
        return Explained(decision, made.request.channel, self.strategy.strategy.schema, both, lost_by(self.dice))

    async def validate(self, decision_id: str, as_of_ms: int | None, deadline_s: float) -> Validity:
        """Forbid it, for every reason that there is."""
        _, decision = self.made[int(decision_id)]
        fates = decision.explanation.fates if decision.explanation else ()
        vetoes = tuple(veto for fate in fates for veto in fate.vetoes)
        standing = tuple(Standing(one.placement, one.action, (*one.reasons, *vetoes)) for one in decision.answers)
        return Validity(standing, decision.at_ms, NOW_MS, decision.strategy, decision.model)

    async def issued(self, decision_id: str, deadline_s: float) -> Issued:
        """Say whose it is."""
        return Issued(decision_id, OWN, "web", NOW_MS, "s", ())

    def told(self, committed: object) -> Decision:
        """Fail: nothing was committed."""
        raise AssertionError(committed)

    def edge(self, engine: Engine) -> Edge:
        """Return an edge over a strategy that answers what was prepared."""
        self.strategy = engine
        return Edge.of(
            engine.strategy, decider=self, stores=Alone(self), limits=Limits(), clock=lambda: NOW_MS, validator=self,
            explaining=self,
        )  # fmt: skip


def prepared(name: str, count: int) -> Iterator[tuple[Engine, list[tuple[Again, Decision]]]]:
    """Yield random decisions of a strategy, those of one engine together."""
    dice = Random(f"web {name}")
    found = islice(decisions(real(name), dice), count)
    while few := tuple(islice(found, 20)):  # as many as one engine makes
        yield few[0][0], [(one, replace(told, decision_id=f"{at:026d}")) for at, (_, one, told) in enumerate(few)]


@pytest.mark.parametrize("name", SHARES)
async def test_a_web_caller_is_told_no_forbidden_field(tmp_path: Path, name: str) -> None:
    """A-3, I8: in 100,000 random answers, through the port with a web caller's token and whatever depth it asks for, no
    field stands that is not on the list, no path of a field that customers are not told, and no id of a rule.
    """
    count = ANSWERS * SHARES[name] // sum(SHARES.values())
    entry = f"name: page, role: web, customer: {OWN}, channels: {CHANNELS}, calls_per_s: 1000000"
    (tmp_path / "callers.yaml").write_text(f"callers:\n  - {{{entry}, token_sha256: {digest(TOKEN)}}}\n")
    world, dice, seen, found = Prepared(), Random("asked"), Counter[str](), Counter[str]()
    access = Access(CallersFile(tmp_path / "callers.yaml"))
    server = Server(world.edge(Engine(real(name), None)), Listen(port=0), access=access)
    port = await server.start()
    try:
        async with channel_to(f"127.0.0.1:{port}") as channel:
            for engine, made in prepared(name, count // KINDS):
                world.made = made
                server.swap(world.edge(engine))
                async for message in _told(channel, made, dice):
                    seen[type(message).__name__] += 1
                    found.update(forbidden(message, engine))
    finally:
        await server.drain(linger_s=0, grace_s=0)
    print(f"\n{name}: {seen.total():,} answers to a web caller ({dict(seen)}), {found.total()} forbidden paths")
    assert not found
    assert seen.total() == count


async def _told(channel: Any, made: list[tuple[Again, Decision]], dice: Random) -> AsyncIterator[Told]:  # noqa: ANN401 - an untyped channel
    """Yield what the caller is told of each decision, in each of the ways to ask."""
    service, metadata = "/tact.v1.DecisionService/", bearer(TOKEN)
    asked = [
        pb.DecideRequest(
            customer_id=OWN, channel=one.request.channel, placements=one.request.placements, explain=explain,
            explain_depth=dice.choice(DEPTHS), idempotency_key=str(at),
        )
        for at, (one, _) in enumerate(made)
        for explain in (True, False)
    ]  # fmt: skip
    stream = channel.stream_stream(f"{service}DecideStream")((m.SerializeToString() for m in asked), metadata=metadata)
    async for raw in stream:
        answer = pb.DecideResponse.FromString(raw)
        assert not answer.HasField("error"), answer.error
        yield answer
    explain = channel.unary_unary(f"{service}ExplainDecision")
    validate = channel.unary_unary(f"{service}ValidateDecision")
    for _, decision in made:
        later = pb.ExplainDecisionRequest(decision_id=decision.decision_id, depth=dice.choice(DEPTHS))
        yield pb.ExplainDecisionResponse.FromString(await explain(later.SerializeToString(), metadata=metadata))
        again = pb.ValidateDecisionRequest(decision_id=decision.decision_id)
        yield pb.ValidateDecisionResponse.FromString(await validate(again.SerializeToString(), metadata=metadata))


def forbidden(message: Told, engine: Engine) -> Iterator[str]:
    """Yield what stands in an answer to a web caller and may not."""
    allowed = ALLOWED[type(message)]
    for path in _paths(message, ""):
        if not any(path == one or path.startswith(f"{one}.") for one in allowed):
            yield path
    schema, told = engine.strategy.schema, engine.explainer.depths.told(Depth.CUSTOMER)
    hidden = frozenset(schema.index) - told
    yield from (f"the field {name}" for name in hidden.intersection(FIELD.findall(str(message))))
    rules = rules_of(engine.strategy) - {action.id for action in engine.strategy.actions}
    yield from (f"the rule {name}" for name in rules.intersection(texts_in(plain(message))))
    if isinstance(message, pb.WatchResponse):
        yield from forbidden(message.answer, engine)
        return
    if isinstance(message, pb.ValidateDecisionResponse) or not message.HasField("explanation"):
        return
    if message.explanation.depth != pb.EXPLAIN_DEPTH_CUSTOMER:
        yield f"depth {message.explanation.depth}"
    said = {getattr(one, one.WhichOneof("answer") or "greeting").action_id for one in _spoken(message)}
    yield from (f"the action {one.action_id}" for one in message.explanation.actions if one.action_id not in said)


def _spoken(message: pb.DecideResponse | pb.ExplainDecisionResponse) -> Iterator[pb.PlacementAnswer]:
    return (one for one in message.answers if one.WhichOneof("answer") in ("greeting", "offer"))


def _paths(message: Message, above: str) -> Iterator[str]:
    """Yield the paths of all fields that are set, each element of a list for itself."""
    for one, value in message.ListFields():
        path = f"{above}{one.name}"
        if one.message_type is None:
            yield path
            continue
        for inside in value if one.is_repeated else (value,):
            yield from _paths(inside, f"{path}.")


def test_the_list_is_held_against_something() -> None:
    """What the list leaves out is found in what an auditor is told of the same decisions, each of a few at least once:
    a check that finds nothing there would find nothing anywhere.
    """
    found = Counter[str]()
    for engine, made in prepared("demo", 20):
        for _, decision in made:
            told = engine.explainer.depths.decision(decision, Depth.AUDITOR)
            found.update(forbidden(answer_of(told, "", engine.strategy.schema), engine))
    wanted = (
        "answers.reasons.rule_id", "answers.offer.propensity", "answers.offer.net_value", "depth 3",
        "explanation.placements.stages.stage", "explanation.actions.score.value",
    )  # fmt: skip
    assert set(wanted) <= set(found)
    for kind in ("field", "rule", "action"):
        assert any(one.startswith(f"the {kind} ") for one in found)
