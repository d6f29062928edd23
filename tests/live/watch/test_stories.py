"""What is told to who watches: what changed, why, what goes first, and that an answer not shown any more counts not."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from service.app import Running
from service.rpc.client import Ask, Event, Outcome, Report, TactClient
from tact.v1 import decision_pb2 as pb
from tact.v1 import values_pb2
from tact.v1.values_pb2 import Value
from tests.live.watch.at_hand import channel_to, codes, said, service, watch
from tests.service.shop import write_shop
from tests.strategies import edited, write_strategy

SURE = edited("strategy", "explore: 0.05", "explore: 0.0")
ONE_OFFER = """\
caps:
  - {id: one-offer-a-week, says: One offer a week., count: {kinds: [offer]}, at_most: 1, within: 7d}
"""


def now_ms() -> int:
    """Return the wall clock."""
    return time.time_ns() // 1_000_000


def client(running: Running) -> TactClient:
    """Return a client of a service."""
    return TactClient(running.address, schema=running.strategy.schema)


async def opened(tact: TactClient, customer: str, ticket: str, kind: str = "opened") -> None:
    """Open a ticket, or close it."""
    told = Event(f"{ticket}-{kind}", customer, f"ticket.{kind}", now_ms(), {"ticket": ticket})
    assert (await tact.record_events([told]))["results"][0]["status"] == "stored"


async def test_an_offer_is_withdrawn_first_and_uses_up_no_cap(tmp_path: Path) -> None:
    """A ticket is opened: the offer is withdrawn with the rule, another answer follows with the ticket as the cause.
    Closed again and again the offer comes back each time, though the cap allows but one a week: none was shown.
    """
    strategy = write_strategy(tmp_path / "strategy", strategy=SURE, caps=ONE_OFFER)
    async with service(tmp_path, strategy) as running, channel_to(running) as channel, client(running) as tact:
        await tact.set_consent("anna", "full")
        for kind in ("opened", "closed"):
            await opened(tact, "anna", "first", kind)
        told = watch(channel, "anna", "desk", "offer", every_cause=True)
        (offer,) = said(await told.next())
        assert offer
        shown = ""
        for turn in range(3):
            await opened(tact, "anna", f"t{turn}")
            gone = await told.next()
            assert gone.kind == pb.WATCH_KIND_WITHDRAWN
            assert [one.action_id for one in gone.withdrawn] == [offer]
            assert "no-upsell-while-a-ticket-is-open" in {why.rule_id for one in gone.withdrawn for why in one.reasons}
            instead = await told.next()
            assert instead.kind == pb.WATCH_KIND_ANSWER
            assert said(instead) != [offer]
            assert [cause.id for cause in instead.causes] == [f"t{turn}-opened"]
            await opened(tact, "anna", f"t{turn}", "closed")
            again = await told.next(pb.WATCH_KIND_ANSWER)
            assert said(again) == [offer]
            shown = again.answer.decision_id
        assert (await tact.record_outcomes([Outcome(shown, offer, "shown")]))["results"][0]["status"] == "stored"
        await opened(tact, "anna", "t9")
        await told.next(pb.WATCH_KIND_WITHDRAWN)
        await told.next(pb.WATCH_KIND_ANSWER)
        await opened(tact, "anna", "t9", "closed")
        last = await told.next()
        while [cause.id for cause in last.causes] != ["t9-closed"]:
            last = await told.next()
        assert said(last) != [offer], "what was shown counts"
        await told.end()


async def test_whoever_goes_on_is_told_what_changed_and_nothing_twice(tmp_path: Path) -> None:
    """By its cursor a watch goes on: unchanged it begins with a heartbeat, and makes no decision; changed, with the
    answer and its cause; and what was decided and not heard is the same decision.
    """
    strategy = write_strategy(tmp_path / "strategy", strategy=SURE, caps=ONE_OFFER)
    async with service(tmp_path, strategy) as running, channel_to(running) as channel, client(running) as tact:
        await tact.set_consent("anna", "full")
        for kind in ("opened", "closed"):
            await opened(tact, "anna", "first", kind)
        first = watch(channel, "anna", "desk", "offer")
        begun = await first.next()
        await first.end()
        same = watch(channel, "anna", "desk", "offer", cursor=begun.cursor)
        beat = await same.next(pb.WATCH_KIND_HEARTBEAT)
        await same.end()
        assert len(same.messages) == 1
        await opened(tact, "anna", "t1")
        on = watch(channel, "anna", "desk", "offer", cursor=beat.cursor)
        answer = await on.next(pb.WATCH_KIND_ANSWER)
        assert [cause.id for cause in answer.causes] == ["t1-opened"]
        await on.end()
        late = watch(channel, "anna", "desk", "offer", cursor=beat.cursor)
        assert (await late.next(pb.WATCH_KIND_ANSWER)).answer.decision_id == answer.answer.decision_id
        await late.end()


async def test_what_was_decided_and_not_heard_uses_up_nothing(tmp_path: Path) -> None:
    """A worker decided something else and nobody heard it; by now what was told holds again. Whoever goes on is told
    so anew, as a decision that counts: what was not heard is taken back, and the cap holds for everybody.
    """
    strategy = write_strategy(tmp_path / "strategy", strategy=SURE, caps=ONE_OFFER)
    async with service(tmp_path, strategy) as running, channel_to(running) as channel, client(running) as tact:
        await tact.set_consent("anna", "full")
        for kind in ("opened", "closed"):
            await opened(tact, "anna", "first", kind)
        first = watch(channel, "anna", "desk", "offer")
        begun = await first.next()
        (offer,) = said(begun)
        await first.end()
        await opened(tact, "anna", "t1")
        unheard = watch(channel, "anna", "desk", "offer", cursor=begun.cursor)
        await unheard.next(pb.WATCH_KIND_ANSWER)
        await unheard.end()
        await opened(tact, "anna", "t1", "closed")
        late = watch(channel, "anna", "desk", "offer", cursor=begun.cursor)
        again = await late.next(pb.WATCH_KIND_ANSWER)
        assert said(again) == [offer]
        assert again.answer.decision_id != begun.answer.decision_id
        other = await tact.decide(Ask("anna", "desk", ("offer",)))
        assert other["answers"][0].get("offer", {}).get("action_id") != offer, "the cap counts what is shown"
        await late.end()


async def test_what_runs_out_is_withdrawn_and_comes_back(tmp_path: Path) -> None:
    """The stock is reported gone: what needs it is withdrawn as out of stock. It is back: so is the offer. The last
    unit, which the answer holds itself, is no reason to withdraw it.
    """
    strategy = write_shop(tmp_path / "strategy")
    place = {"present.place": Value(string_value="hq")}
    async with service(tmp_path, strategy) as running, channel_to(running) as channel, client(running) as tact:
        await _stock(tact, 1)
        await tact.set_consent("anna", "all")
        told = watch(channel, "anna", "web", "hero", context=place, every_cause=True)
        assert said(await told.next()) == ["phone"]
        await tact.set_consent("anna", "all")
        assert (await told.next()).kind == pb.WATCH_KIND_UNCHANGED
        await _stock(tact, 0)
        gone = await told.next(pb.WATCH_KIND_WITHDRAWN)
        assert codes(gone) == [values_pb2.REASON_CODE_OUT_OF_STOCK]
        assert [cause.kind for cause in gone.causes] == [pb.WATCH_CAUSE_KIND_SUPPLY]
        assert said(await told.next(pb.WATCH_KIND_ANSWER)) == ["hello"]
        await _stock(tact, 3)
        assert said(await told.next(pb.WATCH_KIND_ANSWER)) == ["phone"]
        await told.end()


async def test_who_is_erased_is_watched_no_longer(tmp_path: Path) -> None:
    """An erasure withdraws what was said, the safe answer follows, and the watch ends."""
    strategy = write_strategy(tmp_path / "strategy")
    async with service(tmp_path, strategy) as running, channel_to(running) as channel, client(running) as tact:
        await tact.set_consent("anna", "full")
        told = watch(channel, "anna", "desk", "offer")
        await told.next()
        await tact.rights.erase("anna")
        assert codes(await told.next(pb.WATCH_KIND_WITHDRAWN)) == [values_pb2.REASON_CODE_CUSTOMER_ERASED]
        last = await told.next(pb.WATCH_KIND_ANSWER)
        assert last.answer.decision_id == ""
        async with asyncio.timeout(10.0):
            assert [one async for one in told.call] == []


async def test_time_alone_changes_the_answer(tmp_path: Path) -> None:
    """What a report says of the stock holds no longer: from that moment on nothing is known of it, and what needs it is
    withdrawn, though nobody wrote anything. The cause that is told is time.
    """
    place = {"present.place": Value(string_value="hq")}
    async with (
        service(tmp_path, write_shop(tmp_path / "strategy")) as running,
        channel_to(running) as channel,
        client(running) as tact,
    ):
        await tact.set_consent("anna", "all")
        await _stock(tact, 3, for_ms=2_000)
        told, begun = watch(channel, "anna", "web", "hero", context=place), time.monotonic()
        assert said(await told.next()) == ["phone"]
        gone = await told.next(pb.WATCH_KIND_WITHDRAWN)
        assert [cause.kind for cause in gone.causes] == [pb.WATCH_CAUSE_KIND_TIME]
        assert 1.0 < time.monotonic() - begun < 3.0
        await told.end()


async def test_a_switch_is_told(tmp_path: Path) -> None:
    """The kill switch withdraws what is on a screen."""
    strategy = write_strategy(tmp_path / "strategy")
    async with service(tmp_path, strategy) as running, channel_to(running) as channel, client(running) as tact:
        await tact.set_consent("anna", "full")
        told = watch(channel, "anna", "desk", "offer")
        (offer,) = said(await told.next())
        await tact.control.switch_off(offer, because="a test", by="a test")
        gone = await told.next(pb.WATCH_KIND_WITHDRAWN)
        assert codes(gone)[0] == values_pb2.REASON_CODE_SWITCHED_OFF
        assert [cause.kind for cause in gone.causes] == [pb.WATCH_CAUSE_KIND_SWITCH]
        await told.end()


async def _stock(tact: TactClient, units: int, for_ms: int = 3_600_000) -> None:
    at = now_ms()
    (result,) = (await tact.report_supply([Report("phone", "hq", units, at, at + for_ms)]))["results"]
    assert result["status"] == "stored", result
