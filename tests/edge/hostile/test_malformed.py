"""Whatever is surely against the contract is refused as such, with the path of what is wrong, by every method."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import grpc
import psutil
import pytest
from google.protobuf.descriptor import Descriptor, MethodDescriptor

from tests.cli.commands import Process
from tests.edge.hostile.asking import asked, send_all
from tests.edge.hostile.fields import NO_RULES, RULES
from tests.edge.hostile.good import messages, named, write
from tests.edge.hostile.malformed import METHODS, malformed
from tests.profile import cases

SEED = 8
FINE = {"ValidateDecision": "NOT_FOUND", "ExplainDecision": "NOT_FOUND", "EraseCustomer": "FAILED_PRECONDITION"}
"""What a good message comes to on an empty store, where that is no answer."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Return a service as its users start it, on a store of its own."""
    folder = tmp_path_factory.mktemp("hostile")
    words = ("--strategy", write(folder / "strategy"), "--store", f"embedded:{folder / 'store'}", "--port", "0")
    with Process("serve", *words, "--reflection", "--no-reload", "--store-wait", "5", "--json") as process:
        yield process.serving()


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_a_good_message_is_not_refused(method: MethodDescriptor, served: Process) -> None:
    """What is spoilt below is good before: it is answered, or found to be about nothing."""
    raw = messages()[named(method)].SerializeToString()
    endless = method.name == "Watch"
    async with grpc.aio.insecure_channel(served.target) as channel:
        try:
            await asked(channel, method, raw, 0.3 if endless else 20.0)
        except grpc.aio.AioRpcError as error:
            wanted = "DEADLINE_EXCEEDED" if endless else FINE.get(method.name)
            assert error.code().name == wanted, error.details()  # noqa: PT017 - the other methods answer


def test_every_field_has_a_rule() -> None:
    """No field that a caller can send is forgotten: a new one needs a rule, or a word that it may be anything."""
    for method in METHODS:
        _look(method.input_type)


def _look(descriptor: Descriptor) -> None:
    assert set(RULES[descriptor.name]) == {field.name for field in descriptor.fields}, descriptor.full_name
    for field in descriptor.fields:
        inner = field.message_type
        if inner is None or inner.full_name in NO_RULES or inner.GetOptions().map_entry:
            continue
        if inner.name in RULES:
            _look(inner)
        else:
            assert descriptor.name == "ServerReflectionRequest", f"{inner.full_name} has no rules"


async def test_malformed_inputs(served: Process, record_property: Callable[[str, object], None]) -> None:
    """All are refused as INVALID_ARGUMENT, or RESOURCE_EXHAUSTED for their size; the process goes on."""
    process = psutil.Process(served.pid)
    await send_all(served.target, malformed(SEED - 1, 1_000))  # what it grows by once, for long messages
    before = process.memory_info().rss
    tally = await send_all(served.target, malformed(SEED, cases(3_000, 100_000)))
    grown = process.memory_info().rss - before
    record_property("printed", f"{tally.sent:,}: {dict(tally.statuses)}, {grown / 1e6:+.0f} MB")
    assert not tally.wrong, f"{len(tally.wrong)} of {tally.sent}: " + "\n".join(sorted(tally.wrong)[:20])
    assert set(tally.statuses) <= {"INVALID_ARGUMENT", "item INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"}
    assert grown < 100e6
    async with grpc.aio.insecure_channel(served.target) as channel:
        decide = next(method for method in METHODS if method.name == "Decide")
        (answer,) = await asked(channel, decide, messages()["Decide"].SerializeToString())
    assert answer.answers, "the process goes on"
