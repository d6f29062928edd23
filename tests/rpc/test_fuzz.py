"""Whatever bytes arrive, the edge answers with a status of its own: never UNKNOWN, never INTERNAL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.core.audit import Audited, AuditPage, Who
from service.core.chain_walk import Found
from service.core.decision import Known
from service.core.logged import DecisionPage, OutcomePage
from service.core.predictions import Change, PredictionFate, PredictionToStore
from service.core.records import Agreed, ConsentRecord, OutcomeRecord, OutcomeStatus, Person
from service.core.rights import Erased, Kept, KeptDecision, KeptOutcome
from service.core.supplies import DemandTold, SupplyFate, SupplyReport, SupplyStatus
from tact.v1.decision_pb2 import DecideResponse
from tests.rpc.messages import METHODS, call_raw
from tests.rpc.world import NOW_MS, Alone, calling, edge_of

ENDLESS = {"WatchChanges", "WatchDemand"}  # they go on until the caller leaves, which is no error
ANSWERS = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT}
WORDS = ["c-1", "web", "greeting", "hero", "purchase", "noted", "amount", "text", "personal", "present.sentiment"]
HOSTILE = [
    "",
    " ",
    "\x00",
    "\u202e",
    "\u200b",
    "x}:consent",
    "*",
    "\r\nSET",
    "'; DROP",
    "é" * 65,
    "x" * 2_000,
    "٣",
    "🙂",
]
TEXTS = st.sampled_from(WORDS) | st.sampled_from(HOSTILE) | st.text(max_size=20)
WHOLES = st.sampled_from([0, 1, -1, NOW_MS // 1000, 2**31 - 1, -(2**31)])
LONGS = WHOLES | st.sampled_from([2**53, 2**63 - 1, -(2**63), -62_135_596_801, 253_402_300_800])
NUMBERS = st.floats(width=64) | st.sampled_from([0.0, -0.0, 0.5, 1e308])


def messages(descriptor: Any) -> st.SearchStrategy[Message]:  # noqa: ANN401 - a descriptor; upb's type is private
    """Draw any message of a type: any field, set or not, with words of the strategy and hostile values."""
    fields = {field.name: _field(field) for field in descriptor.fields}
    return st.fixed_dictionaries({}, optional=fields).map(lambda drawn: _message(descriptor, drawn))


def _field(field: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - a descriptor; upb's type is private
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        entry = field.message_type.fields_by_name
        return st.dictionaries(TEXTS, _single(entry["value"]), max_size=4)
    return st.lists(_single(field), max_size=4) if field.is_repeated else _single(field)


def _single(field: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - a descriptor; upb's type is private
    if field.message_type is not None:
        return messages(field.message_type)
    return {
        field.CPPTYPE_STRING: TEXTS,
        field.CPPTYPE_INT32: WHOLES,
        field.CPPTYPE_INT64: LONGS,
        field.CPPTYPE_DOUBLE: NUMBERS,
        field.CPPTYPE_BOOL: st.booleans(),
        field.CPPTYPE_ENUM: WHOLES,
    }[field.cpp_type]


def _message(descriptor: Any, drawn: dict[str, Any]) -> Message:  # noqa: ANN401 - a descriptor
    return GetMessageClass(descriptor)(**drawn)


class EmptyLog:
    """A log in which nothing stands yet."""

    async def decisions(self, bucket: int, after: str, deadline_s: float | None = None) -> DecisionPage:
        """Tell none."""
        return DecisionPage((), after, True)

    async def outcomes(self, bucket: int, after: str, deadline_s: float | None = None) -> OutcomePage:
        """Tell none."""
        return OutcomePage((), after, True, 0)

    async def erased(self, customers: Iterable[str], deadline_s: float | None = None) -> dict[str, int]:
        """Know of nobody."""
        return {}


class EmptyChains:
    """A log of which nothing was ever chained."""

    async def verify(self, *asked: Any, **more: Any) -> Found:  # noqa: ANN401 - whatever is asked
        """Find nothing."""
        return Found()


class EmptyRecord:
    """An audit record in which nothing stands."""

    def digest(self, customer: str) -> str:
        """Know no key."""
        return ""

    async def note_erasure(self, customer: str, what: str, who: Who, deadline_s: float) -> None:
        """Note nothing."""

    async def page(self, after: str = "", deadline_s: float | None = None) -> AuditPage:
        """Hold nothing."""
        return AuditPage((), after, True)

    async def consents(self, customer: str, deadline_s: float | None = None) -> tuple[Audited, ...]:
        """Know of none."""
        return ()

    async def consenting(self, deadline_s: float | None = None) -> AsyncIterator[str]:
        """Know of nobody."""
        for nobody in list[str]():
            yield nobody

    async def verify(self, *asked: Any, **more: Any) -> Found:  # noqa: ANN401 - whatever is asked
        """Find nothing."""
        return Found()


class Yielding:
    """A store that answers anything that is well formed."""

    async def context(self, customer: str, deadline_s: float) -> Known:
        """Know nothing."""
        return Known(NOW_MS, "full", (), {}, {})

    async def fold(self, customer: str, events: Any, deadline_s: float) -> tuple[bool, ...]:  # noqa: ANN401
        """Fold all."""
        return (True,) * len(events)

    async def set_consent(self, customer: str, consent: ConsentRecord, deadline_s: float) -> ConsentRecord:
        """Accept."""
        return consent

    async def agreed(self, customer: str, *, history: bool, deadline_s: float) -> Agreed:
        """Know none."""
        return Agreed(None)

    async def kept(self, customer: str, deadline_s: float | None) -> Kept:
        """Keep nothing."""
        return Kept(NOW_MS, None, None, (), {}, {}, (), "", (), "", 0, False, "0-0", "0-0", {})

    async def decisions(self, customer: str, up_to: str, deadline_s: float | None) -> AsyncIterator[KeptDecision]:
        """Know none."""
        for none in tuple[KeptDecision, ...]():
            yield none

    async def outcomes(self, customer: str, up_to: str, deadline_s: float | None) -> AsyncIterator[KeptOutcome]:
        """Know none."""
        for none in tuple[KeptOutcome, ...]():
            yield none

    async def erase(self, customer: str, deadline_s: float) -> Erased:
        """Find nothing."""
        return Erased((customer,), NOW_MS, *[0] * (len(Erased.__struct_fields__) - 2))

    async def rewrite(self, deadline_s: float) -> bool:
        """Refuse."""
        return False

    async def report(self, report: SupplyReport, deadline_s: float) -> SupplyFate:
        """Accept."""
        return SupplyFate(SupplyStatus.STORED, report.available, 0, 0)

    async def told(self, cursor: str, deadline_s: float) -> tuple[DemandTold, ...]:
        """Tell nothing."""
        return ()

    async def record(self, prediction: PredictionToStore, deadline_s: float) -> PredictionFate:
        """Accept."""
        return PredictionFate.STORED

    async def lend(self, most: int, lease_s: float, deadline_s: float) -> AsyncIterator[tuple[Change, ...]]:
        """Know nobody who changed."""
        nobody: tuple[tuple[Change, ...], ...] = ()
        for changes in nobody:
            yield changes

    async def finish(self, changes: Any, deadline_s: float) -> int:  # noqa: ANN401
        """Finish all."""
        return len(changes)

    async def record_outcome(self, outcome: OutcomeRecord, deadline_s: float) -> OutcomeStatus:
        """Accept."""
        return OutcomeStatus.STORED

    async def link(self, alias: str, customer: str, deadline_s: float) -> bool:
        """Link anybody."""
        return True

    async def unlink(self, alias: str, customer: str, deadline_s: float) -> bool:
        """Find nothing to undo."""
        return False

    async def person(self, customer: str, deadline_s: float) -> Person:
        """Know no alias."""
        return Person(customer, ())


@dataclass
class Target:
    """A server that lives as long as the tests here, on a loop that runs while one of them calls it."""

    runner: asyncio.Runner
    channel: Any

    def status_of(self, method: MethodDescriptor, raw: bytes) -> set[grpc.StatusCode]:
        """Return the status of a call, or for a stream those of its items."""
        try:
            answers = self.runner.run(call_raw(self.channel, method, [raw], 0.02 if method.name in ENDLESS else 10))
        except grpc.aio.AioRpcError as error:
            ended = method.name in ENDLESS and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            return {grpc.StatusCode.OK if ended else error.code()}
        codes = {answer.error.code for answer in answers if isinstance(answer, DecideResponse)} or {0}
        return {code for code in grpc.StatusCode if code.value[0] in codes}


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    """Return a server to call from tests that are not asynchronous."""
    with asyncio.Runner() as runner:
        stores = Alone(Yielding())
        stores.log = EmptyLog()
        stores.chain = EmptyChains()
        stores.audit = EmptyRecord()
        serving = calling(edge_of(stores=stores))
        yield Target(runner, runner.run(_enter(serving)))
        runner.run(_leave(serving))


async def _enter(context: Any) -> Any:  # noqa: ANN401 - a context manager
    return await context.__aenter__()


async def _leave(context: Any) -> None:  # noqa: ANN401 - a context manager
    await context.__aexit__(None, None, None)


FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@FUZZ
@given(data=st.data())
def test_any_message(method: MethodDescriptor, target: Target, data: st.DataObject) -> None:
    """Any message of the contract, however odd, is answered or refused."""
    message = data.draw(messages(method.input_type))
    assert target.status_of(method, message.SerializeToString()) <= ANSWERS


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@FUZZ
@given(data=st.data())
def test_any_bytes(method: MethodDescriptor, target: Target, data: st.DataObject) -> None:
    """Any bytes, and any message with a bit turned or an end cut off, are answered or refused."""
    raw = bytearray(data.draw(messages(method.input_type)).SerializeToString() or b"\x0a")
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= 1 << data.draw(st.integers(0, 7))
    cut = bytes(raw[: data.draw(st.integers(0, len(raw)))])
    assert target.status_of(method, data.draw(st.sampled_from([bytes(raw), cut]) | st.binary(max_size=60))) <= ANSWERS
