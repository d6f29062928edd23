"""The generator of streams counts and keeps what was answered, and messages of many are taken apart in order."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from benchmarks import loadgen
from benchmarks.streaming import _single, built
from tact.v1 import decision_pb2 as pb
from tests.conftest import absent
from tests.rpc.messages import ask
from tests.rpc.world import Answering, edge_of, serving


@pytest.fixture(scope="module")
def program() -> Path:
    """Return the generator, built where it can be."""
    if lacking := loadgen.missing():
        absent(f"The generator of streams cannot be built: {lacking}.")
    return built()


@pytest.mark.parametrize(("method", "each"), [("DecideStream", 1), ("DecideBatches", 7)])
async def test_every_message_is_answered_and_samples_stand_beside_their_requests(
    program: Path, tmp_path: Path, method: str, each: int
) -> None:
    """What it counts is what was decided, and an answer that it keeps is the one to the request that it names."""
    names = [f"r-{number}" for number in range(70)]
    requests = [ask(request_id=name) for name in names]
    batches = [pb.DecideBatchesRequest(requests=requests[at : at + each]) for at in range(0, 70, each)]
    messages = requests if each == 1 else batches
    file = loadgen.write_messages(tmp_path / "requests.bin", (one.SerializeToString() for one in messages))
    decider = Answering()
    async with serving(edge_of(decider)) as target:
        load = loadgen.Load(
            target, f"/tact.v1.DecisionService/{method}", file, in_flight=3, seconds=0.4, warmup_s=0.1,
            samples=tmp_path / "kept.bin", sample_every=5,
        )  # fmt: skip
        measured = await asyncio.to_thread(loadgen.drive, program, load)
    assert not measured.errors
    assert measured.unsent == 0
    assert measured.ok_in_all * each == len(decider.asked)
    assert 0 < measured.ok <= measured.ok_in_all
    kept = list(_single(each, loadgen.read_samples(tmp_path / "kept.bin")))
    assert len(kept) >= each
    assert all(pb.DecideResponse.FromString(raw).request_id == names[index] for index, raw in kept)


async def test_a_stream_that_is_refused_is_an_error(program: Path, tmp_path: Path) -> None:
    """A message that ends the stream is no success, and what was not answered is told."""
    file = loadgen.write_messages(tmp_path / "requests.bin", [b"\x0a\x05ab"])
    async with serving(edge_of()) as target:
        load = loadgen.Load(target, "/tact.v1.DecisionService/DecideBatches", file, seconds=0.2, warmup_s=0.0)
        measured = await asyncio.to_thread(loadgen.drive, program, load)
    assert measured.errors == {"INVALID_ARGUMENT": 1}
    assert measured.unsent > 0
    assert measured.ok == 0
