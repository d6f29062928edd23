"""Who withdraws their consent is no longer told about: all who watch hear it, and nothing personal after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from models.context import Purpose
from service.core.loader import load_strategy
from tact.client import AsyncClient
from tact.v1 import decision_pb2 as pb
from tests.cli.commands import DEMO
from tests.live.watch.world import Watcher, close_ticket, open_ticket, served, tell, watching
from tests.profile import cases

CUSTOMERS = cases(4, 100)
EACH = 2
"""How many watch each customer."""
SETTLES_S = 1.0
"""How long it takes until what is told at the one is known to the other: each changes what the other may say."""


async def test_after_a_withdrawal_nothing_personal_is_told(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """All watchers hear that the consent is withdrawn, and that a greeting by name is, with it; no message after that
    has the name, names a field that is hidden by now, or says from which event it came, whatever happens later.
    """
    customers = [f"customer-{number}" for number in range(CUSTOMERS)]
    hidden = {field.id for field in load_strategy(DEMO).schema.fields if field.purpose in tuple(Purpose)}
    with served(tmp_path) as service:
        async with AsyncClient(service.address, timeout_s=5.0) as tact:
            for customer in customers:
                await tact.set_consent(customer, "full")
                await tell(tact, customer, "profile.updated", first_name=_name(customer))
            async with watching(service.address, EACH * customers, every_cause=True) as watchers:
                await asyncio.sleep(SETTLES_S)
                before = {id(one): len(one.told) for one in watchers}
                named = {id(one) for one in watchers if _name(one.customer).encode() in _bytes([_last(one)])}
                for customer in customers:
                    await tact.set_consent(customer, "none")
                for one in watchers:
                    await one.until(_heard(one, before[id(one)], told=id(one) in named), "the withdrawal")
                for customer in customers:
                    await open_ticket(tact, customer, f"{customer}-late")
                    await close_ticket(tact, customer, f"{customer}-late")
                await asyncio.sleep(SETTLES_S)
                after = [(one, _after(one)) for one in watchers]
    record_property(
        "printed",
        f"{len(watchers)} watchers, {len(named)} greeted by name: all heard the withdrawal, nothing personal after it",
    )
    assert len(watchers) == EACH * CUSTOMERS
    assert len(named) == len(watchers)
    for one, messages in after:
        assert messages, one.heard
        assert _name(one.customer).encode() not in _bytes(messages), one.heard
        assert not {field for message in messages for field in _fields(message)} & hidden
        events = [cause for message in messages for cause in message.causes if cause.kind == pb.WATCH_CAUSE_KIND_EVENT]
        assert events
        assert not [cause for cause in events if cause.name or cause.id]


def _name(customer: str) -> str:
    return f"Canary{customer.partition('-')[2]}x"


def _bytes(messages: list[pb.WatchResponse]) -> bytes:
    return b"".join(message.SerializeToString() for message in messages)


def _is_withdrawal(message: pb.WatchResponse) -> bool:
    return any(cause.kind == pb.WATCH_CAUSE_KIND_CONSENT for cause in message.causes)


def _heard(one: Watcher, before: int, *, told: bool) -> Callable[[], bool]:
    """Return what tells whether the withdrawal was heard: as one of the greeting with an answer after it, where it had
    the name.
    """

    def heard() -> bool:
        kinds = [message.kind for message in one.messages[before:] if _is_withdrawal(message)]
        return {pb.WATCH_KIND_WITHDRAWN, pb.WATCH_KIND_ANSWER} <= set(kinds) if told else bool(kinds)

    return heard


def _last(one: Watcher) -> pb.WatchResponse:
    return [message for message in one.messages if message.kind == pb.WATCH_KIND_ANSWER][-1]


def _after(one: Watcher) -> list[pb.WatchResponse]:
    """Return the withdrawal itself and all that came after it."""
    begun = next(place for place, message in enumerate(one.messages) if _is_withdrawal(message))
    return one.messages[begun:]


def _fields(message: pb.WatchResponse) -> set[str]:
    reasons = [*(why for gone in message.withdrawn for why in gone.reasons)]
    reasons += [why for placed in message.answer.answers for why in placed.reasons]
    return {field for why in reasons for field in why.fields}
