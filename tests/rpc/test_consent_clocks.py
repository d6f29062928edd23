"""Consents through several processes, none of whose clocks is the right one."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from service.rpc.checks import timestamp
from tact.v1 import context_pb2 as pb
from tact.v1.context_pb2_grpc import ContextServiceStub
from tests.rpc.messages import consent
from tests.rpc.world import calling, edge_of, store_at


@pytest.mark.parametrize("given_ms", [None, 30_000, 299_000])
async def test_a_clock_that_runs_ahead_refuses_no_withdrawal(clean_store_url: str, given_ms: int | None) -> None:
    """Agreed through a process or by a caller whose clock is ahead, a consent is withdrawn through another at once."""
    now_ms = time.time_ns() // 1_000_000
    given = {} if given_ms is None else {"given_at": timestamp(now_ms + given_ms)}
    async with store_at(clean_store_url) as store:
        ahead = replace(edge_of(stores=store), clock=lambda: now_ms + 30_000)
        exact = replace(edge_of(stores=store), clock=lambda: now_ms)
        async with calling(ahead) as one, calling(exact) as other:
            agreed = await ContextServiceStub(one).SetConsent(consent(level="full", **given))
            withdrawn = await ContextServiceStub(other).SetConsent(consent(level="none"))
            shown = await ContextServiceStub(one).GetConsent(pb.GetConsentRequest(customer_id="c-1"))
    assert shown.consent == withdrawn.consent
    assert shown.consent.level == "none"
    moments = [one.consent.given_at.ToMilliseconds() for one in (agreed, withdrawn)]
    assert moments[0] <= moments[1] <= shown.consent.arrived_at.ToMilliseconds()
