"""Nobody is counted as told what they were never told, however long the store took for it."""

from __future__ import annotations

from pathlib import Path

from redis import Redis

from service.app import start
from service.config import Settings, StorePlace
from service.rpc.client import Ask, TactClient
from tests.service.test_answers_count import action_of, vetoes_of
from tests.strategies import edited, write_strategy

STALLED_MS = 600
AT_MOST = 2
CAPS = f"caps:\n  - {{id: offers, says: Offers., count: {{kinds: [offer]}}, at_most: {AT_MOST}, within: 7d}}\n"
STORY = "consistency:\n  - {id: story, says: One story., keep: {kinds: [offer]}, for: 7d, until_changes: []}\n"
EDITS = {"caps": CAPS, "consistency": STORY, "guardrails": None, "model": None}


async def test_a_store_that_stalls_uses_up_no_caps_and_makes_no_promises(clean_store_url: str, tmp_path: Path) -> None:
    """After more stalled commits than a cap allows offers, each answered safely, as many offers are left as before."""
    exact = edited("strategy", "explore: 0.05", "explore: 0.0")
    folder = write_strategy(tmp_path / "strategy", strategy=exact, **EDITS)
    running = await start(Settings(store=StorePlace.parse(clean_store_url), strategy=folder, port=0))
    try:
        async with TactClient(running.address, timeout_s=20.0) as tact:
            await tact.set_consent("ada", "full", ("email",))
            for _ in range(AT_MOST + 1):
                with Redis.from_url(clean_store_url) as raw:
                    raw.execute_command("CLIENT", "PAUSE", STALLED_MS, "WRITE")
                    stalled = await tact.decide(Ask("ada", "web", ("hero",)))
                    assert not stalled["decision_id"]
                    raw.set("written", "when the store goes on")
            said = [await tact.decide(Ask("ada", "web", ("hero",), explain=True)) for _ in range(AT_MOST + 1)]
            assert vetoes_of(said[0], "new-phone") == {}
            assert [action_of(one) for one in said[:AT_MOST]] == ["fibre-upgrade"] * AT_MOST
            assert action_of(said[AT_MOST]) not in ("fibre-upgrade", "new-phone")
    finally:
        await running.stop()
