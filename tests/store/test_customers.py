"""Customers in the store: decisions repeat, consent keeps its order, outcomes find theirs, nobody is mixed up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from redis import Redis

from models import folds
from models.context import FoldKind
from models.states import unpacked
from service.core.decision import Bound, Commit, Counter, Known
from service.core.memory import Give
from service.core.records import ConsentRecord, EventToFold, OutcomeRecord, OutcomeStatus
from service.store import keys
from service.store.calls import StoreCrossed, StoreUnreadable
from service.store.connection import Connections, StoreError, StoreReplied, StoreUnavailable, pack
from service.store.retention import Retention
from service.store.store import Store
from tests.folding import DETERMINISTIC
from tests.store.patience import patient
from tests.store.running import LEVELS

NOW_MS = 1_790_000_000_000
ODD_CUSTOMERS = ("{", "}", "{}", "{abc}", "a:b", "a\r\nb", "тест", "😀", "tact:{000}:c:x", " ", "\x00", "x" * 128)
COUNT = folds.Operation(1, "s", FoldKind.COUNT, 1, 0, 0, 64, False)
MANY = [EventToFold(f"many-{n}", NOW_MS, ()) for n in range(200)]  # more than are remembered beside the context
TWICE = Counter("twice", 2, 1_000)
_pack = msgspec.msgpack.encode


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[Store]:  # noqa: ANN401 - what `Store` takes
    """Open a customer store."""
    async with patient(url) as connections:
        store = Store.over(connections, LEVELS, "none", **options)
        await store.calls.load_functions()
        yield store


def raw_store(url: str) -> Redis:
    """Return the store without Tact."""
    return Redis.from_url(url)


def a_commit(customer: str, key: str = "k", digest: bytes = b"digest", actions: str = "ab") -> Commit:
    """Return a commit of one placement with an action a letter, each capped together with the others."""
    decision = keys.repeatable_decision_id(customer, key)
    return Commit(
        customer, decision, digest, NOW_MS, b"entry of " + key.encode(), (tuple((a, (TWICE,)) for a in actions),)
    )


async def fill(store: Store, customer: str) -> Commit:
    """Give a customer everything that the store keeps and return the decision."""
    await store.consents.set_consent(customer, ConsentRecord("service", ("email",), NOW_MS, "web form"))
    await store.events.fold(customer, [EventToFold("e", NOW_MS, (COUNT,))])
    commit = a_commit(customer)
    await store.customers.commit(commit)
    await store.outcomes.record_outcome(OutcomeRecord(commit.decision_id, "a", 3, NOW_MS, 9.5))
    return commit


async def test_an_unknown_customer_is_no_error(clean_store_url: str) -> None:
    """Nothing is known of a customer whom nobody has heard of, and asking leaves no trace."""
    async with opened(clean_store_url) as store:
        known = await store.customers.read("nobody", keys.repeatable_decision_id("nobody", "k"), 1.0)
    assert (known.level, known.channels, known.groups, known.counters, known.decided) == (None, (), {}, {}, None)
    assert abs(known.now_ms / 1000 - raw_store(clean_store_url).time()[0]) < 5
    assert raw_store(clean_store_url).keys() == []


async def test_the_same_decision_id_gives_the_same_answer_and_counts_once(clean_store_url: str) -> None:
    """A repeated commit returns the first one's bytes, whatever it asks for itself, and uses no cap again."""
    async with opened(clean_store_url) as store:
        commit = a_commit("anna")
        first = await store.customers.commit(commit)
        again = await store.customers.commit(replace(commit, entry=b"another", digest=b"other", candidates=()))
        known = await store.customers.read("anna", commit.decision_id)
    assert first.chosen == (0,)
    assert not first.repeated
    assert again == replace(first, repeated=True)
    assert known.decided == again
    assert known.counters == {"twice": (NOW_MS,)}


async def test_commits_at_the_same_time_under_one_id_count_once(clean_store_url: str) -> None:
    """Of fifty commits of one id over several connections one decides and all answer the same."""
    async with patient(clean_store_url, size=5) as connections:
        store = Store.over(connections, LEVELS, "none")
        done = await asyncio.gather(*(store.customers.commit(a_commit("anna", digest=b"%d" % n)) for n in range(50)))
        known = await store.customers.context("anna")
    assert sorted(one.repeated for one in done) == [False] + [True] * 49
    assert len({(one.entry, one.digest, one.chosen, one.bound) for one in done}) == 1
    assert known.counters == {"twice": (NOW_MS,)}


async def test_a_decision_is_stored_with_what_did_not_fit(clean_store_url: str) -> None:
    """Taking nothing is a decision too: it is logged with the counter that bound, and repeats."""
    async with opened(clean_store_url) as store:
        for key in "12":
            await store.customers.commit(a_commit("anna", key))
        commit = a_commit("anna", "3")
        first, again = await store.customers.commit(commit), await store.customers.commit(commit)
    bound = tuple(Bound(0, rank, "twice", NOW_MS + 1_000) for rank in (0, 1))
    assert (first.chosen, first.bound) == ((-1,), bound)
    assert again == replace(first, repeated=True)


async def test_a_commit_that_counts_nothing_leaves_no_customer_behind(clean_store_url: str) -> None:
    """Greeting somebody unknown without a cap logs the decision, but starts no record about the person."""
    async with opened(clean_store_url) as store:
        commit = replace(a_commit("visitor"), candidates=((("greet", ()),),))
        assert (await store.customers.commit(commit)).chosen == (0,)
    assert not raw_store(clean_store_url).exists(keys.context_key("visitor"))


async def test_a_decision_id_of_another_bucket_is_refused(clean_store_url: str) -> None:
    """Keys of two buckets cannot be touched at once, so such a commit is a mistake of the caller."""
    async with opened(clean_store_url) as store:
        with pytest.raises(ValueError, match="another bucket"):
            await store.customers.commit(replace(a_commit("anna"), decision_id=a_commit("bob").decision_id))


async def test_every_key_has_a_lifetime(clean_store_url: str) -> None:
    """Whatever is written about somebody goes away by itself; the streams are trimmed by age as well."""
    async with opened(clean_store_url) as store:
        for customer in ODD_CUSTOMERS:
            await fill(store, customer)
    raw = raw_store(clean_store_url)
    assert not [key for key in raw.scan_iter() if raw.pttl(key) < 0]
    buckets = {keys.bucket(customer) for customer in ODD_CUSTOMERS}
    assert len(raw.keys()) == 5 * len(buckets) + 4 * len(ODD_CUSTOMERS)  # log, outcomes, the head of each; ids


async def test_each_write_alone_gives_a_lifetime(clean_store_url: str) -> None:
    """A customer of whom only one thing was ever written is forgotten in time as well."""
    raw = raw_store(clean_store_url)
    async with opened(clean_store_url) as store:
        await store.consents.set_consent("agreed", ConsentRecord("full", (), NOW_MS, ""))
        await store.events.fold("did", [EventToFold("e", NOW_MS, (COUNT,))])
        await store.customers.commit(a_commit("told"))
    for customer in ("agreed", "did", "told"):
        assert raw.pttl(keys.context_key(customer)) > 0, customer


async def test_lifetimes_are_those_of_the_retention(clean_store_url: str) -> None:
    """Context and event ids live as long as said since the last write, decisions and their outcomes as theirs."""
    kept = Retention(timedelta(days=9), timedelta(days=2), timedelta(days=3), timedelta(days=3))
    async with opened(clean_store_url, retention=kept) as store:
        decision = (await fill(store, "anna")).decision_id
        await store.events.fold("anna", MANY)
    raw, day_ms = raw_store(clean_store_url), 86_400_000
    for key in (keys.context_key("anna"), keys.events_key("anna")):
        assert 0 < 9 * day_ms - raw.pttl(key) < 60_000
    for key in (keys.decision_key(decision), keys.outcomes_key(decision)):
        assert 0 < 2 * day_ms - raw.pttl(key) < 60_000


async def test_streams_are_trimmed_by_age(clean_store_url: str) -> None:
    """Log entries and outcomes beyond their retention go when new ones come."""
    raw = raw_store(clean_store_url)
    for stream in (keys.log_key(keys.bucket("anna")), keys.out_key(keys.bucket("anna"))):
        for n in range(90):
            raw.xadd(stream, {"e": b"old"}, id=f"1000-{n + 1}")
    async with opened(clean_store_url) as store:
        await fill(store, "anna")
    assert raw.xlen(keys.log_key(keys.bucket("anna"))) == 1
    assert raw.xlen(keys.out_key(keys.bucket("anna"))) == 1


@pytest.mark.parametrize("counts", [True, False])
async def test_a_commit_renews_the_context_when_a_thousandth_has_passed(clean_store_url: str, counts: bool) -> None:
    """A context lives short by a thousandth at most after each commit, and is not renewed every time."""
    raw, place = raw_store(clean_store_url), keys.context_key("anna")
    context_ms = Retention().context // timedelta(milliseconds=1)
    async with opened(clean_store_url) as store:
        await fill(store, "anna")
        for short, key in ((0.0005, "early"), (0.0015, "late")):
            raw.pexpire(place, int(context_ms * (1 - short)))
            commit = a_commit("anna", key)
            await store.customers.commit(commit if counts else replace(commit, candidates=((("greet", ()),),)))
            assert (raw.pttl(place) > context_ms * 0.9999) == (key == "late")


async def test_a_context_lives_as_long_as_what_a_commit_writes_counts(clean_store_url: str) -> None:
    """Caps, holds and promises as long as the context itself renew it each time: none may be forgotten too early."""
    raw, place = raw_store(clean_store_url), keys.context_key("anna")
    context_ms = Retention().context // timedelta(milliseconds=1)
    longest, held = Counter("long", 9, context_ms), Counter("held", 9, 1_000, hold_ms=context_ms, on=1)
    promise = Give("a", "key", NOW_MS + context_ms, b"facts")
    async with opened(clean_store_url) as store:
        for counters, gives in (((longest,), ()), ((held,), ()), ((), (promise,))):
            raw.pexpire(place, int(context_ms * 0.9995))
            commit = a_commit("anna", f"{counters} {gives}")
            await store.customers.commit(replace(commit, candidates=((("a", counters),),), gives=gives))
            assert context_ms * 0.9999 < raw.pttl(place) <= context_ms


async def test_a_log_outlives_its_decisions(clean_store_url: str) -> None:
    """The log is renewed when a thousandth of its time has passed; one kept no longer than decisions is, always."""
    raw, place, day_ms = raw_store(clean_store_url), keys.log_key(keys.bucket("anna")), 86_400_000
    for log_days, renewed in ((90, False), (14, True)):
        kept = Retention(decision=timedelta(days=14), log=timedelta(days=log_days))
        async with opened(clean_store_url, retention=kept) as store:
            for short in (0.0015, 0.0005):
                await store.customers.commit(a_commit("anna", f"{log_days} {short}"))
                raw.pexpire(place, int(log_days * day_ms * (1 - short)))
                await store.customers.commit(a_commit("anna", f"{log_days} {short} again"))
                assert (raw.pttl(place) > log_days * day_ms * 0.9999) == (short == 0.0015 or renewed)


async def test_old_entries_go_with_one_commit_in_sixteen(clean_store_url: str) -> None:
    """Where the log was renewed a moment ago, the commits of ids that end with 0 look for entries that are too old."""
    raw, place = raw_store(clean_store_url), keys.log_key(keys.bucket("anna"))
    names = [f"k{number}" for number in range(64)]
    last = {keys.repeatable_decision_id("anna", name)[-1]: name for name in names}
    assert len(last) == 16
    async with opened(clean_store_url) as store:
        raw.xadd(place, {"e": b"old"}, id="1000-1")
        raw.pexpire(place, Retention().log)
        for digit in sorted(last, reverse=True):
            await store.customers.commit(a_commit("anna", last[digit]))
            assert (raw.xrange(place, "1000-1", "1000-1") == []) == (digit == "0")


def test_a_log_shorter_than_repeats_is_refused() -> None:
    """A decision that can be repeated must still be in the log."""
    with pytest.raises(ValueError, match="shorter"):
        Retention(decision=timedelta(days=20), log=timedelta(days=19))


@DETERMINISTIC
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), unique=True, min_size=2))
def test_no_two_customers_share_a_key(customers: list[str]) -> None:
    """Context and event keys are one to one with customers, whatever their ids contain, and stay in one slot."""
    every = [keys.context_key(one) for one in customers] + [keys.events_key(one) for one in customers]
    assert len(set(every)) == 2 * len(customers)
    for one in customers:
        tag = b"tact:{%s}:" % keys.bucket(one).encode()
        assert keys.context_key(one).startswith(tag)
        assert keys.events_key(one).startswith(tag)
        assert keys.decision_key(keys.repeatable_decision_id(one, "")).startswith(tag)


@DETERMINISTIC
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_no_two_requests_share_a_decision_id(joined: str) -> None:
    """A decision id belongs to one customer and one idempotency key, wherever the two meet, also within a bucket."""
    ids = [keys.repeatable_decision_id(joined[:cut], joined[cut:]) for cut in range(len(joined) + 1)]
    assert len({one[3:] for one in ids}) == len(ids)
    assert all(keys.is_decision_id(one) for one in ids)


def test_a_fresh_decision_id_has_a_place_and_a_form() -> None:
    """A decision id begins with its customer's bucket, has 26 characters, and random bytes tell it from others."""
    one, other = (keys.fresh_decision_id("anna", bytes([n]) * keys.ENTROPY_BYTES) for n in (1, 2))
    assert one != other
    assert len(one) == 26
    assert one.startswith(keys.bucket("anna"))
    assert keys.is_decision_id(one)
    with pytest.raises(ValueError, match="12 random bytes"):
        keys.fresh_decision_id("anna", b"too few")


async def test_odd_customer_ids_are_kept_apart(clean_store_url: str) -> None:
    """Braces, colons, line ends, zeros and other scripts in an id are nothing special."""
    async with opened(clean_store_url) as store:
        for customer in ODD_CUSTOMERS:
            await store.events.fold(customer, [EventToFold(customer, NOW_MS, (COUNT,))])
            await store.consents.set_consent(customer, ConsentRecord("full", (customer,), NOW_MS, ""))
        for customer in ODD_CUSTOMERS:
            known = await store.customers.context(customer)
            assert known.channels == (customer,)
            assert unpacked(known.groups["s"]) == {1: [NOW_MS, 1]}


async def test_a_level_that_the_strategy_no_longer_has_counts_as_the_lowest(clean_store_url: str) -> None:
    """A stored level that is unknown allows no field and no contact; the record itself stays."""
    async with opened(clean_store_url) as store:
        await fill(store, "anna")
        record = ConsentRecord("abolished", ("email",), NOW_MS, "")
        await store.consents.set_consent("anna", record)
        known = await store.customers.context("anna")
        assert (known.groups, known.channels) == ({}, ())
        found = await store.consents.get_consent("anna")
        assert found is not None
        assert msgspec.structs.replace(found, arrived_ms=0) == record


async def test_what_came_of_a_decision_is_stored_once(clean_store_url: str) -> None:
    """The first outcome of a decision, action and kind holds; the same again repeats, another one conflicts."""
    async with opened(clean_store_url) as store:
        decision = (await store.customers.commit(a_commit("anna"))).repeated or a_commit("anna").decision_id
        outcome = OutcomeRecord(str(decision), "a", 3, NOW_MS, 9.5)
        assert await store.outcomes.record_outcome(outcome) is OutcomeStatus.STORED
        assert await store.outcomes.record_outcome(outcome) is OutcomeStatus.REPEATED
        for other in (replace(outcome, amount=9.4), replace(outcome, at_ms=NOW_MS + 1), replace(outcome, at_ms=None)):
            assert await store.outcomes.record_outcome(other) is OutcomeStatus.CONFLICT
        assert await store.outcomes.record_outcome(replace(outcome, kind=1)) is OutcomeStatus.STORED
    stored: Any = raw_store(clean_store_url).xrange(keys.out_key(keys.bucket("anna")))
    wanted = {b"d": outcome.decision_id.encode(), b"i": b"anna", b"a": b"a", b"t": b"%d" % NOW_MS, b"m": b"9.5"}
    kept = [{name: value for name, value in fields.items() if name != b"l"} for _, fields in stored]
    assert kept == [{**wanted, b"k": b"3"}, {**wanted, b"k": b"1"}]


async def test_an_outcome_without_a_time_happened_now_and_repeats(clean_store_url: str) -> None:
    """A caller who gives no time can repeat the outcome; the stream has the store's time."""
    async with opened(clean_store_url) as store:
        outcome = OutcomeRecord((await fill(store, "anna")).decision_id, "a", 1, None, 0.0)
        assert await store.outcomes.record_outcome(outcome) is OutcomeStatus.STORED
        assert await store.outcomes.record_outcome(outcome) is OutcomeStatus.REPEATED
    raw = raw_store(clean_store_url)
    newest: Any = raw.xrevrange(keys.out_key(keys.bucket("anna")), count=1)
    at = int(newest[0][1][b"t"])
    assert abs(at / 1000 - raw.time()[0]) < 60


@pytest.mark.parametrize("action", ["b", "", "c", "a\x1fb", "\x1f"])
async def test_an_outcome_needs_an_action_that_was_said(clean_store_url: str, action: str) -> None:
    """An action that the decision did not take, or no action at all, is unknown."""
    async with opened(clean_store_url) as store:
        outcome = OutcomeRecord((await fill(store, "anna")).decision_id, action, 3, NOW_MS, 0.0)
        assert await store.outcomes.record_outcome(outcome) is OutcomeStatus.UNKNOWN_DECISION


@pytest.mark.parametrize(
    "decision", ["", "x", "{", "000" + "a" * 23, "fff" + "a" * 23, "00g" + "a" * 23, "000" + "a" * 23 + "\n"]
)
async def test_an_outcome_needs_a_decision(clean_store_url: str, decision: str) -> None:
    """What is no decision id, or one that was never given, is unknown."""
    async with opened(clean_store_url) as store:
        status = await store.outcomes.record_outcome(OutcomeRecord(decision, "a", 3, NOW_MS, 0.0))
        assert status is OutcomeStatus.UNKNOWN_DECISION


async def test_the_outcomes_of_a_decision_that_said_nothing_are_unknown(clean_store_url: str) -> None:
    """A decision that took no action can have no outcome."""
    async with opened(clean_store_url) as store:
        commit = a_commit("anna", actions="")
        assert (await store.customers.commit(commit)).chosen == (-1,)
        status = await store.outcomes.record_outcome(OutcomeRecord(commit.decision_id, "", 3, NOW_MS, 0.0))
        assert status is OutcomeStatus.UNKNOWN_DECISION


async def test_a_value_of_another_customer_is_never_used(clean_store_url: str) -> None:
    """A record that carries another customer's id is refused by every call, and nothing of it comes out."""
    async with opened(clean_store_url) as store:
        await fill(store, "anna")
        raw_store(clean_store_url).hset(keys.context_key("anna"), "i", "bob")
        event = EventToFold("new", NOW_MS, (COUNT,))
        for call in (
            store.customers.context("anna"),
            store.customers.commit(a_commit("anna", "new")),
            store.events.fold("anna", [event]),
            store.consents.get_consent("anna"),
            store.consents.set_consent("anna", ConsentRecord("full", (), NOW_MS + 1, "")),
        ):  # fmt: skip
            with pytest.raises(StoreError) as refused:
                await call
            assert "bob" not in str(refused.value)


async def test_a_decision_of_another_customer_is_never_used(clean_store_url: str) -> None:
    """Two customers of one bucket cannot see each other's decision, even under the same decision id."""
    anna, other = "anna", next(name for n in range(9_999) if keys.bucket(name := f"c{n}") == keys.bucket("anna"))
    async with opened(clean_store_url) as store:
        commit = await fill(store, anna)
        for call in (
            store.customers.read(other, commit.decision_id),
            store.customers.commit(replace(commit, customer=other)),
        ):
            with pytest.raises(StoreReplied) as refused:
                await call
            assert refused.value.prefix == "CUSTOMER"


async def test_a_reply_about_somebody_else_is_never_used() -> None:
    """When replies are mixed up on the way, the id inside gives them away: an error, and no data."""
    theirs: list[Any] = [b"bob", NOW_MS, None, b"", None, None]

    distrusted = 0

    class Mixed(Connections):
        def distrust(self) -> None:
            nonlocal distrusted
            distrusted += 1

        def call(self, packed: bytes, deadline_s: float | None = None) -> asyncio.Future[Any]:
            answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            answer.set_result(theirs)
            return answer

    an_event = EventToFold("e", NOW_MS, ())
    store = Store.over(Mixed("redis://127.0.0.1:1/0"), LEVELS, "none")
    assert (await store.customers.context("bob")).level is None
    for call in (
        store.customers.context("anna"),
        store.customers.commit(a_commit("bob")),
        store.events.fold("bob", [an_event]),
    ):
        with pytest.raises(StoreCrossed):
            await call
    theirs = [None, None]
    with pytest.raises(StoreCrossed):
        await store.customers.context("anna")
    assert distrusted == 4


async def test_distrust_ends_every_open_connection(clean_store_url: str) -> None:
    """Whoever waits on a connection that is no longer trusted gets an error and no reply; the next call is served."""
    async with patient(clean_store_url, size=2) as connections:
        await asyncio.gather(*(connections.execute("PING") for _ in range(4)))
        waiting = [connections.call(pack("BLPOP", "nothing", 5)) for _ in range(2)]
        await asyncio.sleep(0)
        connections.distrust()
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(answer) for answer in ended] == [StoreUnavailable, StoreUnavailable]
        store = Store.over(connections, LEVELS, "none")
        assert (await healed(store, "anna")).level is None


async def healed(store: Store, customer: str) -> Known:
    """Read a customer as soon as there is a connection again; nothing but its absence may come before."""
    async with asyncio.timeout(10):
        while True:
            with suppress(StoreUnavailable):
                return await store.customers.context(customer, 5.0)
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "written",
    [b"\xc1", b"", b"plain text", _pack("full"), _pack(["full"]), _pack(["full", 5, 1, ""]), _pack({"1": "full"})],
)
async def test_a_consent_that_cannot_be_read_counts_as_none(clean_store_url: str, written: bytes) -> None:
    """Fail closed: what is not exactly a consent allows what the lowest level allows, and can be replaced."""
    async with opened(clean_store_url) as store:
        await fill(store, "anna")
        raw_store(clean_store_url).hset(keys.context_key("anna"), "c", written)
        known = await store.customers.context("anna")
        assert (known.level, known.channels, known.groups) == (None, (), {})
        assert await store.consents.get_consent("anna") is None
        again = ConsentRecord("service", (), NOW_MS + 1, "")
        await store.consents.set_consent("anna", again)
        assert (await store.customers.context("anna")).level == "service"


@pytest.mark.parametrize("written", [b"\xc1", b"", b"text", _pack([1, 2]), _pack({"cap": 5}), _pack({"twice": ["x"]})])
async def test_counters_that_cannot_be_read_are_an_error(clean_store_url: str, written: bytes) -> None:
    """Without counters no cap is known to hold, so neither a read nor a commit goes on."""
    async with opened(clean_store_url) as store:
        await fill(store, "anna")
        raw_store(clean_store_url).hset(keys.context_key("anna"), "k", written)
        with pytest.raises(StoreUnreadable):
            await store.customers.context("anna")


@pytest.mark.parametrize("written", [b"\xc1", b"", b"text", _pack({"twice": 5}), _pack({"twice": ["x"]})])
async def test_no_commit_over_counters_that_cannot_be_read(clean_store_url: str, written: bytes) -> None:
    """A commit that cannot know its caps changes nothing."""
    async with opened(clean_store_url) as store:
        raw = raw_store(clean_store_url)
        raw.hset(keys.context_key("anna"), "k", written)
        with pytest.raises(StoreReplied):
            await store.customers.commit(a_commit("anna"))
        assert raw.keys() == [keys.context_key("anna")]


@pytest.mark.parametrize("kind", ["context", "log", "decision"])
async def test_a_key_of_another_type_stops_the_call_before_it_writes(clean_store_url: str, kind: str) -> None:
    """Where somebody else put another type of value, the call fails and leaves nothing half done."""
    commit = a_commit("anna")
    key = {
        "context": keys.context_key("anna"), "log": keys.log_key(keys.bucket("anna")),
        "decision": keys.decision_key(commit.decision_id),
    }[kind]  # fmt: skip
    raw = raw_store(clean_store_url)
    raw.sadd(key, "another type")
    async with opened(clean_store_url) as store:
        with pytest.raises(StoreReplied):
            await store.customers.commit(commit)
    assert raw.keys() == [key]


async def test_event_ids_of_another_type_stop_the_call_before_it_writes(clean_store_url: str) -> None:
    """Where the memory of event ids cannot be read, nothing is folded, for it might be repeated."""
    raw = raw_store(clean_store_url)
    async with opened(clean_store_url) as store:
        await store.events.fold("anna", MANY[:100])
        raw.sadd(keys.events_key("anna"), "another type")
        before = raw.hgetall(keys.context_key("anna"))
        with pytest.raises(StoreReplied):
            await store.events.fold("anna", MANY[100:])
    assert raw.hgetall(keys.context_key("anna")) == before


async def test_states_that_cannot_be_read_come_out_as_they_are(clean_store_url: str) -> None:
    """A group that cannot be read is no error of the read: whoever unpacks it sees the fields as unknown."""
    async with opened(clean_store_url) as store:
        await fill(store, "anna")
        raw_store(clean_store_url).hset(keys.context_key("anna"), "s", b"\xc1")
        assert (await store.customers.context("anna")).groups == {"s": b"\xc1"}


async def test_a_decision_without_its_log_entry_is_an_error(clean_store_url: str) -> None:
    """A decision that is known to have been made, but is lost from the log, is not made again."""
    async with opened(clean_store_url) as store:
        commit = await fill(store, "anna")
        raw_store(clean_store_url).delete(keys.log_key(keys.bucket("anna")))
        for call in (store.customers.commit(commit), store.customers.read("anna", commit.decision_id)):
            with pytest.raises(StoreReplied) as refused:
                await call
            assert refused.value.prefix == "GONE"


async def test_functions_that_are_lost_are_loaded_again(clean_store_url: str) -> None:
    """After a restart without persistence the next calls load the functions once and go on, reads and writes alike."""
    async with opened(clean_store_url) as store:
        raw = raw_store(clean_store_url)
        raw.config_resetstat()
        raw.function_flush()
        calls = (
            store.customers.context("anna"),
            store.customers.commit(a_commit("anna")),
            store.customers.context("bob"),
            store.customers.context("eve"),
        )
        read, committed, *_ = await asyncio.gather(*calls)
        assert (read.level, committed.chosen) == (None, (0,))
        assert raw.info("commandstats")["cmdstat_function|load"]["calls"] == 1


async def test_two_versions_of_the_functions_live_side_by_side(clean_store_url: str) -> None:
    """Loading this version leaves the libraries of other versions alone."""
    raw = raw_store(clean_store_url)
    raw.function_load(
        "#!lua name=tact_other\nredis.register_function('tact_read_other', function() return 1 end)", True
    )
    async with opened(clean_store_url) as store:
        await store.calls.load_functions()
        assert raw.fcall("tact_read_other", 0) == 1
        assert (await store.customers.context("anna")).level is None
    raw.function_delete("tact_other")


async def test_a_read_keeps_its_deadline(clean_store_url: str) -> None:
    """Without time left the store is not asked, whatever the call."""
    async with opened(clean_store_url) as store:
        for call in (store.customers.read("anna", None, 0.0), store.customers.commit(a_commit("anna"), 0.0)):
            with pytest.raises(StoreError):
                await call
    assert raw_store(clean_store_url).keys() == []
