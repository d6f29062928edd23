"""Whoever listens hears of everything that is written, once and in order, whatever becomes of the line."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
from msgspec.structs import replace
from redis import Redis

from models import folds
from models.context import FoldKind
from service.core.decision import Take
from service.core.memory import Give
from service.core.predictions import PredictionToStore
from service.core.standing import Holds
from service.core.supplies import SupplyReport
from service.store import keys
from service.store.line import MAY_NOT
from service.store.pipeline import StoreForbidden
from service.store.switches import SwitchStore
from service.watching_people import COMMON, UNKNOWN, Heard
from tests.profile import cases
from tests.store.hearing import Hearing, event, heard_until, hearing, marked, somebody
from tests.store.persons import NOW_MS, TWICE, a_commit
from tests.store.proxy import DelayingProxy

ACCEPTED, REFUSED = 3, 4
MUTE = "mute:mute@"


async def folds_an_event(one: Hearing, customer: str) -> tuple[str, str]:
    """Fold an event."""
    return "cart.updated", await one.happen(customer, "cart.updated")


async def sets_a_consent(one: Hearing, customer: str) -> tuple[str, str]:
    """Set a consent."""
    await one.agree(customer, "personal")
    return "personal", ""


async def decides(one: Hearing, customer: str) -> tuple[str, str]:
    """Commit a decision that says something."""
    commit = a_commit(customer)
    await one.store.customers.commit(commit)
    return "a", commit.decision_id


async def predicts(one: Hearing, customer: str) -> tuple[str, str]:
    """Record what a model says."""
    operation = folds.Operation(9, "s", FoldKind.MODEL, 0.5, version="m@1")
    await one.store.predictions.record(PredictionToStore(customer, NOW_MS, (operation,), "predicted.churn"))
    return "predicted.churn", ""


async def is_refused(one: Hearing, customer: str) -> tuple[str, str]:
    """Record a refusal of what was said."""
    decision = a_commit(customer, "earlier").decision_id
    await one.store.memory.remember(customer, decision, "a", REFUSED, None, "", (), 5.0)
    return "a", decision


async def is_linked(one: Hearing, customer: str) -> tuple[str, str]:
    """Link another id."""
    await one.store.identities.link(somebody(), customer)
    return "", ""


async def is_erased(one: Hearing, customer: str) -> tuple[str, str]:
    """Erase the customer."""
    await one.store.rights.erase(customer)
    return "", ""


async def is_supplied(one: Hearing, customer: str) -> tuple[str, str]:
    """Report what there is of an item."""
    await one.store.supply.report(SupplyReport("a truck", "süd", 3, NOW_MS, 4 * NOW_MS))
    return keys.shelf_name("a truck", "süd").decode(), ""


async def is_switched(one: Hearing, customer: str) -> tuple[str, str]:
    """Switch an action off everywhere."""
    switches = SwitchStore(one.store.calls)
    off, _ = await switches.set(f"action-{customer}", ("why", "who"))
    await switches.spread(off)
    return "", ""


WRITES = {
    "event": folds_an_event,
    "consent": sets_a_consent,
    "decision": decides,
    "prediction": predicts,
    "outcome": is_refused,
    "identity": is_linked,
    "erased": is_erased,
    "supply": is_supplied,
    "switch": is_switched,
}


@pytest.mark.parametrize("kind", WRITES)
async def test_whatever_is_written_is_heard(kind: str, clean_store_url: str) -> None:
    """Each kind of write that can change an answer is heard at once, with what it was."""
    async with hearing(clean_store_url) as one:
        customer = somebody()
        await one.agree(customer, "service")
        await one.store.customers.commit(a_commit(customer, "earlier"))
        listening = await one.ears.listen(customer)
        name, named = await WRITES[kind](one, customer)
        (heard,) = [each for each in await heard_until(listening, kind) if each.kind == kind]
        assert (heard.name, heard.id) == (name, named)
        assert heard.at_ms > NOW_MS
        assert heard.seq >= heard.at_ms if kind not in COMMON else heard.seq == 0


async def test_an_outcome_that_changes_nothing_for_the_customer_is_not_told(clean_store_url: str) -> None:
    """A promise that ends is told; the same outcome again changes nothing, and is not."""
    async with hearing(clean_store_url) as one:
        customer = somebody()
        give = Give("a", "key", 4 * NOW_MS, b"facts")
        commit = replace(a_commit(customer), gives=(give,), channel="web", memory=0)
        await one.store.customers.commit(commit)
        listening = await one.ears.listen(customer)
        for _ in range(2):
            await one.store.memory.remember(customer, commit.decision_id, "a", ACCEPTED, None, "", (), 5.0)
        last = await one.happen(customer)
        assert [each.kind for each in await heard_until(listening, last)] == ["outcome", "event"]


async def test_what_is_taken_back_is_heard(clean_store_url: str) -> None:
    """A decision gives back its use of a cap: others may say it now, so they hear of it; a second time nothing is."""
    async with hearing(clean_store_url) as one:
        customer = somebody()
        commit = a_commit(customer)
        await one.store.customers.commit(commit)
        listening = await one.ears.listen(customer)
        holds = Holds(commit.decision_id, customer, NOW_MS, ("a",), (TWICE,))
        for _ in range(2):
            assert await one.store.unsaying.unsay(holds)
        last = await one.happen(customer)
        heard = await heard_until(listening, last)
        assert [(each.kind, each.name, each.id) for each in heard[:-1]] == [("decision", "a", commit.decision_id)]


async def test_of_whom_nobody_listens_nothing_is_noted(clean_store_url: str) -> None:
    """Without ears, whatever is written leaves no trace of that it could have been heard, and listening leaves one."""
    async with hearing(clean_store_url) as one:
        customer = somebody()
        for write in (folds_an_event, sets_a_consent, decides, predicts, is_linked):
            await write(one, customer)
        assert not marked(clean_store_url, customer)
        listening = await one.ears.listen(customer)
        assert marked(clean_store_url, customer)
        listening.close()


async def test_events_that_were_not_folded_are_not_told(clean_store_url: str) -> None:
    """Of a batch those are heard that were new, each under a number of its own."""
    async with hearing(clean_store_url) as one:
        customer, first, second = somebody(), event("one"), event("two")
        await one.store.events.fold(customer, [first])
        listening = await one.ears.listen(customer)
        await one.store.events.fold(customer, [first, second, event("three")])
        heard = await heard_until(listening, second.event_id)
        assert [each.name for each in heard] == ["two", "three"]
        assert heard[0].seq < heard[1].seq


async def test_who_comes_back_hears_what_was_missed(clean_store_url: str) -> None:
    """With the last number that was seen, all that came after it is told, at any process."""
    async with hearing(clean_store_url) as one, hearing(clean_store_url) as other:
        customer = somebody()
        first = await one.ears.listen(customer)
        named = [await one.happen(customer) for _ in range(3)]
        seen = (await heard_until(first, named[-1]))[0]
        first.close()
        named.append(await one.happen(customer))
        again = await other.ears.listen(customer, seen.seq)
        assert again.missed is not None
        assert [each.id for each in again.missed] == named[1:]
        assert again.seq == again.missed[-1].seq
        assert (await other.ears.listen(customer)).missed == ()


async def test_who_was_away_for_too_long_is_told_so(clean_store_url: str) -> None:
    """When the notes are gone nobody can say what was missed; a number from nowhere is no number of the customer's."""
    async with hearing(clean_store_url) as one:
        customer = somebody()
        first = await one.ears.listen(customer)
        first.close()
        with Redis.from_url(clean_store_url) as raw:
            assert 200_000 < raw.pttl(keys.heard_key(customer)) <= 300_000
            raw.delete(keys.heard_key(customer))
        await one.happen(customer)
        again = await one.ears.listen(customer, first.seq)
        assert again.missed is None
        assert again.seq > first.seq
        strange = await one.ears.listen(customer, 1 << 62)
        assert strange.missed is None
        assert strange.seq == again.seq


async def test_of_many_notes_the_latest_are_kept(clean_store_url: str) -> None:
    """What is kept of one customer is bounded; what is kept is right, and who saw only what is gone is told so."""
    async with hearing(clean_store_url) as one:
        customer = somebody()
        listening = await one.ears.listen(customer)
        numbers = []
        for _ in range(12):
            batch = [event("e" * 60) for _ in range(40)]
            await one.store.events.fold(customer, batch)
            numbers.append((await heard_until(listening, batch[-1].event_id))[-1].seq)
        with Redis.from_url(clean_store_url) as raw:
            assert 4_000 < raw.strlen(keys.heard_key(customer)) <= 16_384
        late = await one.ears.listen(customer, numbers[-2])
        assert late.missed is not None
        assert len(late.missed) == 40
        assert (await one.ears.listen(customer, numbers[0])).missed is None


async def test_who_does_not_ask_costs_no_more_than_so_much(clean_store_url: str) -> None:
    """Of what is not fetched the latest is kept, and that there was more; the other listener has all of it."""
    async with hearing(clean_store_url) as one:
        customer = somebody()
        slow, quick = await one.ears.listen(customer), await one.ears.listen(customer)
        batch = [event() for _ in range(100)]
        last = batch[-1].event_id
        await one.store.events.fold(customer, batch[:50])
        found = await heard_until(quick, batch[49].event_id)
        await one.store.events.fold(customer, batch[50:])
        found += await heard_until(quick, last)
        assert [each.id for each in found] == [each.event_id for each in batch]
        taken = await slow.wait()
        assert len(taken) == 64
        assert [each.kind for each in taken].count(UNKNOWN) == 1
        assert [each.id for each in taken[1:]] == [each.event_id for each in batch[-63:]]


async def test_nothing_is_lost_with_the_line(clean_store_url: str) -> None:
    """What was written while the line was cut or dead comes when it is there again, once and in order."""
    async with DelayingProxy(clean_store_url) as proxy, hearing(clean_store_url, proxy.url) as one:
        customer = somebody()
        listening = await one.ears.listen(customer)
        named = []
        for _ in range(3):
            proxy.hold()
            named += [await one.happen(customer) for _ in range(3)]
            proxy.cut()
            proxy.release()
            named.append(await one.happen(customer))
            heard = await heard_until(listening, named[-1])
            assert [each.id for each in heard if each.seq] == named[-4:]
        assert proxy.accepted >= 4


async def test_what_concerns_everybody_is_looked_at_anew_after_an_outage(clean_store_url: str) -> None:
    """A switch and a supply that were told while the line was dead: all supplies are read, and then all are told that
    something may have changed.
    """
    async with DelayingProxy(clean_store_url) as proxy, hearing(clean_store_url, proxy.url) as one:
        read: list[str] = []

        async def anew() -> None:
            await asyncio.sleep(0.05)
            read.append("all")

        one.ears.follow(one.store.identities, None, anew)
        listening = [await one.ears.listen(somebody()) for _ in range(2)]
        proxy.hold()
        await is_switched(one, somebody())
        proxy.cut()
        proxy.release()
        for each in listening:
            assert [heard.seq for heard in await heard_until(each, UNKNOWN)] == [0]
            assert read == ["all"]


async def test_what_the_line_did_not_bring_is_read(clean_store_url: str) -> None:
    """A note that was never published is found by the next one, and without one soon; no write fails for it."""
    with Redis.from_url(clean_store_url) as raw:
        raw.execute_command("ACL", "SETUSER", "mute", "on", ">mute", "~*", "+@all", "resetchannels")
        muted = clean_store_url.replace("redis://", f"redis://{MUTE}")
        async with hearing(clean_store_url, every_s=0.5) as one, hearing(muted) as mute:
            customer = somebody()
            listening = await one.ears.listen(customer)
            unheard, next_one = await mute.happen(customer), await one.happen(customer)
            assert [each.id for each in await heard_until(listening, next_one)] == [unheard, next_one]
            unheard = await mute.happen(customer)
            assert [each.id for each in await heard_until(listening, unheard)] == [unheard]
            with pytest.raises(StoreForbidden) as refused:
                await mute.ears.listen(customer)
            assert str(refused.value) == MAY_NOT


async def test_who_joins_takes_nothing_from_others(clean_store_url: str) -> None:
    """What is read for one who comes later is heard as well by those who have waited for it."""
    with Redis.from_url(clean_store_url) as raw:
        raw.execute_command("ACL", "SETUSER", "mute", "on", ">mute", "~*", "+@all", "resetchannels")
    muted = clean_store_url.replace("redis://", f"redis://{MUTE}")
    async with hearing(clean_store_url) as one, hearing(muted) as mute:
        customer = somebody()
        first = await one.ears.listen(customer)
        unheard = await mute.happen(customer)
        later = await one.ears.listen(customer)
        assert [each.id for each in await heard_until(first, unheard)] == [unheard]
        last = await one.happen(customer)
        for listening in (first, later):
            assert [each.id for each in await heard_until(listening, last)] == [last]


async def test_half_an_unlinking_is_heard(clean_store_url: str) -> None:
    """From its first step on an alias is nobody's: whoever listens is moved on, and finishes it."""
    async with hearing(clean_store_url) as one:
        person, alias = somebody(), somebody()
        await one.store.identities.link(alias, person)
        listening = await one.ears.listen(alias)
        bucket = keys.bucket(alias)
        place = (
            keys.context_key(alias), keys.suppression_key(bucket), keys.history_key(alias), keys.changed_key(bucket),
            keys.heard_key(alias),
        )  # fmt: skip
        told = (alias, b"", 86_400_000, 86_400_000, 0, person, "u")
        await one.store.calls.function("identity_part", place, told, about=alias.encode(), length=2, deadline_s=5.0)
        await heard_until(listening, "identity")
        assert listening.person == alias


async def test_all_ids_of_a_person_are_heard(clean_store_url: str) -> None:
    """By the person or by an alias, whatever is written under any of the ids is heard, also after a return."""
    async with hearing(clean_store_url) as one:
        person, alias, other = somebody(), somebody(), somebody()
        for each in (alias, other):
            await one.store.identities.link(each, person)
        listening = [await one.ears.listen(each) for each in (person, alias)]
        assert [each.person for each in listening] == [person, person]
        named = [await one.happen(each) for each in (person, alias, other)]
        for ear in listening:
            found: list[Heard] = []
            while len(found) < 3:
                found += await ear.wait()
            assert [two.id for two in found] == named
        again = await one.ears.listen(alias, listening[1].seq)
        assert again.person == person
        late = [await one.happen(each) for each in (other, alias)]
        assert {two.id for two in again.missed or ()} <= set(named)
        later: list[Heard] = []
        while len(later) < 2:
            later += await again.wait()
        assert [two.id for two in later] == late


async def test_who_is_linked_meanwhile_is_followed(clean_store_url: str) -> None:
    """From the link on the person is heard, and from the unlinking on no longer; numbers do not fall."""
    async with hearing(clean_store_url) as one:
        person, alias = somebody(), somebody()
        listening = await one.ears.listen(alias)
        await one.store.identities.link(alias, person)
        linked = await heard_until(listening, "identity")
        while listening.person != person:
            linked += await listening.wait()
        last = await one.happen(person)
        heard = [each.id for each in await heard_until(listening, last)]
        assert last in heard
        before = listening.seq
        assert before >= linked[-1].seq
        await one.store.identities.unlink(alias)
        await heard_until(listening, "identity")
        async with asyncio.timeout(5.0):
            while listening.person != alias:
                await listening.wait()
        await one.happen(person)
        own = await one.happen(alias)
        found = [each for each in await heard_until(listening, own) if each.kind == "event"]
        assert [each.id for each in found] == [own]
        assert found[0].seq > before


async def test_the_erased_are_listened_for_no_longer(clean_store_url: str) -> None:
    """The listener is told, and let go; nothing is kept that says that somebody listened, nor where others come."""
    async with hearing(clean_store_url, every_s=0.2) as one:
        customer = somebody()
        await one.agree(customer)
        listening = await one.ears.listen(customer)
        await one.store.rights.erase(customer)
        assert [each.kind for each in await heard_until(listening, "erased")] == ["erased"]
        assert await listening.wait() == ()
        await asyncio.sleep(0.5)
        later = await one.ears.listen(customer, listening.seq)
        assert later.missed is None
        assert [each.kind for each in await later.wait()] == ["erased"]
        assert not marked(clean_store_url, customer)


async def test_who_closes_is_let_go_and_others_are_not(clean_store_url: str) -> None:
    """A closed one waits no more and hears nothing; another one for the same customer goes on."""
    async with hearing(clean_store_url) as one:
        customer = somebody()
        closed, going = await one.ears.listen(customer), await one.ears.listen(customer)
        waiting = asyncio.ensure_future(closed.wait())
        await asyncio.sleep(0)
        closed.close()
        closed.close()
        assert await waiting == ()
        last = await one.happen(customer)
        assert [each.id for each in await heard_until(going, last)] == [last]
        assert await closed.wait() == ()
        with Redis.from_url(clean_store_url) as raw:
            assert raw.pubsub_numsub(keys.heard_key(customer))[0][1] == 1
            going.close()
            for _ in range(100):
                await asyncio.sleep(0.01)
                if not raw.pubsub_numsub(keys.heard_key(customer))[0][1]:
                    return
        pytest.fail("nobody listens any more, and the channel is heard all the same")


async def test_a_supply_is_told_when_it_turns(clean_store_url: str) -> None:
    """A grant is heard that leaves too few for the next one, and what gives them back; others change nothing."""
    async with hearing(clean_store_url) as one:
        told: list[tuple[str, str]] = []

        async def restocked(item: str, place: str) -> None:
            told.append((item, place))

        one.ears.follow(one.store.identities, restocked)
        item, listening = somebody(), await one.ears.listen(somebody())
        await one.store.supply.report(SupplyReport(item, "@", 2, NOW_MS, 4 * NOW_MS))
        commits = [a_commit(somebody()) for _ in range(2)]
        take = Take("a", item, "@", 1, 60_000)
        counts = []
        steps: list[Callable[[], Awaitable[object]]] = [
            lambda: one.store.supply.grant(take, commits[0].decision_id),
            lambda: one.store.supply.grant(take, commits[1].decision_id),
            lambda: one.store.supply.give_back(take, commits[0].decision_id),
            lambda: one.store.supply.give_back(take, commits[1].decision_id),
        ]
        await heard_until(listening, "supply")
        for step in steps:
            before = len(told)
            await step()
            await asyncio.sleep(0.05)
            counts.append(len(told) - before)
        assert counts == [0, 1, 1, 0]
        assert set(told) == {(item, "@")}


@pytest.mark.parametrize("seed", range(cases(2, 40)))
async def test_a_cut_line_loses_nothing_whatever_happens(seed: int, clean_store_url: str) -> None:
    """Events, consents and links under cuts at random moments: each listener hears each event once and in order."""
    draw = random.Random(seed)
    async with (
        DelayingProxy(clean_store_url, delay_ms=1, seed=seed) as proxy,
        hearing(clean_store_url, proxy.url) as one,
    ):
        people = [somebody() for _ in range(3)]
        listening = {who: await one.ears.listen(who) for who in people}
        wanted: dict[str, list[str]] = {who: [] for who in people}
        for _ in range(cases(40, 120)):
            who = draw.choice(people)
            if draw.random() < 0.15:
                proxy.cut()
            if draw.random() < 0.2:
                await one.agree(who, draw.choice(("service", "full")))
            wanted[who].append(await one.happen(who))
            if draw.random() < 0.2:
                await asyncio.sleep(draw.random() / 50)
        for who in people:
            heard = [each for each in await heard_until(listening[who], wanted[who][-1]) if each.seq]
            assert all(one.seq < two.seq for one, two in pairwise(heard))
            assert _ends_with(wanted[who], [each.id for each in heard if each.kind == "event"])
            assert len(heard) == 64 or UNKNOWN not in {each.kind for each in heard}


def _ends_with(wanted: list[str], heard: list[str]) -> bool:
    """Tell whether all of it was heard, or the latest of it where it was too much to keep."""
    return heard == wanted or (len(heard) >= 40 and heard == wanted[-len(heard) :])


async def test_a_version_is_told_to_all_who_listen_here(clean_store_url: str) -> None:
    """What concerns everybody has no number, and is told without the store."""
    async with hearing(clean_store_url) as one:
        listening = [await one.ears.listen(somebody()) for _ in range(2)]
        one.ears.announce("version", "demo@2", "m@1", NOW_MS)
        assert [await each.wait() for each in listening] == 2 * [(Heard(0, "version", "demo@2", "m@1", NOW_MS),)]


SPOILT = (b"", b"x", b"9" * 31 + b"x", b"1" * 32 + b"\xff\xff\xff", {b"a": b"hash"})


def _spoil(url: str, customer: str, spoilt: bytes | dict[bytes, bytes]) -> None:
    """Put what is no notes where a customer's are."""
    with Redis.from_url(url) as raw:
        raw.delete(keys.heard_key(customer))
        if isinstance(spoilt, dict):
            raw.hset(keys.heard_key(customer), mapping=spoilt)
        else:
            raw.set(keys.heard_key(customer), spoilt)


@pytest.mark.parametrize("spoilt", SPOILT)
async def test_a_mark_that_cannot_be_read_is_made_anew(
    spoilt: bytes | dict[bytes, bytes], clean_store_url: str
) -> None:
    """Whoever begins to listen is heard for, whatever stood there."""
    async with hearing(clean_store_url) as one:
        customer = somebody()
        _spoil(clean_store_url, customer, spoilt)
        listening = await one.ears.listen(customer)
        last = await one.happen(customer)
        assert last in [each.id for each in await heard_until(listening, last)]


@pytest.mark.parametrize("spoilt", SPOILT)
async def test_notes_that_cannot_be_read_keep_nobody_from_writing(
    spoilt: bytes | dict[bytes, bytes], clean_store_url: str
) -> None:
    """Whatever stands there, events are folded and decisions committed, and whoever listens is heard from then on."""
    async with hearing(clean_store_url, every_s=0.3) as one:
        customer = somebody()
        listening = await one.ears.listen(customer)
        _spoil(clean_store_url, customer, spoilt)
        for write in (folds_an_event, sets_a_consent, decides):
            await write(one, customer)
        await heard_until(listening, UNKNOWN)
        later = await one.ears.listen(customer)
        last = await one.happen(customer)
        for each in (listening, later):
            assert last in [two.id for two in await heard_until(each, last)]
