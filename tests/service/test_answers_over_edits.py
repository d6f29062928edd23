"""What is answered to one version of a strategy counts for those that follow, whichever of them hears of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.app import start
from service.config import Settings, StorePlace
from service.rpc.client import Answer, Ask, Outcome, TactClient
from tests.service.test_answers_count import action_of, vetoes_of
from tests.strategies import SECTIONS, edited, write_strategy

NEVER = """\
cool_offs:
  - {id: never-is-never, says: Never., about: {kinds: [offer]}, after: [never], permanent: true, per: [group]}
"""
SEEN = """\
caps: [{id: seen-once, says: One a week., count: {kinds: [offer]}, at_most: 1, within: 7d, counts: shown, hold: 1m}]
"""
DSL = """\
  - id: dsl
    kind: offer
    says: Not as fast.
    intents: [upsell]
    group: internet
    value: 1.0
    propensity: 0.01
    treatments: [{channel: web, placements: [hero], text: DSL.}]
"""
NAMED = {section: text for section, text in SECTIONS.items() if "fibre-upgrade" in text}


def edition(folder: Path, fibre: str = "fibre-upgrade", group: str = "internet", **sections: str | None) -> Path:
    """Write a strategy whose first offer has another name or group."""
    edits = {section: text.replace("fibre-upgrade", fibre) for section, text in NAMED.items()}
    edits["actions"] = edits["actions"].replace("group: internet", f"group: {group}") + DSL
    plain = {"model": None, "guardrails": None, "caps": "caps: []\n"}
    exact = edited("strategy", "explore: 0.05", "explore: 0.0")
    return write_strategy(folder, **{**edits, **plain, "strategy": exact, **sections})


class Versions:
    """Services over one store, each with a version of its own."""

    def __init__(self, url: str, opened: AsyncExitStack) -> None:
        self._url = url
        self._opened = opened

    async def serve(self, strategy: Path) -> TactClient:
        """Serve a version."""
        running = await start(Settings(store=StorePlace.parse(self._url), strategy=strategy, port=0, store_wait_s=5.0))
        self._opened.push_async_callback(running.stop)
        return await self._opened.enter_async_context(TactClient(running.address, timeout_s=20.0))


@asynccontextmanager
async def versions_at(url: str) -> AsyncIterator[Versions]:
    """Serve versions that end with the test."""
    async with AsyncExitStack() as opened:
        yield Versions(url, opened)


async def ask(tact: TactClient, customer: str = "ada") -> Answer:
    """Ask what is said on the web."""
    return await tact.decide(Ask(customer, "web", ("hero",), explain=True))


@pytest.mark.parametrize("hears", ["before", "after"])
@pytest.mark.parametrize("edit", ["withdrawn", "moved"])
async def test_a_never_rests_the_group_that_was_refused_whichever_version_hears_of_it(
    clean_store_url: str, tmp_path: Path, edit: str, hears: str
) -> None:
    """The action is withdrawn, or put into another group: all of the group that it was of then rests."""
    async with versions_at(clean_store_url) as versions:
        before = await versions.serve(edition(tmp_path / "before", cool_offs=NEVER))
        other = {"withdrawn": {"fibre": "fibre-two"}, "moved": {"group": "net"}}[edit]
        after = await versions.serve(edition(tmp_path / "after", cool_offs=NEVER, **other))
        await before.set_consent("ada", "full", ("email",))
        said = await ask(before)
        assert action_of(said) == "fibre-upgrade"
        await {"before": before, "after": after}[hears].record_outcomes(
            [Outcome(said["decision_id"], "fibre-upgrade", "never")]
        )
        for version in (before, after):
            assert vetoes_of(await ask(version), "dsl") == {"never_again": "never-is-never"}


async def test_what_was_shown_counts_when_it_is_told_to_a_version_that_counts_nothing_shown(
    clean_store_url: str, tmp_path: Path
) -> None:
    """The use that the decision reserved stays a use: the version whose cap it is never shows a second one."""
    async with versions_at(clean_store_url) as versions:
        counting = await versions.serve(edition(tmp_path / "counting", caps=SEEN))
        other = await versions.serve(edition(tmp_path / "other"))
        await counting.set_consent("ada", "full", ("email",))
        said = await ask(counting)
        assert action_of(said) == "fibre-upgrade"
        await other.record_outcomes([Outcome(said["decision_id"], "fibre-upgrade", "shown")])
        (capped,) = next(f for f in (await ask(counting))["explanation"]["actions"] if f["action_id"] == "dsl")[
            "vetoes"
        ]
        assert capped["code"] == "cap_reached"
        assert datetime.fromisoformat(capped["until"]) > datetime.now(UTC) + timedelta(days=6), "longer than the hold"
