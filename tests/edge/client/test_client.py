"""What the shipped client does with a running service: every convenience, every service, both ways of calling."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from time import monotonic

import grpc
import pytest

from tact.client import AsyncClient, CallFailed, Client, Retry, event, moment, outcome, question, value
from tact.v1 import context_pb2, decision_pb2, outcome_pb2, rights_pb2
from tests.edge.client.door import Door, standing
from tests.edge.client.world import ROOT, Replica

PROTOS = ROOT / "protos"


def test_a_customers_story_in_threads(service: Replica) -> None:
    """Consent, events, a decision, whether it still holds, why, and what came of it: each in one line."""
    with Client(service.address) as tact:
        assert tact.serves()
        assert tact.set_consent("ada", "personal", ["email"], source="form").level == "personal"
        bought = event("ada", "purchase", {"amount": 10.5, "product": "phone"}, occurred_at=datetime.now(UTC))
        for wanted in (context_pb2.EVENT_STATUS_STORED, context_pb2.EVENT_STATUS_REPEATED):
            assert tact.record_events([bought]).results[0].status == wanted
        asked = question("ada", "web", ["greeting", "hero"], {"present.sentiment": 0.5}, idempotency_key="once")
        decided = tact.decide(asked, timeout_s=5.0)
        assert tact.decide(asked).decision_id == decided.decision_id
        assert tact.validate(decided.decision_id).valid
        assert tact.explain(decided.decision_id, "agent").explanation.actions
        said = decided.answers[0].greeting.action_id
        heard = tact.record_outcomes([outcome(decided.decision_id, said, "shown")])
        assert heard.results[0].status == outcome_pb2.OUTCOME_STATUS_STORED
        known = {one.field_id: one.value for one in tact.get_context("ada").fields}
        assert known["past.spend"].double_value == 10.5
        assert list(tact.get_consent("ada").purposes) == ["service", "personalization"]
        assert any(tact.stubs.rights.ExportCustomer(rights_pb2.ExportCustomerRequest(customer_id="ada")))


async def test_the_same_story_on_a_loop(service: Replica) -> None:
    """The same over several connections, awaited."""
    async with AsyncClient(service.address, connections=2) as tact:
        assert await tact.serves()
        assert (await tact.set_consent("bob", "personal")).level == "personal"
        stored = await tact.record_events([event("bob", "purchase", {"amount": 1.0, "product": "phone"})])
        assert stored.results[0].status == context_pb2.EVENT_STATUS_STORED
        decided = await tact.decide(question("bob", "web", ["greeting"]))
        assert (await tact.validate(decided.decision_id)).valid
        assert (await tact.explain(decided.decision_id)).explanation.actions
        said = decided.answers[0].greeting.action_id
        heard = await tact.record_outcomes([outcome(decided.decision_id, said, "shown")])
        assert heard.results[0].status == outcome_pb2.OUTCOME_STATUS_STORED
        assert (await tact.get_context("bob")).fields
        assert (await tact.get_consent("bob")).consent.level == "personal"
        asked = rights_pb2.ExportCustomerRequest(customer_id="bob")
        assert [one async for one in tact.stubs.rights.ExportCustomer(asked)]


def asked_of_many(many: int) -> Iterator[decision_pb2.DecideRequest]:
    """Yield as many questions, of which one in a hundred is bad."""
    for number in range(many):
        yield question(f"many-{number}", "fax" if number % 100 == 50 else "web", ["greeting"], request_id=str(number))


def check_many(answers: list[decision_pb2.DecideResponse], many: int) -> None:
    """See that each question was answered in its turn, and the bad ones with what is wrong with them."""
    assert [answer.request_id for answer in answers] == [str(number) for number in range(many)]
    assert [int(answer.request_id) for answer in answers if answer.HasField("error")] == list(range(50, many, 100))


async def test_many_questions(service: Replica) -> None:
    """Streams and batches answer every question in its order; a run that is begun again is answered the same."""
    with Client(service.address) as threaded:
        check_many(await asyncio.to_thread(lambda: list(threaded.decide_stream(asked_of_many(120)))), 120)
        first = await asyncio.to_thread(lambda: list(threaded.decide_batches(asked_of_many(430), run="mail")))
    async with AsyncClient(service.address) as tact:
        check_many([one async for one in tact.decide_stream(asked_of_many(120))], 120)
        again = [one async for one in tact.decide_batches(asked_of_many(430), run="mail")]
    check_many(first, 430)
    assert [one.decision_id for one in first] == [one.decision_id for one in again]


async def test_many_calls_at_once(service: Replica) -> None:
    """Calls that a connection has no room for wait in the client, where the service would refuse them."""
    once = Retry(attempts=1)
    async with AsyncClient(service.address, timeout_s=10.0, retry=once) as tact:
        for _ in range(2):
            await asyncio.gather(*(tact.decide(question(f"crowd-{n}", "web", ["greeting"])) for n in range(400)))
        with pytest.raises(CallFailed, match="DEADLINE_EXCEEDED"):
            await asyncio.gather(
                *(tact.decide(question(f"crowd-{n}", "web", ["greeting"]), timeout_s=0.02) for n in range(400))
            )


def test_what_is_refused_says_which_fields(service: Replica) -> None:
    """A bad question raises the one exception there is, with the status and every bad field."""
    with Client(service.address) as tact, pytest.raises(CallFailed) as failed:
        tact.decide(question("", "fax", ["hero"]))
    assert failed.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [one.field for one in failed.value.violations] == ["customer_id", "channel"]
    assert failed.value.pushback_s is None


async def test_every_call_has_a_deadline_and_an_id() -> None:
    """Calls have the client's deadline unless they bring their own, and an id that differs from call to call."""
    door = Door({""})
    async with standing(door) as target, AsyncClient(target, timeout_s=3.0) as tact:
        mine = question("ada", "web", ["greeting"])
        await tact.decide(mine)
        await tact.decide(mine, timeout_s=0.5)
        await tact.stubs.decision.Decide(mine)
        with Client(target, timeout_s=2.0, connections=3) as threaded:
            for _ in range(3):
                await asyncio.to_thread(threaded.decide, mine)
    assert [round(left_s + 0.2) for left_s in door.left_s] == [3, 1, 3, 2, 2, 2]
    assert len({asked.idempotency_key for asked in door.asked}) == 6
    assert mine.idempotency_key == ""


def test_nobody_there_ends_in_time(free_port: int) -> None:
    """Where nobody listens a call waits as long as it may, and no longer."""
    with Client(f"127.0.0.1:{free_port}") as tact:
        begun = monotonic()
        with pytest.raises(CallFailed) as failed:
            tact.decide(question("ada", "web", ["greeting"]), timeout_s=0.2)
        assert failed.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert 0.15 < monotonic() - begun < 1.0
        assert not tact.serves(timeout_s=0.1)


async def test_every_service_of_the_contract_has_a_stub() -> None:
    """A service that is added to the contract cannot be forgotten."""
    protos = "\n".join(file.read_text() for file in PROTOS.glob("tact/v1/*.proto"))
    wanted = set(re.findall(r"^service (\w+)", protos, re.MULTILINE))
    with Client("127.0.0.1:1") as threaded:
        assert {type(stub).__name__ for stub in vars(threaded.stubs).values()} == {f"{name}Stub" for name in wanted}
    async with AsyncClient("127.0.0.1:1") as tact:
        assert {type(stub).__name__ for stub in vars(tact.stubs).values()} == {f"{name}Stub" for name in wanted}


@pytest.mark.parametrize(
    ("plain", "kind"),
    [
        (True, "bool"),
        (1, "int"),
        (1.0, "double"),
        ("a", "string"),
        (datetime.now(UTC), "timestamp"),
        (["a"], "strings"),
    ],
)
def test_values(plain: bool | float | str | datetime | list[str], kind: str) -> None:
    """A value has the type that its Python type says."""
    assert value(plain).WhichOneof("kind") == f"{kind}_value"


def test_bad_values_are_refused_here() -> None:
    """What cannot be sent is refused before it is, with what would be right."""
    with pytest.raises(ValueError, match="time zone"):
        moment(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point
    with pytest.raises(TypeError, match="NoneType is no value"):
        value(None)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(ValueError, match="'liked' is none of shown, clicked"):
        outcome("decision", "action", "liked")
    with pytest.raises(ValueError, match="all IPv4 or all IPv6"):
        Client(("tact-1:50051", "tact-2:50051"))


ALONE = """
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in sys.stdlib_module_names | {"google", "grpc", "tact", "typing_extensions"}:
            raise ImportError(f"{name} is not installed here")
sys.meta_path.insert(0, Nothing())
sys.path.insert(0, sys.argv[1])
import tact.client
print(tact.client.Client("127.0.0.1:1").stubs.decision is not None)
"""


def test_the_client_needs_nothing_of_the_service() -> None:
    """It works where nothing but gRPC and protobuf is installed."""
    done = subprocess.run([sys.executable, "-I", "-c", ALONE, str(PROTOS)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
