"""A web caller who watches is told what customers are told, also of what is withdrawn and why it changed."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from service.core.decision import Decision, Request
from service.core.engine import Engine
from service.rpc import watches
from service.rpc.access.gate import Access
from service.rpc.callers import CallersFile
from service.rpc.server import Listen, Server
from service.rpc.watch_room import Most, WatchRoom
from service.standing import Look, Said
from tact.v1 import decision_pb2 as pb
from tests.core.telling import real
from tests.edge.access.test_web_answers import CHANNELS, DEPTHS, TOKEN, Prepared, forbidden, prepared
from tests.edge.access.world import OWN, bearer, digest
from tests.profile import cases
from tests.rpc import yielding
from tests.rpc.world import channel_to

WATCHES = cases(60, 500)


class Withdrawing(yielding.Standing):
    """Stands by what was prepared at the first look, and forbids all of it at the next, for every reason there is."""

    def __init__(self, world: Prepared, engine: Engine) -> None:
        self._world, self._level, self._looked = world, engine.strategy.levels[-1], set[str]()

    def _prepared(self, request: Request) -> Decision:
        return self._world.made[int(request.request_id)][1]

    async def look(self, request: Request, said: Said | None, dice: tuple[float, ...], deadline_s: float) -> Look:
        """See that the same would be said, once."""
        decision = self._prepared(request)
        answers = decision.answers
        if request.request_id in self._looked:
            answers = tuple(replace(one, action="", text="") for one in answers)
        self._looked.add(request.request_id)
        fates = decision.explanation.fates if decision.explanation else ()
        vetoes = tuple(veto for fate in fates for veto in fate.vetoes)
        against = {(one.placement, one.action): (*one.reasons, *vetoes) for one in decision.answers}
        return Look(answers, against, self._level, None, frozenset(), decision.at_ms, (), request.customer)

    async def decide(self, request: Request, dice: tuple[float, ...], deadline_s: float) -> Decision:
        """Answer what was prepared."""
        decision = self._prepared(request)
        return decision if request.explain else replace(decision, explanation=None)


async def test_a_web_caller_who_watches_is_told_no_forbidden_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In answers and what is withdrawn of them, through the port, whatever depth the caller asks for, stands nothing
    that is not on the list of what customers are told; an auditor's messages would hold it.
    """
    monkeypatch.setattr(watches, "WatchRoom", lambda: WatchRoom(Most(own_caller=WATCHES, customer=WATCHES)))
    entry = f"name: page, role: web, customer: {OWN}, channels: {CHANNELS}, calls_per_s: 1000000"
    (tmp_path / "callers.yaml").write_text(f"callers:\n  - {{{entry}, token_sha256: {digest(TOKEN)}}}\n")
    world, kinds, found = Prepared(), Counter[str](), Counter[str]()
    start = Engine(real("demo"), None)
    server = Server(world.edge(start), Listen(port=0), access=Access(CallersFile(tmp_path / "callers.yaml")))
    server.listens_by(yielding.Ears())
    port = await server.start()
    try:
        async with channel_to(f"127.0.0.1:{port}") as channel:
            for engine, made in prepared("demo", WATCHES):
                world.made = made
                standing: Any = Withdrawing(world, engine)
                server.swap(dataclasses.replace(world.edge(engine), standing=standing))
                async for message in _watched(channel, world):
                    kinds[pb.WatchKind.Name(message.kind).removeprefix("WATCH_KIND_")] += 1
                    found.update(forbidden(message, engine))
    finally:
        await server.drain(linger_s=0, grace_s=0)
    print(f"\n{kinds.total():,} messages to a web caller who watches ({dict(kinds)}), {found.total()} forbidden paths")
    assert not found
    assert kinds["ANSWER"] >= WATCHES
    assert kinds["WITHDRAWN"] > WATCHES // 4


async def _watched(channel: Any, world: Prepared) -> AsyncIterator[pb.WatchResponse]:  # noqa: ANN401 - an untyped channel
    """Yield the first two messages of a watch of each decision."""
    dice, watch = Random("asked"), channel.unary_stream("/tact.v1.DecisionService/Watch")
    for at, (one, _) in enumerate(world.made):
        question = pb.DecideRequest(
            customer_id=OWN, channel=one.request.channel, placements=one.request.placements, explain=at % 2 == 0,
            explain_depth=dice.choice(DEPTHS), request_id=str(at),
        )  # fmt: skip
        asked = pb.WatchRequest(question=question, every_cause=True)
        call = watch(asked.SerializeToString(), metadata=bearer(TOKEN))
        for _ in range(2):
            yield pb.WatchResponse.FromString(await call.read())
        call.cancel()
