"""Who goes on with a watch is told what was withdrawn meanwhile, and nothing that was not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc

from tact.v1 import decision_pb2 as pb
from tact.v1 import values_pb2
from tests.live.watch.at_hand import channel_to, codes, said, service, watch
from tests.live.watch.test_bounds import ended
from tests.live.watch.test_stories import ONE_OFFER, SURE, client, opened
from tests.strategies import write_strategy


async def test_what_was_switched_off_meanwhile_is_withdrawn(tmp_path: Path) -> None:
    """The offer on the screen was switched off while its watch was away: that is told, with a cause, though nobody
    noted it; and the cap that the offer used is free again when it is switched on.
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
        await tact.control.switch_off(offer, because="a test", by="a test")
        on = watch(channel, "anna", "desk", "offer", cursor=begun.cursor)
        gone = await on.next()
        assert gone.kind == pb.WATCH_KIND_WITHDRAWN
        assert codes(gone)[0] == values_pb2.REASON_CODE_SWITCHED_OFF
        assert [cause.kind for cause in gone.causes] == [pb.WATCH_CAUSE_KIND_UNSPECIFIED]
        assert said(await on.next(pb.WATCH_KIND_ANSWER)) != [offer]
        await tact.control.switch_on(offer, "a test")
        assert said(await on.next(pb.WATCH_KIND_ANSWER)) == [offer], "what was taken back uses up no cap"
        await on.end()


async def test_a_cursor_goes_with_its_question(tmp_path: Path) -> None:
    """Sent with other placements, or for another channel, a cursor is refused as what it is: a bad field."""
    async with service(tmp_path, write_strategy(tmp_path / "s")) as running, channel_to(running) as channel:
        first = watch(channel, "anna", "desk", "offer")
        cursor = (await first.next()).cursor
        await first.end()
        for where, placements in (("desk", ("greeting", "offer")), ("desk", ("greeting",)), ("web", ("hero",))):
            told = watch(channel, "anna", where, *placements, cursor=cursor)
            assert await ended(told) is grpc.StatusCode.INVALID_ARGUMENT
            assert str(await told.call.details()).startswith("cursor")
        async with asyncio.timeout(10.0):
            same = watch(channel, "anna", "desk", "offer", cursor=cursor)
            await same.next(pb.WATCH_KIND_HEARTBEAT)
            await same.end()
