"""Nothing is kept for ever but what is listed: each kind of keys has its time, and the docs say the same."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta
from typing import Any, cast

import pytest
from msgspec.structs import replace
from redis import Redis

from models.fold_merge import stored_fields
from models.schema import load_context
from service.core.archived import Part, PartKind
from service.core.audit import Who
from service.core.decision import Counter, Counting, Take
from service.core.due import DELIVERIES, Name
from service.core.records import EventToFold
from service.core.supplies import SupplyReport, Wanted, Wanting
from service.core.triggers import Arm
from service.store.archive import ArchiveStore
from service.store.audit import AuditStore
from service.store.events import EventStore
from service.store.heard import HeardStore
from service.store.purposes import PurposeStore
from service.store.retention import KINDS, Kind, Retention
from service.store.rights import RightsStore
from service.store.store import Store
from service.store.suppression import Suppression
from service.store.switches import SwitchStore
from tests.project.tree import ROOT
from tests.rpc.world import strategy
from tests.store.persons import KEY, NOW_MS, Died, Dying, a_commit, fill, noted, opened


async def exercise(store: Store) -> None:
    """Have the store keep something of every kind."""
    for customer in ("anna", "visitor"):
        await fill(store, customer, "any")
    take = Take("a", "truck", "berlin", 2, 900_000)
    await store.supply.report(SupplyReport("truck", "berlin", 5, NOW_MS, NOW_MS + 1))
    await store.supply.report(SupplyReport("truck", "berlin", 5, 2 * NOW_MS, 2 * NOW_MS + 1))
    for key in ("held", "accepted"):
        await store.supply.grant(take, a_commit("anna", key).decision_id)
    await store.supply.accept(take, a_commit("anna", "accepted").decision_id, None)
    two_years = Counter("seldom", 1, 730 * 86_400_000)
    await store.households.grant("home", a_commit("anna", "any").decision_id, 2 * NOW_MS, [[("a", (two_years,))]])
    await store.demand.tell("process", 1, (Wanted("truck", "berlin", Wanting(1), 1, 1),))
    await store.words.keep(strategy())
    parts = ArchiveStore(store.calls, Retention(), (Part(PartKind.MODEL, "a@0123456789ab", b"packed"),))
    await parts.keep()
    assert await parts.identified() == await parts.identity() != ""
    await store.identities.link("visitor", "anna")
    await fill(store, "carl", "any")
    for customer in ("nobody", "carl"):
        await store.rights.erase(customer)
    calls: Any = Dying(store.calls, 8)
    rights = RightsStore(calls, Suppression(KEY), store.identities, store.supply, Retention(), store.moments)
    with pytest.raises(Died):
        await rights.erase("anna")
    await fill(store, "bea", "any")
    await store.events.fold("bea", [noted(f"many {n}") for n in range(140)])
    keeping = EventStore(store.calls, Retention(), Suppression(KEY), letters={"noted": "s"})
    await keeping.fold("bea", [EventToFold("for the journey", NOW_MS, (), type="noted")])
    arming = EventStore(store.calls, Retention(), Suppression(KEY), channels={"cart": "email"})
    for at_ms in (NOW_MS // 2, 2 * NOW_MS):
        arm = Arm("cart", f"{at_ms}", at_ms, min(at_ms, time.time_ns() // 1_000_000 + 86_400_000), 0)
        await arming.fold("bea", [EventToFold(f"cart {at_ms}", NOW_MS, (), changes=(arm,))])
    for _ in range(DELIVERIES + 1):
        await store.moments.lend([Name("bea", "cart", f"{NOW_MS // 2}", "email")], 0.0)
    counting = Counting("shop", 3, 3_600_000, 3_600_000, (("a", "", 0.5),))
    await store.customers.commit(replace(a_commit("bea", "counted"), counting=counting))
    await PurposeStore(store.calls, stored_fields(load_context(ROOT / "strategies" / "demo"))).claim()
    switches = SwitchStore(store.calls)
    await switches.spread((await switches.set("a", ("A typing error.", "olga")))[0])
    await AuditStore(store.calls, Suppression(KEY), (("small@1", "", ""), Who("tact", "here"))).note_in_force()


def kind_of(key: bytes) -> Kind:
    """Return the one kind that a key is of."""
    kinds = [kind for kind in KINDS if kind.names(key)]
    assert len(kinds) == 1, (
        f"{key!r} is of {len(kinds)} kinds; list it in service/store/retention.py and docs/rights.md"
    )
    return kinds[0]


async def test_every_key_is_listed_and_only_listed_ones_stay(clean_store_url: str) -> None:
    """After everything was used: each key is of one kind, lives no longer than that says, and each kind was seen."""
    async with opened(clean_store_url) as store:
        await exercise(store)
        await HeardStore(store.calls, Suppression(KEY)).listen("bea", 0, 0)
    seen: dict[str, Kind] = {}
    with Redis.from_url(clean_store_url) as raw:
        for key in cast(Iterator[bytes], raw.scan_iter()):
            kind, lives_ms = kind_of(key), raw.pttl(key)
            seen[kind.pattern] = kind
            if kind.seconds:
                assert 0 < lives_ms <= 1000 * kind.seconds, key
            elif not kind.kept:
                assert lives_ms == -1, key
            elif kind.kept != "supply":  # kept until its report ends, and then for so long
                kept_ms = getattr(Retention(), kind.kept) / timedelta(milliseconds=1)
                assert 0.4 * kept_ms < lives_ms <= kept_ms, key
    assert set(seen) == {kind.pattern for kind in KINDS}
    assert [kind.holds for kind in KINDS if not (kind.kept or kind.seconds)] == [
        "keyed digests of erased customers", "what is switched off",
        "what is switched off by whom, and what is in force",
        "who changed what: names and hosts of operators, digests of the erased",
        "a fingerprint of the erasure key", "what fields are kept for", "which store this is, for its archive",
    ]  # fmt: skip


def test_the_docs_list_the_same() -> None:
    """docs/rights.md has a row for each kind of keys, with how long it is kept by default."""
    text = (ROOT / "docs" / "rights.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    listed = {row[0]: row[2] for row in rows if len(row) == 3}
    for kind in KINDS:
        name = kind.kept.replace("_", "-")
        days = getattr(Retention(), kind.kept).days if kind.kept else 0
        fixed = f"{kind.seconds // 60} min after the last listens" if kind.seconds else "for ever"
        assert listed[kind.holds] == (f"`{name}` {days}d" if kind.kept else fixed), kind.holds


def test_times_are_read_over_the_defaults() -> None:
    """Each kind can be set by its name, in days or hours; the others stay as they are."""
    assert Retention.parse("") == Retention()
    assert Retention.parse("log=30d, consent-history=400d,demand=12h") == Retention(
        log=timedelta(days=30), consent_history=timedelta(days=400), demand=timedelta(hours=12)
    )
    assert {field.name for field in fields(Retention)} == {kind.kept for kind in KINDS if kind.kept}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("log", "KIND=TIME"),
        ("logs=3d", "a kind of context, decision, log"),
        ("log=0d", "such as 30d or 12h"),
        ("log=-1d", "such as 30d or 12h"),
        ("log=3w", "such as 30d or 12h"),
        ("log=٣d", "such as 30d or 12h"),
        ("log=999999d", "100 years"),
        ("log=13d", "shorter than decisions can be repeated"),
        ("outcomes=13d", "shorter than they can come in"),
    ],
)
def test_bad_times_are_refused_in_words(text: str, said: str) -> None:
    """What is no time, is endless, or would break another promise is refused with what is right."""
    with pytest.raises(ValueError, match=said):
        Retention.parse(text)
