"""What a challenger made of a person is kept about the person, so it is in the export."""

from __future__ import annotations

from msgspec.structs import replace

from service.core import plan
from service.core.decision import Committed
from service.core.engine import Engine
from service.core.plan import Shadow, Shadowed
from service.core.rights import KeptDecision
from service.core.words import Words
from service.decide import Decider
from service.rpc.convert_rights import decision_item
from service.rpc.plain import plain
from tests.rpc.test_export import an_entry
from tests.rpc.world import NOW_MS, edge_of, store_at, strategy


async def test_what_a_challenger_said_is_in_the_export(store_url: str) -> None:
    """Its version and its scores are told at each placement; a decision without one tells none."""
    scores = (Shadowed("phone", 0.75, None, 3.5, 0.5), Shadowed("sim", 0.25, 0.125, -1.0, 0.0))
    shadow = Shadow("rival@0123456789ab", ((), scores), "", ("", "phone"))
    entry = replace(an_entry(strategy().version), shadow=shadow)
    committed = Committed(plan.pack(entry), b"", (0, 0), (), True)
    async with store_at(store_url) as store:
        decider = Decider(Engine(strategy(), None), store.customers, bytes, lambda: NOW_MS)
        edge = edge_of(decider, store)
        kept, words = KeptDecision(NOW_MS, entry, committed), Words.of(strategy())
        first, second = plain(decision_item("anna", kept, edge, words).decision)["choices"]
        kept = KeptDecision(NOW_MS, replace(entry, shadow=None), committed)
        without, _ = plain(decision_item("anna", kept, edge, words).decision)["choices"]
    assert (first["shadow"], first["shadow_model"]) == ([], "rival@0123456789ab")
    assert [(one["action_id"], one["propensity"], one["net_value"]) for one in second["shadow"]] == [
        ("phone", 0.75, 3.5),
        ("sim", 0.25, -1.0),
    ]
    assert (without["shadow"], without["shadow_model"]) == ([], "")
