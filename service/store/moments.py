"""Moments of triggers: those that are due are lent to consumers, one each, until one of them has finished.

All that is written about a moment is written in one call, beside what events do to it (service/store/lua/moments.lua).
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Sequence
from enum import IntEnum
from itertools import chain
from typing import Any

import msgspec

from service.core.due import DELIVERIES, NOTHING, Lent, Name, State, Waiting
from service.store import keys
from service.store.calls import Calls, StoreUnreadable
from service.store.connection import Argument, pack
from service.store.retention import Retention, milliseconds

LOOKED_AT_ONCE = 64
"""How many buckets are looked at in one go, so that decisions in between do not wait long."""
LENT_AT_ONCE = 32
"""How many moments are asked for at once."""
SCANNED_AT_ONCE = 1_000
"""How much of what a bucket lists is looked through at once."""
_SEPARATOR = "\x1f"
_NOT_PLAIN = re.compile(r"[][*?\\^-]")
_decode = msgspec.msgpack.Decoder(State).decode


class Asked(IntEnum):
    """What became of a moment that was asked for."""

    GONE = 0
    TAKEN = 1
    LENT = 2
    DEAD = 3


class MomentStore:
    """Lends moments, and notes what becomes of them.

    Raises a `StoreError` when the store does not do it; repeating a call is safe. `channels` are those of triggers now.
    """

    def __init__(self, calls: Calls, retention: Retention, channels: Collection[str] = ()) -> None:
        self._calls = calls
        self._channels = frozenset(channels)
        self._kept_ms = milliseconds(retention.context)

    async def due(
        self, channel: str, now_ms: int, most: int, deadline_s: float | None = None
    ) -> AsyncIterator[tuple[Name, ...]]:
        """Yield moments that are due on a channel, up to `most` of a bucket at a time.

        Every bucket is looked at once. Somebody else may have been lent one of them meanwhile.
        """
        first = random.randrange(keys.BUCKETS)  # noqa: S311 - spreads the consumers; nobody gains by guessing it
        buckets = [f"{(first + step) % keys.BUCKETS:03x}" for step in range(keys.BUCKETS)]
        for start in range(0, keys.BUCKETS, LOOKED_AT_ONCE):
            looked_at = buckets[start : start + LOOKED_AT_ONCE]
            asked = (
                self._calls.call(
                    pack("ZRANGEBYSCORE", keys.due_key(one, channel), "-inf", now_ms, "LIMIT", 0, most), deadline_s
                )
                for one in looked_at
            )
            for members in await asyncio.gather(*asked):
                if members:
                    yield tuple(_name(member, channel) for member in members)

    async def lend(
        self, names: Sequence[Name], lease_s: float, deadline_s: float | None = None
    ) -> tuple[tuple[Lent, ...], int]:
        """Lend moments for `lease_s` seconds; return those that are lent now, and how many nobody could finish."""
        lent: list[Lent] = []
        dead = 0
        for start in range(0, len(names), LENT_AT_ONCE):
            asked = (self._lend(name, lease_s, deadline_s) for name in names[start : start + LENT_AT_ONCE])
            for fate, one in await asyncio.gather(*asked):
                dead += fate is Asked.DEAD
                if one is not None:
                    lent.append(one)
        return tuple(lent), dead

    async def _lend(self, name: Name, lease_s: float, deadline_s: float | None) -> tuple[Asked, Lent | None]:
        more = (round(1000 * lease_s), DELIVERIES, self._kept_ms)
        _, fate, loan, packed = await self._about("moment_lend", name, more, 4, deadline_s, dead=True)
        asked = Asked(fate)
        return asked, Lent(name, loan.decode(), _state(packed)) if asked is Asked.LENT else None

    async def sent(self, lent: Lent, decision_id: str, lease_s: float, deadline_s: float | None = None) -> Lent | None:
        """Note that a moment is sent now, and lend it from now on; None where it is not to be sent any more."""
        more = (lent.loan, round(1000 * lease_s), decision_id)
        _, held, loan = await self._about("moment_sent", lent.name, more, 3, deadline_s)
        return Lent(lent.name, loan.decode(), lent.state) if held else None

    async def end(self, name: Name, loan: str, how: str, deadline_s: float | None = None) -> bool:
        """End a moment that is lent, and note how; False where the loan holds no more."""
        return bool((await self._about("moment_end", name, (loan, how), 2, deadline_s))[1])

    async def later(self, name: Name, loan: str, at_ms: int, deadline_s: float | None = None, *, anew: bool) -> bool:
        """Give a moment back until later, to be decided `anew` or, else, because a consumer said that it failed.

        False where the loan holds no more.
        """
        return bool((await self._about("moment_later", name, (loan, at_ms, int(anew)), 2, deadline_s))[1])

    async def give_back(self, name: Name, loan: str, at_ms: int, deadline_s: float | None = None) -> bool:
        """Give back what was lent and never sent, as if it had not been lent; False where the loan holds no more."""
        return bool((await self._about("moment_later", name, (loan, at_ms, 2), 2, deadline_s))[1])

    async def held(self, moments: Sequence[Lent], deadline_s: float | None = None) -> tuple[Lent, ...]:
        """Return those that are still lent as they say, in time or not: not ended, cancelled or lent again since."""
        by_place: dict[bytes, list[Lent]] = defaultdict(list)
        for lent in moments:
            by_place[keys.due_key(keys.bucket(lent.name.customer), lent.name.channel)].append(lent)
        asked = (
            self._calls.call(pack("ZMSCORE", place, *(_member(lent.name) for lent in some)), deadline_s)
            for place, some in by_place.items()
        )
        found = await asyncio.gather(*asked)
        scored = zip(chain.from_iterable(by_place.values()), chain.from_iterable(found), strict=True)
        return tuple(lent for lent, score in scored if score is not None and float(score) == float(lent.loan))

    async def known(
        self, customer: str, trigger: str, key: str, deadline_s: float | None = None
    ) -> tuple[State, State]:
        """Return what is kept of a trigger and key of one id, and of the trigger under the key of the id as a whole."""
        reply = await self._calls.function(
            "moment_known", (keys.moments_key(customer),), (customer, trigger, key),
            about=customer.encode(), length=2, deadline_s=deadline_s,
        )  # fmt: skip
        one, of_all = reply[1]
        return _state(one) if one else NOTHING, _state(of_all) if of_all else NOTHING

    async def told(self, customer: str, deadline_s: float | None = None) -> tuple[tuple[str, str, State], ...]:
        """Return all that is kept under one id: trigger, key and what is known, nothing where it cannot be read."""
        reply = await self._calls.function(
            "moments_told", (keys.moments_key(customer),), (customer,),
            about=customer.encode(), length=2, deadline_s=deadline_s,
        )  # fmt: skip
        flat = reply[1]
        fields = (field.decode().partition(_SEPARATOR) for field in flat[::2])
        states = (_readable(packed) for packed in flat[1::2])
        return tuple((field[0], field[2], state) for field, state in zip(fields, states, strict=True))

    async def forget(self, customer: str, deadline_s: float | None = None) -> int:
        """Remove all that is kept under one id; return how much that was.

        What is due or dead goes also where nothing else is known of it any more.
        """
        kept, bucket = await self.told(customer, deadline_s), keys.bucket(customer)
        place, own = [keys.moments_key(customer)], {(trigger, key) for trigger, key, _ in kept}
        alone: set[tuple[str, str]] = set()
        for channel in self._channels.union(state.channel for _, _, state in kept if state.channel):
            for one in (keys.due_key(bucket, channel), keys.dead_key(bucket, channel)):
                place.append(one)
                alone |= await self._listed(one, customer, deadline_s) - own
        if not own | alone:
            return 0
        named = [part for pair in own | alone for part in pair]
        reply = await self._calls.function(
            "moments_forget", place, (customer, *named), about=customer.encode(), length=2, deadline_s=deadline_s
        )
        forgotten: int = reply[1]
        return forgotten + len(alone)

    async def _listed(self, place: bytes, customer: str, deadline_s: float | None) -> set[tuple[str, str]]:
        """Return trigger and key of all that a bucket lists of one id, looking through it a part at a time."""
        like = f"*{_SEPARATOR}{_escaped(customer)}{_SEPARATOR}*"
        found: set[tuple[str, str]] = set()
        cursor = b"0"
        while True:
            asked = pack("ZSCAN", place, cursor, "MATCH", like, "COUNT", SCANNED_AT_ONCE)
            cursor, flat = await self._calls.call(asked, deadline_s)
            names = (_name(member, "") for member in flat[::2])
            found.update((name.trigger, name.key) for name in names if name.customer == customer)
            if cursor == b"0":
                return found

    async def dead(
        self, channel: str, most: int, deadline_s: float | None = None, *, customer: str = ""
    ) -> tuple[Waiting, ...]:
        """Return moments on a channel that no consumer finished, `most` at most; only of one id, where it is named."""
        if customer:
            listed = await self._listed(keys.dead_key(keys.bucket(customer), channel), customer, deadline_s)
            names = [Name(customer, trigger, key, channel) for trigger, key in sorted(listed)]
            return tuple([one for name in names[:most] if (one := await self._dead(name, deadline_s))])
        found: list[Waiting] = []
        for start in range(0, keys.BUCKETS, LOOKED_AT_ONCE):
            buckets = [f"{number:03x}" for number in range(start, start + LOOKED_AT_ONCE)]
            asked = (
                self._calls.call(pack("ZRANGE", keys.dead_key(one, channel), 0, most - 1), deadline_s)
                for one in buckets
            )
            for flat in await asyncio.gather(*asked):
                for member in flat:
                    if one := await self._dead(_name(member, channel), deadline_s):
                        found.append(one)
                    if len(found) == most:
                        return tuple(found)
        return tuple(found)

    async def _dead(self, name: Name, deadline_s: float | None) -> Waiting | None:
        """Return a moment that is listed as dead; None, and it is listed no more, where it was cancelled since."""
        state, of_all = await self.known(name.customer, name.trigger, name.key, deadline_s)
        if state.dead and state.moment_of(name, of_all.cell):
            place, member = keys.dead_key(keys.bucket(name.customer), name.channel), _member(name)
            since = await self._calls.call(pack("ZSCORE", place, member), deadline_s)
            return Waiting(name, int(float(since)), state) if since is not None else None
        await self.release(name, deadline_s)
        return None

    async def release(self, name: Name, deadline_s: float | None = None, *, give_up: bool = False) -> bool:
        """Let a moment that no consumer finished be due again, or give it up; False where it is none of these."""
        return bool((await self._about("moment_release", name, (int(give_up),), 2, deadline_s, dead=True))[1])

    async def _about(
        self,
        function: str,
        name: Name,
        more: Sequence[Argument],
        length: int,
        deadline_s: float | None,
        *,
        dead: bool = False,
    ) -> list[Any]:
        bucket = keys.bucket(name.customer)
        place = [keys.moments_key(name.customer), keys.due_key(bucket, name.channel)]
        if dead:
            place.append(keys.dead_key(bucket, name.channel))
        return await self._calls.function(
            function, place, (name.customer, name.trigger, name.key, name.channel, *more),
            about=name.customer.encode(), length=length, deadline_s=deadline_s,
        )  # fmt: skip


def _escaped(text: str) -> str:
    """Return a text as a pattern that only the text itself fits."""
    return _NOT_PLAIN.sub(r"\\\g<0>", text)


def _member(name: Name) -> str:
    return _SEPARATOR.join((name.trigger, name.customer, name.key))


def _name(member: bytes, channel: str) -> Name:
    trigger, customer, key = member.decode().split(_SEPARATOR, 2)
    return Name(customer, trigger, key, channel)


def _readable(packed: bytes) -> State:
    try:
        return _state(packed)
    except StoreUnreadable:
        return NOTHING


def _state(packed: bytes) -> State:
    try:
        return _decode(packed)
    except msgspec.DecodeError:
        raise StoreUnreadable("What is kept of a trigger cannot be read.") from None
