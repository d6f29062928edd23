"""What is due is looked at again as it is sent: what became of its reason meanwhile counts, and costs nothing."""

from __future__ import annotations

from pathlib import Path

from service.core.due import Lent
from service.rpc.client import TactClient
from service.triggering import Triggering
from tests.live.triggers.world import CHANNEL, agreed, bought, client_of, happened, left, serving, told

LONG_S, WAIT_S = 60.0, 5.0


async def lent_by(triggering: Triggering) -> list[Lent]:
    """Lend everything that is due."""
    found: list[Lent] = []
    async for names in triggering.due(CHANNEL, 10, WAIT_S):
        found += await triggering.lend(names, LONG_S, WAIT_S)
    return found


class BuysMeanwhile:
    """Decides as the decider does, and lets the cart be bought before the answer is there."""

    def __init__(self, decider: object, tact: TactClient, customer: str) -> None:
        self._decider, self._tact, self._customer = decider, tact, customer

    async def decide(self, *given: object) -> object:
        """Decide, and then it is bought."""
        decided = await self._decider.decide(*given)  # type: ignore[attr-defined]  # it is the decider
        await told(self._tact, bought(self._customer))
        return decided


async def test_what_is_bought_while_it_is_decided_is_not_sent(clean_store_url: str, tmp_path: Path) -> None:
    """Between the decision and the sending the reason went: nothing is sent, and nothing stays counted."""
    async with serving(clean_store_url, tmp_path) as running, client_of(running) as tact:
        await agreed(tact, "ina")
        await told(tact, left("ina"))
        triggering = running.generations.current.edge.triggering
        assert isinstance(triggering, Triggering)
        (one,) = await lent_by(triggering)
        triggering._decider = BuysMeanwhile(triggering._decider, tact, "ina")  # type: ignore[assignment]
        assert await triggering.sendable(one, LONG_S, WAIT_S) is None
        kept = [item async for kind, item in tact.rights.export("ina") if kind == "cap_uses"]
        assert not [use for use in kept if use["used_at"]], kept


async def test_what_another_id_ends_while_it_is_decided_is_not_sent(clean_store_url: str, tmp_path: Path) -> None:
    """The purchase came in under the other id of the person, whose keys stand elsewhere."""
    async with serving(clean_store_url, tmp_path) as running, client_of(running) as tact:
        await agreed(tact, "ina")
        await told(tact, left("visitor"))
        await tact.identities.link("visitor", "ina")
        triggering = running.generations.current.edge.triggering
        assert isinstance(triggering, Triggering)
        (one,) = await lent_by(triggering)
        triggering._decider = BuysMeanwhile(triggering._decider, tact, "ina")  # type: ignore[assignment]
        assert await triggering.sendable(one, LONG_S, WAIT_S) is None


async def test_what_is_held_back_takes_the_reason_along(clean_store_url: str, tmp_path: Path) -> None:
    """The store keeps by which rule a moment was suppressed, and the export tells it."""
    async with serving(clean_store_url, tmp_path) as running, client_of(running) as tact:
        await agreed(tact, "ina")
        await told(tact, left("ina"), happened("ina", "ticket.opened", "t1", ticket="t1"))
        triggering = running.generations.current.edge.triggering
        assert isinstance(triggering, Triggering)
        (one,) = await lent_by(triggering)
        assert await triggering.sendable(one, LONG_S, WAIT_S) is None
        (moment,) = [item async for kind, item in tact.rights.export("ina") if kind == "moment"]
        assert moment["done"] == "suppressed by help-first"
