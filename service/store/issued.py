"""Decisions that were made: what was said to whom, and as far as it is asked for what came with the request."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from models.context import Scalar
from service.core import plan
from service.core.explained import Logged
from service.core.validity import Issued
from service.store import keys
from service.store.calls import Calls, StoreUnreadable
from service.store.replies import committed_of

_said = msgspec.msgpack.Decoder(tuple[tuple[str, str], ...]).decode
_scalar = msgspec.msgpack.Decoder(bool | int | float | str | tuple[str, ...] | None).decode


def _outcome(name: str) -> tuple[str, int]:
    action, _, kind = name.rpartition("|")
    return action, int(kind)


class IssuedStore:
    """Reads decisions. Raises a `StoreError` when the store does not do what it is asked.

    The store takes each log entry apart by itself: what was known of the customer when it was decided stays there.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def issued(self, decision_id: str, deadline_s: float | None = None) -> Issued | None:
        """Return what was said and to whom; None when there is no such decision (any more)."""
        customer, channel, at_ms, strategy, said, names, level = await self._called(
            "issued", decision_id, (), 8, deadline_s
        )
        if customer is None:
            return None
        where = customer.decode(), channel.decode(), int(at_ms), strategy.decode()
        try:
            outcomes = tuple(sorted(_outcome(name.decode()) for name in names))
            return Issued(decision_id, *where, _said(said), outcomes, level.decode())
        except (msgspec.DecodeError, ValueError):
            raise StoreUnreadable("A stored decision cannot be read.") from None

    async def logged(self, decision_id: str, deadline_s: float | None = None) -> Logged | None:
        """Return a decision as it was logged, with what was known of the customer then; None when there is none."""
        place = keys.decision_key(decision_id), keys.log_key(decision_id[:3])
        reply = await self._calls.function(
            "logged", place, (decision_id,), about=decision_id.encode(), length=5, deadline_s=deadline_s
        )
        customer, entry, chosen, bound = reply[1:]
        if customer is None:
            return None
        try:
            return Logged(plan.unpack(entry), committed_of(entry, b"", chosen, bound, repeated=True))
        except (msgspec.DecodeError, ValueError):
            raise StoreUnreadable("A stored decision cannot be read.") from None

    async def given(
        self, decision_id: str, fields: Collection[int], deadline_s: float | None = None
    ) -> Mapping[int, Scalar]:
        """Return what these fields of the strategy, by index, were when it was decided; unknown ones are left out."""
        (values,) = await self._called("given", decision_id, tuple(fields), 2, deadline_s)
        if values is None:
            return {}
        try:
            known = {field: _scalar(value) for field, value in zip(fields, values, strict=True) if value is not None}
        except (msgspec.DecodeError, ValueError):
            raise StoreUnreadable("A stored decision cannot be read.") from None
        return {field: value for field, value in known.items() if value is not None}

    async def _called(
        self, function: str, decision_id: str, fields: Collection[int], length: int, deadline_s: float | None
    ) -> list[Any]:
        place = keys.decision_key(decision_id), keys.log_key(decision_id[:3]), keys.outcomes_key(decision_id)
        reply = await self._calls.function(
            function, place, (decision_id, *fields), about=decision_id.encode(), length=length, deadline_s=deadline_s
        )
        return reply[1:]
