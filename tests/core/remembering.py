"""The memory of one person as a store keeps it, in a few plain lines, for tests of the pure core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from msgspec import structs

from models.context import Scalar
from service.core.decision import Commit, Committed, Decision, Known, Request
from service.core.engine import Engine
from service.core.memory import NOTHING_REMEMBERED, Contact, Memory, Promised, Refusal
from tests.core.expressions import NOW_MS, SCHEMA

REFUSED, NOT_NOW, NEVER = 4, 5, 6
NOTHING_TOLD: Mapping[str, Scalar] = {}


@dataclass(slots=True)
class Person:
    """One person who is decided for, again and again, by any engine. `uses` are their cap uses."""

    id: str = "someone"
    level: str = "full"
    permitted: tuple[str, ...] = ("email",)
    memory: Memory = NOTHING_REMEMBERED
    uses: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def ask(
        self,
        engine: Engine,
        channel: str = "web",
        *placements: str,
        at_ms: int = NOW_MS,
        draw: float = 0.999,
        facts: Mapping[str, Scalar] = NOTHING_TOLD,
    ) -> Decision:
        """Decide and remember it: the commit takes the first candidate of each placement."""
        values = {SCHEMA.index[name]: value for name, value in facts.items()}
        request = Request(self.id, channel, placements or ("hero",), values, explain=True)
        known = self.known(at_ms)
        snapshot = engine.see(known, request)
        judged = engine.judge(snapshot, known, request)
        scores = engine.score(snapshot, judged, request)
        entry = engine.arbitrate("d", request, snapshot, judged, scores, (draw,) * len(request.placements))
        checked = engine.check(entry, snapshot)
        assert not checked.objections, "the independent check agrees"
        commit = engine.commit(checked.entry, request, at_ms, memory=self.memory)
        explained = engine.explain(snapshot, judged, scores, request)
        return engine.answer(self._committed(commit), checked.entry, explained)

    def known(self, at_ms: int = NOW_MS) -> Known:
        """Return what the store gives out about the person."""
        return Known(at_ms, self.level, self.permitted, {}, self.uses, memory=self.memory)

    def say(self, action: str, *, kind: int = REFUSED, at_ms: int = NOW_MS, of: str = "d") -> None:
        """Answer to an action: whatever the answer, its promises end; a no is remembered."""
        left = tuple(one for one in self.memory.promised if one.action != action)
        refusals = self.memory.refusals
        if kind in (REFUSED, NOT_NOW, NEVER):
            refusals = (*refusals, refusal(action, kind=kind, at_ms=at_ms, of=of))
        self.memory = structs.replace(self.memory, promised=left, refusals=refusals)

    def _committed(self, commit: Commit) -> Committed:
        ranks = tuple(0 if candidates else -1 for candidates in commit.candidates)
        said = tuple(candidates[0][0] for candidates in commit.candidates if candidates)
        for candidates in commit.candidates:
            for counter in candidates[0][1] if candidates else ():
                self.uses[counter.key] = tuple(sorted((*self.uses.get(counter.key, ()), commit.now_ms)))
        kept = {one.key: one for one in self.memory.promised}
        for give in commit.gives:
            before = kept.get(give.key)
            same = before and (before.action, before.facts) == (give.action, give.facts)
            if give.action in said and not (same and before and before.until_ms > commit.now_ms):
                kept[give.key] = Promised(give.key, give.action, commit.now_ms, give.until_ms, "d", give.facts)
        last = Contact(commit.channel, commit.now_ms, said) if said else self.memory.last
        self.memory = structs.replace(self.memory, promised=tuple(kept.values()), last=last)
        return Committed(commit.entry, b"", ranks, (), False)


def refusal(
    action: str,
    *,
    group: str = "",
    intents: tuple[str, ...] = (),
    kind: int = REFUSED,
    at_ms: int = NOW_MS,
    of: str = "d",
) -> Refusal:
    """Return that an action was refused, in the decision `of`."""
    return Refusal(action, group, intents, kind, at_ms, blake2b(f"{of}|{action}".encode(), digest_size=6).digest())


def said(decision: Decision) -> list[str]:
    """Return what a decision says, a placement."""
    return [answer.action for answer in decision.answers]
