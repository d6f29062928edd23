"""Predictions and changes through gRPC, on real stores: what models say is read by decisions, as far as was agreed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.loader import load_strategy
from service.core.records import ConsentRecord
from service.core.strategy import Strategy
from service.rpc import convert_prediction, predictions
from service.rpc.edge import Edge, Limits
from service.rpc.plain import plain
from service.store import keys
from service.store.connection import pack
from service.store.store import Store
from service.store.suppression import Suppression
from tact.v1 import context_pb2, context_pb2_grpc
from tact.v1 import prediction_pb2 as pb
from tact.v1.prediction_pb2_grpc import PredictionServiceStub
from tact.v1.values_pb2 import StringList, Value
from tests.predicting import write_predicting
from tests.rpc.bad_requests import FUTURE, YEAR_0, YEAR_1999, YEAR_9999, double, text, texts, whole
from tests.rpc.messages import event
from tests.rpc.world import NOW_MS, Answering, Unasked, calling
from tests.store.patience import patient

STORED, SUPERSEDED = pb.PREDICTION_STATUS_STORED, pb.PREDICTION_STATUS_SUPERSEDED
REFUSED, NOT_CONSENTED = pb.PREDICTION_STATUS_REFUSED, pb.PREDICTION_STATUS_NOT_CONSENTED
MOMENT = Timestamp(seconds=NOW_MS // 1000 - 60)


@cache
def strategy() -> Strategy:
    """Return a strategy in which models write fields of every type."""
    with TemporaryDirectory() as folder:
        return load_strategy(write_predicting(Path(folder)))


class World:
    """Stubs of the services over a real store."""

    def __init__(self, store: Store, channel: Any) -> None:  # noqa: ANN401 - an untyped channel
        self.store = store
        self.predictions: Any = PredictionServiceStub(channel)
        self.contexts: Any = context_pb2_grpc.ContextServiceStub(channel)

    async def agreed(self, customer: str, level: str = "full") -> None:
        """Let a customer agree to a level."""
        consent = context_pb2.Consent(level=level, given_at=Timestamp(seconds=NOW_MS // 1000 - 3600))
        await self.contexts.SetConsent(context_pb2.SetConsentRequest(customer_id=customer, consent=consent))

    async def record(self, *told: pb.Prediction) -> list[pb.PredictionResult]:
        """Record predictions."""
        request = pb.RecordPredictionsRequest(predictions=told)
        return list((await self.predictions.RecordPredictions(request)).results)

    async def shown(self, customer: str, name: str) -> dict[str, Any]:
        """Return what the context shows of one field."""
        asked = context_pb2.GetContextRequest(customer_id=customer, as_of=Timestamp(seconds=NOW_MS // 1000))
        fields = plain(await self.contexts.GetContext(asked))["fields"]
        found: dict[str, Any] = next(field for field in fields if field["field_id"] == name)
        return found

    async def happened(self, customer: str, name: str = "e-1") -> None:
        """Let an event happen."""
        visit = event(customer_id=customer, event_id=name, type="visit", attributes={"minutes": double(1.0)})
        await self.contexts.RecordEvents(context_pb2.RecordEventsRequest(events=[visit]))


@asynccontextmanager
async def world(url: str, suppression: Suppression | None = None) -> AsyncIterator[World]:
    """Serve the strategy over the store at `url`."""
    levels = {level.id: "".join(purpose.group for purpose in level.purposes) for level in strategy().levels}
    async with patient(url) as connections:
        store = Store.over(
            connections, levels, strategy().levels[0].id, suppression=suppression or Suppression(), mark_changes=True
        )
        await store.calls.load_functions()
        edge = Edge.of(
            strategy(),
            decider=Answering(),
            stores=store,
            limits=Limits(allow_as_of=True),
            clock=lambda: NOW_MS,
            validator=Unasked(),
        )
        async with calling(edge) as channel:
            yield World(store, channel)


def prediction(customer: str = "ina", **changes: Any) -> pb.Prediction:  # noqa: ANN401 - the tests break types on purpose
    """Return a good prediction with some fields replaced."""
    good: dict[str, Any] = {
        "model_version": "churn@1",
        "computed_at": MOMENT,
        "values": {"predicted.churn": double(0.7)},
    }
    return pb.Prediction(customer_id=customer, **{**good, **changes})


def statuses(results: list[pb.PredictionResult]) -> list[int]:
    """Return what became of each."""
    return [result.status for result in results]


async def test_what_a_model_says_is_shown_with_its_version_and_age(clean_store_url: str) -> None:
    """A value of every type is a field of the context, from a model, with version, moment and age."""
    values = {
        "predicted.churn": (double(0.7), 0.7),
        "predicted.reason": (text("moving"), "moving"),
        "predicted.also": (texts("phone", "case"), ["phone", "case"]),
        "predicted.loyal": (Value(bool_value=False), False),
        "predicted.visits": (whole(3), 3),
        "predicted.returns_at": (Value(timestamp_value=Timestamp(seconds=1_800_000_000)), "2027-01-15T08:00:00Z"),
    }
    async with world(clean_store_url) as served:
        await served.agreed("ina")
        (result,) = await served.record(prediction(values={name: sent for name, (sent, _) in values.items()}))
        assert (result.status, result.customer_id) == (STORED, "ina")
        for name, (_, wanted) in values.items():
            field = await served.shown("ina", name)
            assert field["value"] == wanted
            assert (field["state"], field["source"], field["model_version"]) == ("known", "model", "churn@1")
            assert field["age_seconds"] == 60.0


async def test_no_texts_are_a_value_too(clean_store_url: str) -> None:
    """A list without texts says that nothing goes with the basket; it is not the same as nothing said."""
    async with world(clean_store_url) as served:
        await served.agreed("ina")
        await served.record(prediction(values={"predicted.also": Value(strings_value=StringList())}))
        field = await served.shown("ina", "predicted.also")
    assert (field["state"], field["value"]) == ("known", [])


async def test_an_old_prediction_is_unknown(clean_store_url: str) -> None:
    """A score older than the field's maximum age is stale, however it came."""
    async with world(clean_store_url) as served:
        await served.agreed("ina")
        await served.record(prediction(computed_at=Timestamp(seconds=NOW_MS // 1000 - 31 * 86_400)))
        assert (await served.shown("ina", "predicted.churn"))["state"] == "stale"


async def test_the_later_prediction_holds_in_whatever_order(clean_store_url: str) -> None:
    """What was computed later stays, what was computed before it changes nothing, and nor does the same again."""
    late = Timestamp(seconds=MOMENT.seconds + 10)
    first, second = prediction(), prediction(computed_at=late, values={"predicted.churn": double(0.2)})
    async with world(clean_store_url) as served:
        await served.agreed("ina")
        assert statuses(await served.record(second)) == [STORED]
        assert statuses(await served.record(first)) == [SUPERSEDED]
        assert statuses(await served.record(second)) == [SUPERSEDED]
        assert (await served.shown("ina", "predicted.churn"))["value"] == 0.2


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(5)), st.integers(0, 4))
def test_any_order_of_predictions_gives_the_same(store_url: str, order: list[int], twice: int) -> None:
    """Five predictions of which three are of one moment: the same value and version, shuffled and repeated."""

    async def told() -> tuple[object, object]:
        seconds = (0, 5, 5, 5, 2)
        said = [
            prediction(
                f"order-{order}-{twice}",
                computed_at=Timestamp(seconds=MOMENT.seconds + seconds[n]),
                model_version=f"churn@{n}",
                values={"predicted.churn": double((0.1, 0.4, 0.9, 0.9, 0.5)[n])},
            )
            for n in [*order, order[twice]]
        ]
        async with world(store_url) as served:
            await served.agreed(said[0].customer_id)
            for one in said:
                await served.record(one)
            field = await served.shown(said[0].customer_id, "predicted.churn")
            return field["value"], field["model_version"]

    assert asyncio.run(told()) == (0.9, "churn@3")


async def test_a_clock_that_runs_ahead_keeps_nothing_out(clean_store_url: str) -> None:
    """A moment a little in the future is stored as now, so that what is computed next is not older."""
    ahead = Timestamp(seconds=NOW_MS // 1000 + 200)
    async with world(clean_store_url) as served:
        await served.agreed("ina")
        await served.record(prediction(computed_at=ahead))
        assert (await served.shown("ina", "predicted.churn"))["age_seconds"] == 0.0


async def test_what_is_said_of_an_alias_is_said_of_the_person(clean_store_url: str) -> None:
    """A job that is given an alias writes for the person, under the person's consent."""
    async with world(clean_store_url) as served:
        await served.agreed("ina")
        await served.happened("visitor-1")
        await served.store.identities.link("visitor-1", "ina")
        assert statuses(await served.record(prediction("visitor-1"))) == [STORED]
        for name in ("ina", "visitor-1"):
            assert (await served.shown(name, "predicted.churn"))["value"] == 0.7


async def test_without_consent_nothing_is_written(clean_store_url: str) -> None:
    """Whoever has not agreed to profiling: the store itself refuses, all of the prediction, and keeps nothing."""
    both = {"predicted.churn": double(0.7), "predicted.loyal": Value(bool_value=True)}
    async with world(clean_store_url) as served:
        await served.agreed("ben", "personal")
        results = await served.record(
            prediction("ben", values=both),
            prediction("nobody"),
            prediction("ben", values={"predicted.visits": whole(1)}),
        )
        assert statuses(results) == [NOT_CONSENTED, NOT_CONSENTED, STORED]
        assert [v.field for v in results[0].violations] == ["values"]
        assert (await served.shown("ben", "predicted.loyal"))["state"] == "never_seen"
        stored = await served.store.calls.call(b"*2\r\n$4\r\nKEYS\r\n$8\r\n*nobody*\r\n", None)
        assert stored == []
        await served.agreed("ben", "full")
        assert (await served.shown("ben", "predicted.churn"))["state"] == "never_seen"


async def test_a_level_that_the_strategy_has_no_more_allows_the_least(clean_store_url: str) -> None:
    """Who agreed to what is no level any more has agreed to nothing that anybody could name."""
    async with world(clean_store_url) as served:
        await served.store.consents.set_consent("ina", ConsentRecord("retired", (), NOW_MS - 3_600_000, "form"))
        results = await served.record(prediction(), prediction(values={"predicted.visits": whole(1)}))
        assert statuses(results) == [NOT_CONSENTED, NOT_CONSENTED]


async def test_a_withdrawal_holds_for_what_was_computed_before_it(clean_store_url: str) -> None:
    """A job that read the context before a withdrawal writes after it: refused, and what was there is hidden."""
    async with world(clean_store_url) as served:
        await served.agreed("ina")
        await served.record(prediction())
        later = context_pb2.Consent(level="personal", given_at=Timestamp(seconds=NOW_MS // 1000))
        await served.contexts.SetConsent(context_pb2.SetConsentRequest(customer_id="ina", consent=later))
        assert statuses(await served.record(prediction(model_version="churn@2"))) == [NOT_CONSENTED]
        assert (await served.shown("ina", "predicted.churn"))["state"] == "hidden"


async def test_of_the_erased_nothing_is_written(clean_store_url: str) -> None:
    """What was computed before the erasure comes too late, and is refused by name."""
    suppression = Suppression(b"k" * 32)
    async with world(clean_store_url, suppression) as served:
        await served.agreed("ina")
        await served.record(prediction())
        await served.happened("ina")
        await served.store.rights.erase("ina")
        (result,) = await served.record(prediction())
        assert result.status == REFUSED
        assert [violation.field for violation in result.violations] == ["customer_id"]
        assert await served.store.calls.call(b"*2\r\n$4\r\nKEYS\r\n$5\r\n*ina*\r\n", None) == []
        again = context_pb2.Consent(level="full")  # now, by the store's clock
        await served.contexts.SetConsent(context_pb2.SetConsentRequest(customer_id="ina", consent=again))
        # welcome again: what is computed from now on is kept
        assert statuses(await served.record(prediction())) == [STORED]


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no customer": ({"customer": ""}, "customer_id"),
    "a long customer": ({"customer": "x" * 129}, "customer_id"),
    "a hidden character": ({"customer": "i\u200bna"}, "customer_id"),
    "no version": ({"model_version": ""}, "model_version"),
    "a long version": ({"model_version": "v" * 97}, "model_version"),
    "a line in a version": ({"model_version": "a\nb"}, "model_version"),
    "no moment": ({"computed_at": None}, "computed_at"),
    "a moment to come": ({"computed_at": FUTURE}, "computed_at"),
    "the year 9999": ({"computed_at": YEAR_9999}, "computed_at"),
    "the year 0": ({"computed_at": YEAR_0}, "computed_at"),
    "long ago": ({"computed_at": YEAR_1999}, "computed_at"),
    "no values": ({"values": {}}, "values"),
    "too many values": ({"values": {f"predicted.v{n}": double(0.1) for n in range(65)}}, "values"),
    "an unknown field": ({"values": {"predicted.chrun": double(0.1)}}, 'values["predicted.chrun"]'),
    "a field of events": ({"values": {"past.minutes": double(0.1)}}, 'values["past.minutes"]'),
    "a field of the request": ({"values": {"present.sentiment": double(0.1)}}, 'values["present.sentiment"]'),
    "another type": ({"values": {"predicted.churn": whole(1)}}, 'values["predicted.churn"]'),
    "no kind": ({"values": {"predicted.churn": Value()}}, 'values["predicted.churn"]'),
    "no number": ({"values": {"predicted.churn": double(float("nan"))}}, 'values["predicted.churn"]'),
    "endless": ({"values": {"predicted.churn": double(float("inf"))}}, 'values["predicted.churn"]'),
    "above its bounds": ({"values": {"predicted.churn": double(1.001)}}, 'values["predicted.churn"]'),
    "below its bounds": ({"values": {"predicted.visits": whole(-1)}}, 'values["predicted.visits"]'),
    "beyond what is kept": ({"values": {"predicted.visits": whole(2**53)}}, 'values["predicted.visits"]'),
    "another category": ({"values": {"predicted.reason": text("weather")}}, 'values["predicted.reason"]'),
    "too many texts": ({"values": {"predicted.also": texts(*["x"] * 65)}}, 'values["predicted.also"]'),
    "a long text": ({"values": {"predicted.also": texts("x" * 1025)}}, 'values["predicted.also"]'),
    "a control character": ({"values": {"predicted.also": texts("a\x00b")}}, 'values["predicted.also"]'),
}


async def test_bad_predictions_are_refused_by_name_and_the_good_ones_beside_them_stored(clean_store_url: str) -> None:
    """Each kind of bad prediction is refused with its path; those before, between and after are stored."""
    bad = []
    for changes, _ in BAD.values():
        given = dict(changes)
        bad.append(prediction(given.pop("customer", "ina"), **given))
    good = [prediction(f"good-{number}") for number in range(len(bad))]
    async with world(clean_store_url) as served:
        for one in good:
            await served.agreed(one.customer_id)
        results = await served.record(*(one for pair in zip(bad, good, strict=True) for one in pair))
    assert statuses(results) == [REFUSED, STORED] * len(bad)
    named = [result.violations[0].field for result in results[::2]]
    assert dict(zip(BAD, named, strict=True)) == {what: path for what, (_, path) in BAD.items()}


@pytest.mark.parametrize(
    ("method", "request_", "path"),
    [
        ("RecordPredictions", pb.RecordPredictionsRequest(), "predictions"),
        ("RecordPredictions", pb.RecordPredictionsRequest(predictions=[prediction()] * 1001), "predictions"),
        ("FinishChanges", pb.FinishChangesRequest(), "changes"),
        ("FinishChanges", pb.FinishChangesRequest(changes=[pb.Change(customer_id="ina")]), "changes[0].loan"),
        (
            "FinishChanges",
            pb.FinishChangesRequest(changes=[pb.Change(customer_id="ina", loan="1e5")]),
            "changes[0].loan",
        ),
        ("FinishChanges", pb.FinishChangesRequest(changes=[pb.Change(loan="1.000")]), "changes[0].customer_id"),
        ("WatchChanges", pb.WatchChangesRequest(most=-1), "most"),
        ("WatchChanges", pb.WatchChangesRequest(most=1001), "most"),
        ("WatchChanges", pb.WatchChangesRequest(lease_seconds=4), "lease_seconds"),
        ("WatchChanges", pb.WatchChangesRequest(lease_seconds=3601), "lease_seconds"),
    ],
)
async def test_bad_calls_are_refused_by_name(store_url: str, method: str, request_: Message, path: str) -> None:
    """A batch that is empty or too long, a loan that is none, a lease out of bounds: refused with the path."""
    async with world(store_url) as served:
        call = getattr(served.predictions, method)(request_)
        with pytest.raises(grpc.aio.AioRpcError, match=re.escape(path)) as refused:
            await (call.read() if method == "WatchChanges" else call)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def worked(
    served: World, asked: pb.WatchChangesRequest, batch_s: float = 0.0
) -> AsyncGenerator[pb.WatchChangesResponse, None]:
    """Yield answers as a job reads them: each is worked on for so long, and then finished whole."""
    async for answer in served.predictions.WatchChanges(asked):
        await asyncio.sleep(batch_s)
        finished = await served.predictions.FinishChanges(pb.FinishChangesRequest(changes=answer.changes))
        assert finished.finished == len(answer.changes)
        yield answer


async def test_changes_come_until_none_is_left_and_are_finished(clean_store_url: str) -> None:
    """A job that runs once gets everybody who changed, finishes them, and the next run gets nobody."""
    async with world(clean_store_url) as served:
        for number in range(25):
            await served.happened(f"c{number}")
        once = pb.WatchChangesRequest(most=10, until_none=True)
        answers = [answer async for answer in worked(served, once)]
        changes = [change for answer in answers for change in answer.changes]
        assert sorted(change.customer_id for change in changes) == sorted(f"c{number}" for number in range(25))
        assert max(len(answer.changes) for answer in answers) == 10
        assert [answer async for answer in served.predictions.WatchChanges(once)] == []


async def test_a_slow_job_comes_to_an_end_however_long_its_backlog(
    clean_store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backlog that takes longer than the lease is worked off once: nobody waits so long as to be lent again."""
    monkeypatch.setattr(convert_prediction, "SHORTEST_LEASE_S", 1)
    names = [f"c{number}" for number in range(25)]
    async with world(clean_store_url) as served:
        for name in names:
            await served.happened(name)
        lent: list[str] = []
        async with aclosing(worked(served, pb.WatchChangesRequest(most=1, lease_seconds=1), 0.1)) as answers:
            while len(lent) < len(names):
                lent += [change.customer_id for change in (await anext(answers)).changes]
    assert sorted(lent) == sorted(names)


async def test_a_job_that_stops_reading_leaves_the_others_their_share(clean_store_url: str) -> None:
    """Whoever reads one answer and no more holds two at most; another job gets all the others, and ends."""
    async with world(clean_store_url) as served:
        for number in range(60):
            await served.happened(f"c{number}")
        stuck = served.predictions.WatchChanges(pb.WatchChangesRequest(most=5))
        await stuck.read()
        asked = pb.WatchChangesRequest(most=5, until_none=True)
        lent = [change async for answer in worked(served, asked) for change in answer.changes]
        stuck.cancel()
    assert 50 <= len(lent) < 60


async def test_who_is_not_finished_in_time_holds_nobody_up(
    clean_store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that never finishes gets the next answer when the time of those before is over, not sooner."""
    monkeypatch.setattr(convert_prediction, "SHORTEST_LEASE_S", 1)
    async with world(clean_store_url) as served:
        for number in range(3):
            await served.happened(f"c{number}")
        began = asyncio.get_running_loop().time()
        call = served.predictions.WatchChanges(pb.WatchChangesRequest(most=1, lease_seconds=1))
        for _ in range(2):
            await call.read()
        assert asyncio.get_running_loop().time() - began < 0.9
        await asyncio.wait_for(call.read(), 10.0)
        assert asyncio.get_running_loop().time() - began >= 1.0
        call.cancel()


async def test_a_watch_goes_on_as_customers_change(clean_store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an end a job hears of a change that happens while it listens; writing a prediction is none."""
    monkeypatch.setattr(predictions, "LOOK_EVERY_S", 0.05)
    async with world(clean_store_url) as served:
        await served.agreed("ina")
        await served.happened("ina")
        call = served.predictions.WatchChanges(pb.WatchChangesRequest())
        first = await asyncio.wait_for(call.read(), 10.0)
        assert [change.customer_id for change in first.changes] == ["ina"]
        await served.record(prediction())
        await served.predictions.FinishChanges(pb.FinishChangesRequest(changes=first.changes))
        await served.happened("ben")
        second = await asyncio.wait_for(call.read(), 10.0)
        call.cancel()
    assert [change.customer_id for change in second.changes] == ["ben"]


async def test_a_watch_ends_with_its_deadline(clean_store_url: str) -> None:
    """A caller's deadline ends the stream, and nothing goes on behind it."""
    async with world(clean_store_url) as served:
        call = served.predictions.WatchChanges(pb.WatchChangesRequest(), timeout=0.3)
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await call.read()
    assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_an_event_after_the_prediction_leaves_it_in_place(clean_store_url: str) -> None:
    """Folding events into the same purpose keeps what models said, and the other way round."""
    async with world(clean_store_url) as served:
        await served.agreed("ina")
        await served.happened("ina")
        await served.record(prediction())
        await served.happened("ina", "e-2")
        assert (await served.shown("ina", "predicted.churn"))["value"] == 0.7
        assert (await served.shown("ina", "past.minutes"))["value"] == 1.0
        assert await served.store.calls.call(keys_of("ina"), None) > 0


async def test_predictions_do_not_prolong_how_long_a_context_is_kept(clean_store_url: str) -> None:
    """Scoring somebody anew every night does not keep what is known of them: only what is heard of them does."""
    async with world(clean_store_url) as served:
        await served.agreed("ina")
        await served.store.calls.call(pack("PEXPIRE", keys.context_key("ina"), 3_600_000), None)
        assert statuses(await served.record(prediction())) == [STORED]
        assert 3_000_000 < await served.store.calls.call(keys_of("ina"), None) <= 3_600_000


def keys_of(customer: str) -> bytes:
    """Return the command that tells how long a customer's context is kept."""
    key = keys.context_key(customer)
    return b"*2\r\n$4\r\nPTTL\r\n$%d\r\n%b\r\n" % (len(key), key)
