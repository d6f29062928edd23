"""Links, consents and decisions at the same time, in one process and in four."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter as Tally
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from service.core.decision import Commit, Linked
from service.core.records import ConsentRecord, Person
from service.errors import CustomerLinked, LinkRefused
from service.store import keys
from service.store.link_words import MOST_ALIASES
from service.store.store import Store
from tests.folding import START_MS
from tests.store import linking
from tests.store.identities import SOON_MS, known, link, merging, new_ids, step, unlink, unused
from tests.store.linking import FREE, store_over
from tests.store.running import Running, states_of

PROCESSES, STEPS = 4, int(os.environ.get("TACT_LINK_STEPS", "120"))
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def store(store_url: str) -> Iterator[Running]:
    """Return a running customer store."""
    with merging(store_url) as one:
        yield one


async def withdrawn_while_unlinking(store: Store, pause: int) -> str | None:
    """Withdraw under an alias while it is unlinked, a little later; return what it agrees to afterwards."""
    alias, person = new_ids(2)
    for who in (alias, person):
        await store.consents.set_consent(who, ConsentRecord("full", (), START_MS, ""))
    await store.identities.link(alias, person)

    async def undo() -> None:
        for _ in range(pause):
            await store.identities.person("bystander")
        await store.identities.unlink(alias)

    async def withdraw() -> str | None:
        await store.consents.set_consent(alias, ConsentRecord("none", (), START_MS + 1, "call"))
        return (await store.customers.context(alias)).level

    _, level = await asyncio.gather(undo(), withdraw())
    return level


def test_a_withdrawal_holds_whatever_becomes_of_the_link_meanwhile(store: Running) -> None:
    """Withdrawn under an alias that is being unlinked, a consent is withdrawn for it from the acknowledgement on."""
    withdrawing = (withdrawn_while_unlinking(store.store, n % 8) for n in range(80))
    assert {store.wait(one) for one in withdrawing} == {"none"}


def test_nothing_is_committed_under_an_id_that_is_on_its_way_out(store: Running) -> None:
    """Until the last step of an unlinking the id is nobody's: a decision under it is sent back and counts nothing."""
    alias, person = new_ids(2)
    link(store, alias, person)
    step(store, "part", alias, person, "u")
    commit = Commit(alias, keys.repeatable_decision_id(alias, "k"), b"", SOON_MS, b"entry", ((("a", (FREE,)),),))
    with pytest.raises(CustomerLinked):
        store.wait(store.store.customers.commit(commit))
    assert known(store, alias).counters == {}
    assert store.wait(store.store.customers.commit(commit)).chosen == (0,), "the read took the last steps"


def joined_too_late(store: Running, alias: str, person: str) -> None:
    """List an id with a person after it has left, as a process does that was held up before the last step of a link."""
    told = step(store, "mark", alias, person, "origin")[1:-1]
    unlink(store, alias)
    levels = msgspec.msgpack.encode({"of": {}, "lowest": "none"})
    assert step(store, "join", person, alias, told[0], "origin", *told[1:], levels, 1) == [b"linked"]


def test_an_id_that_lists_only_who_has_left_can_be_linked(store: Running) -> None:
    """A join that came too late does not make its person one with aliases: it becomes an alias like any other."""
    late, alias, person = new_ids(3)
    joined_too_late(store, late, alias)
    assert link(store, alias, person)
    assert store.wait(store.store.identities.person(person)).identities == (person, alias)


def test_a_link_that_was_undone_meanwhile_is_not_made_again_by_who_came_across_its_half(store: Running) -> None:
    """Who saw half a link and is held up finishes it no more once it was unlinked: what was undone stays undone."""
    alias, person = new_ids(2)
    step(store, "mark", alias, person, "origin")
    unlink(store, alias)
    store.wait(store.store.identities.settle(alias, Linked(person=person)))
    assert step(store, "seen", alias) == [b"alone"]
    assert store.wait(store.store.identities.person(person)) == Person(person, ())


def test_a_link_that_was_refused_ends_no_later_one(store: Running) -> None:
    """Taking back a link that was refused leaves alone what was linked with the same person since."""
    alias, person = new_ids(2)
    since = step(store, "mark", alias, person, "origin")[1]
    unlink(store, alias)
    assert link(store, alias, person)
    assert step(store, "part", alias, person, "r", since) == [b"alone"]
    assert store.wait(store.store.identities.person(alias)).identities == (person, alias)


def test_an_id_whose_aliases_stand_is_not_linked_because_one_has_left(store: Running) -> None:
    """Where one of two on the list has left and the other has not, the id is still a person and refused as an alias."""
    late, standing, alias, person = new_ids(4)
    link(store, standing, alias)
    joined_too_late(store, late, alias)
    with pytest.raises(LinkRefused, match="has aliases of its own"):
        link(store, alias, person)
    assert store.wait(store.store.identities.person(alias)).identities == (alias, standing)


def test_whoever_has_left_takes_no_room_on_a_full_list(store: Running) -> None:
    """Of sixteen on the list, one that has left makes room for the next."""
    person, late, *aliases = new_ids(MOST_ALIASES + 2)
    joined_too_late(store, late, person)
    for alias in aliases:
        assert link(store, alias, person)
    assert store.wait(store.store.identities.person(person)).identities == (person, *aliases)


def test_four_processes_that_link_unlink_and_decide_lose_and_double_nothing(store: Running, store_url: str) -> None:
    """Whatever interleaves, at the end every use and every event counts once for the person they all turn out to be."""
    prefix = f"torn-{unused()}-"
    arguments = [sys.executable, "-m", linking.__name__, store_url, prefix]
    workers = [
        subprocess.Popen([*arguments, str(seed), str(STEPS)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for seed in range(PROCESSES)
    ]
    done = sum((Tally(json.loads(worker.communicate(timeout=150)[0])) for worker in workers), Tally[str]())
    person, *aliases = (f"{prefix}{name}" for name in "pab")
    settled = store_over(store.connections)
    for who in (person, *aliases):
        try:
            store.wait(settled.identities.unlink(who))
        except LinkRefused:
            continue
    for alias in aliases:
        assert store.wait(settled.identities.link(alias, person))
    found = store.wait(settled.customers.context(person))
    assert len(found.counters[FREE.key]) == done["capped"] + done["free"]
    assert done["capped"] == len(found.counters["twice"]) <= 2 * 3
    assert states_of(found.groups.values())[1][1] == done["hear"]
    assert min(done["linked"], done["unlinked"], done["free"], done["hear"], done["refused"]) > 0
