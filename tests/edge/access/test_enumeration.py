"""Who is a customer, who was one and who never was cannot be told apart by a caller who is none of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

from service.rpc.access.who import Role
from service.rpc.client import Ask, CallFailed
from tests.edge.access.service import service
from tests.edge.access.world import token_of
from tests.profile import cases

CALLS = cases(100, 5_000)
KINDS = ("known", "unknown", "erased", "without consent")
MOST_AUC = cases(65, 55) / 100
"""How well the best threshold of time may tell two kinds apart; a short run is noisier. A coin has 0.5."""
CLOSE_MS, CLOSE = 0.2, cases(15, 5) / 100
"""How far apart two medians may be: in ms, or as a share where the machine is slow."""


def auc(first: list[float], second: list[float]) -> float:
    """Return how well a threshold tells two samples apart, whichever way round: 0.5 for not at all, 1 for wholly."""
    ranked = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    ranks = sum(rank for rank, (_, kind) in enumerate(ranked, 1) if kind)
    both = len(first) * len(second)
    won = (ranks - len(second) * (len(second) + 1) / 2) / both
    return max(won, 1 - won)


async def test_other_customers_all_look_the_same(tmp_path: Path) -> None:
    """A-4: asked about by a customer, known, unknown and erased others, and others' decisions and ones that nobody
    made, end alike: the same status, the same words, and for customers in times that no threshold tells apart.
    """
    async with (
        service(tmp_path) as tact,
        tact.client(token_of(Role.PRIVACY_OFFICER)) as officer,
        tact.client(tact.signer.token(sub="known", tact_role="web")) as known,
        tact.client(tact.signer.token(sub="attacker", tact_role="web")) as attacker,
    ):
        await officer.set_consent("known", "service")
        await officer.set_consent("erased", "service")
        await officer.rights.erase("erased")
        decision = (await known.decide(Ask("known", "web", ("greeting",))))["decision_id"]
        times, ends = {kind: list[float]() for kind in (*KINDS, "decision", "no decision")}, set[tuple[str, str, str]]()
        asks: dict[str, Callable[[], Awaitable[Any]]] = {
            kind: lambda kind=kind: attacker.decide(Ask(kind, "web", ("greeting",)))  # type: ignore[misc]  # bound now
            for kind in KINDS
        }
        asks["decision"] = lambda: attacker.validate_decision(decision)
        asks["no decision"] = lambda: attacker.validate_decision("000" + "2" * 23)
        order, dice = list(asks), Random("interleaved")
        quick = tact.running._server._current.access
        assert quick is not None
        for _ in range(CALLS):
            dice.shuffle(order)
            quick._quotas._paid.clear()  # the quota would end this soon, and is not the subject here
            for kind in order:
                began_s = perf_counter()
                try:
                    await asks[kind]()
                except CallFailed as refused:
                    ends.add((kind.rpartition(" ")[2] if "decision" in kind else "", refused.code, refused.message))
                times[kind].append(perf_counter() - began_s)
    assert {(kind, code) for kind, code, _ in ends} == {("", "PERMISSION_DENIED"), ("decision", "NOT_FOUND")}
    assert len(ends) == 2
    for first, second in [("known", other) for other in KINDS[1:]] + [("decision", "no decision")]:
        told, usual_s = auc(times[first], times[second]), median(times[first])
        apart_ms = 1000 * abs(usual_s - median(times[second]))
        print(f"\n{first} against {second}, {CALLS} each: AUC {told:.3f}, medians {apart_ms:.3f} ms apart", end="")
        assert apart_ms < max(CLOSE_MS, 1000 * CLOSE * usual_s), (first, second)
        assert told < MOST_AUC or "decision" in first, (first, second)  # nobody guesses the 100 bits of a decision's id


def test_times_that_differ_are_told_apart() -> None:
    """The measure sees what an attacker would: a tenth of a millisecond in half a millisecond of noise."""
    dice = Random(1)
    one, other = ([dice.gauss(mean, 0.5) for _ in range(5000)] for mean in (1.0, 1.1))
    same = [dice.gauss(1.0, 0.5) for _ in range(5000)]
    assert auc(one, other) > 0.55 > auc(one, same)
