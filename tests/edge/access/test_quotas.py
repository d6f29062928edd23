"""Nobody asks for more than their quota, and nobody finds out customers by asking for one after another."""

from __future__ import annotations

import sys
from pathlib import Path

import grpc
import pytest

from service.core.explained import Depth
from service.errors import OverQuota
from service.rpc.access import quotas
from service.rpc.access.quotas import Quotas
from service.rpc.access.who import Caller, Role
from tact.v1.decision_pb2 import DecideRequest, DecideResponse
from tests.edge.access.world import bearer, digest, guarded
from tests.profile import cases


def caller(calls_per_s: float | None = None, customers: int | None = None, identity: str = "a") -> Caller:
    """Return a caller with quotas."""
    return Caller("a", Role.DESKTOP, frozenset(), Depth.AGENT, None, identity, calls_per_s, customers)


def test_calls_are_saved_up_for_two_seconds_and_no_longer() -> None:
    """Ten a second are twenty at once after a rest, then ten a second; whoever is refused is told how long to wait."""
    now_s = [100.0]
    kept, ten, waits = Quotas(lambda: now_s[0]), caller(10.0), list[float]()

    def taken() -> int:
        for count in range(1000):
            try:
                kept.charge(ten)
            except OverQuota as over:
                waits.append(over.wait_s)
                return count
        return 1000

    assert taken() == 20
    now_s[0] += 1.0
    assert taken() == 10
    now_s[0] += 60.0
    assert taken() == 20
    kept.charge(caller(10.0, identity="b"))
    assert all(0 < wait_s <= 0.1 + 1e-9 for wait_s in waits)


def test_customers_count_once_an_hour_since_they_were_asked_about_last() -> None:
    """The third of two is one too many until the first was not asked about for an hour."""
    now_s = [0.0]
    kept, two = Quotas(lambda: now_s[0]), caller(customers=2)
    for name in ("anna", "bert", "anna"):
        now_s[0] += 60.0
        kept.charge_customer(two, name)
    with pytest.raises(OverQuota) as over:
        kept.charge_customer(two, "carla")
    assert over.value.wait_s == quotas.LONGEST_WAIT_S
    now_s[0] = 120.0 + 3600.0  # bert was asked about at 120 s
    kept.charge_customer(two, "carla")
    with pytest.raises(OverQuota):
        kept.charge_customer(two, "bert")


def test_what_quotas_remember_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many callers come by, and however many customers they name, no more is kept than fits."""
    monkeypatch.setattr(quotas, "MOST_IDENTITIES", 5)
    monkeypatch.setattr(quotas, "MOST_ASKING", 3)
    now_s = [0.0]
    kept = Quotas(lambda: now_s[0])
    for number in range(1000):
        now_s[0] += 0.3
        kept.charge(caller(1.0, identity=str(number)))
        if number % 100 == 0:
            now_s[0] += 3600.0
            kept.charge_customer(caller(customers=5, identity=str(number)), "anna")
    assert len(kept._paid) == 5
    assert len(kept._asked) == 3
    now_s[0] += 3600.0
    asked = caller(customers=50)
    for number in range(1000):
        try:
            kept.charge_customer(asked, f"customer-{number}" * 10)
        except OverQuota:
            continue
    names = kept._asked["a"]
    assert len(names) == 50
    assert sum(map(sys.getsizeof, names)) < 50 * 64


def test_nobodys_quota_is_wiped_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many customers come by with tokens of their own, whom a desk asked about this hour still counts; where
    nobody can be forgotten, newcomers wait.
    """
    monkeypatch.setattr(quotas, "MOST_IDENTITIES", 100)
    monkeypatch.setattr(quotas, "MOST_ASKING", 2)
    now_s = [0.0]
    kept, two = Quotas(lambda: now_s[0]), caller(customers=2)
    for name in ("anna", "bert"):
        kept.charge_customer(two, name)
    for number in range(300):
        now_s[0] += 0.1
        kept.charge(caller(20.0, identity=str(number)))
    kept.charge_customer(caller(customers=2, identity="b"), "anna")
    for _ in range(2):
        with pytest.raises(OverQuota):
            kept.charge_customer(caller(customers=2, identity="c"), "anna")
    with pytest.raises(OverQuota):
        kept.charge_customer(two, "carla")
    now_s[0] += 10.0
    for number in range(100):
        kept.charge(caller(0.1, identity=f"slow {number}"))
    with pytest.raises(OverQuota):
        kept.charge(caller(0.1, identity="one more"))


def test_a_batch_is_paid_for_afterwards() -> None:
    """A batch of a hundred at ten a second is taken whole, and the next call after ten seconds."""
    now_s = [0.0]
    kept, ten = Quotas(lambda: now_s[0]), caller(10.0)
    kept.charge(ten)
    kept.add(ten, 99)
    now_s[0] = 8.0
    with pytest.raises(OverQuota):
        kept.charge(ten)
    now_s[0] = 8.2
    kept.charge(ten)


async def test_enumeration_ends_at_the_quota(tmp_path: Path) -> None:
    """A-5: of thousands of ids asked about in a row, by call and by stream, as many are answered as the quota has; the
    rest is RESOURCE_EXHAUSTED and told when to try again, and known customers are answered all the same.
    """
    many, quota = cases(400, 10_000), 100
    text = (
        f"callers:\n  - {{name: desk, role: desktop, token_sha256: {digest('t')}, channels: [web], "
        f"calls_per_s: 1000000, customers_per_hour: {quota}}}\n"
    )
    async with guarded(tmp_path, text=text) as world, world.channel() as channel:
        decide = channel.unary_unary("/tact.v1.DecisionService/Decide")
        stream = channel.stream_stream("/tact.v1.DecisionService/DecideStream")

        def asked(number: int) -> bytes:
            return DecideRequest(customer_id=f"c-{number}", channel="web", placements=["hero"]).SerializeToString()

        answered, refusals = 0, list[grpc.aio.AioRpcError]()
        for number in range(many // 2):
            try:
                await decide(asked(number), metadata=bearer("t"), timeout=5)
                answered += 1
            except grpc.aio.AioRpcError as error:
                refusals.append(error)
        call = stream((asked(number) for number in range(many // 2, many)), metadata=bearer("t"), timeout=60)
        codes = [DecideResponse.FromString(raw).error.code async for raw in call]
        await decide(asked(7), metadata=bearer("t"), timeout=5)
    refused = len(refusals) + codes.count(8)
    print(f"\n{many} customers in a row: {answered} answered of a quota of {quota}, {refused} refused")
    assert answered == quota
    for one in refusals:
        assert one.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        told = dict(one.trailing_metadata() or ())
        assert 0 < int(told["grpc-retry-pushback-ms"]) <= 1000 * quotas.LONGEST_WAIT_S
    assert codes == [8] * (many - many // 2)


async def test_a_stream_is_no_way_round_the_quota_of_calls(tmp_path: Path) -> None:
    """Each question of a stream counts as a call: of 100 at five a second about ten are answered."""
    text = (
        f"callers:\n  - {{name: desk, role: desktop, token_sha256: {digest('t')}, channels: [web], calls_per_s: 5}}\n"
    )
    async with guarded(tmp_path, text=text) as world, world.channel() as channel:
        question = DecideRequest(customer_id="c", channel="web", placements=["hero"]).SerializeToString()
        stream = channel.stream_stream("/tact.v1.DecisionService/DecideStream")
        call = stream((question for _ in range(100)), metadata=bearer("t"), timeout=10)
        codes = [DecideResponse.FromString(raw).error.code async for raw in call]
    assert set(codes) == {0, 8}
    assert 9 <= codes.count(0) <= 15
