"""The store's part of a decision is measured of calls that were made, each of them done."""

from __future__ import annotations

import asyncio
from pathlib import Path

from redis import Redis

from benchmarks.commit_script import Size, figures_of, measured, uses
from service.store.embedded import EmbeddedStore


def test_every_call_is_made_and_every_commit_logged(tmp_path: Path) -> None:
    """As many decisions are in the store's log as commits were counted, and each call has a value a round."""
    store = EmbeddedStore(tmp_path / "store")
    with store as url, Redis.from_url(url) as raw:
        found = asyncio.run(measured(url, store.processes[1], 2, Size(customers=10, calls=40), many=True))
        assert sum(raw.xlen(key) for key in raw.scan_iter(match="tact:{???}:log")) == 2 * 40
        stats = raw.info("commandstats")
        assert stats["cmdstat_fcall_ro"]["calls"] == 2 * 40
    assert {name: len(values) for name, values in found.items()} == {"plain read": 2, "read": 2, "commit": 2}
    assert all(value > 0 for values in found.values() for value in values)


def test_the_ratio_is_that_of_both_calls_to_one_plain_read() -> None:
    """Read and commit of a round are added, and divided by the plain read of the same round."""
    *_, ratio = figures_of({"plain read": (2.0, 4.0), "read": (3.0, 6.0), "commit": (5.0, 2.0)}, {"cap_uses": 1})
    assert (ratio.subject, ratio.values, ratio.unit) == ("read and commit / plain read", (4.0, 2.0), "x")


def test_a_busy_customer_has_many_uses() -> None:
    """Of whom much was said have dozens of cap uses, the others one."""
    assert [sum(map(len, uses(10**12, many=many).values())) for many in (False, True)] == [1, 66]
