"""What a stranger can find out or use up: who is a customer, a store behind a deadline, the files of a process."""

from __future__ import annotations

import asyncio
import gzip
import os
import socket
import statistics
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from hyperframe.frame import DataFrame
from redis import Redis

from tact.v1 import decision_pb2 as pb
from tact.v1 import rights_pb2
from tests.cli.commands import Process
from tests.edge.hostile import wire
from tests.edge.hostile.asking import INVALID, Channel, asked
from tests.edge.hostile.attacks import DECIDE as PATH
from tests.edge.hostile.attacks import Raw, frame
from tests.edge.hostile.framing import ended, prefixed
from tests.edge.hostile.good import messages, write
from tests.edge.hostile.malformed import METHODS
from tests.profile import cases

BY_NAME = {method.name: method for method in METHODS}
GOOD = messages()
DECIDE = GOOD["Decide"].SerializeToString()
A_NEW_ONE = (("grpc.use_local_subchannel_pool", 1),)
"""A connection of its own: gRPC would take one that is there."""

CALLS = 200
MOST_FILES = 64
HEALS_WITHIN_S = 5.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the service."""
    return tmp_path_factory.mktemp("probed")


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Process]:
    """Return a service as its users start it, on a store of its own."""
    (folder / "key").write_text(os.urandom(32).hex())
    (folder / "key").chmod(0o600)
    words = ("--strategy", write(folder / "strategy"), "--store", f"embedded:{folder / 'store'}", "--port", "0")
    with Process("serve", *words, "--erasure-key-file", folder / "key", "--no-reload", "--json") as process:
        yield process.serving()


@pytest.mark.parametrize(
    ("levels", "closed", "code"), [(99, True, None), (100, True, None), (101, True, INVALID), (30_000, False, INVALID)]
)
async def test_depth(levels: int, closed: bool, code: int | None, served: Process) -> None:
    """Groups a hundred deep are passed over as unknown, one deeper is no message; no depth ends the process."""
    raw = DECIDE + wire.groups(levels, closed=closed)
    async with grpc.aio.insecure_channel(served.target) as channel:
        if code is None:
            assert await asked(channel, BY_NAME["Decide"], raw)
            return
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asked(channel, BY_NAME["Decide"], raw)
    assert caught.value.code().value[0] == code


def test_a_call_that_is_over_touches_no_store(served: Process, folder: Path) -> None:
    """Calls whose time was over when they came cost the store nothing; the same calls with time left do."""
    before = _store_calls(folder)
    _send(served.port, "1n")
    expired = _store_calls(folder) - before
    _send(served.port, "5S")
    in_time = _store_calls(folder) - before - expired
    assert expired < CALLS / 10, "no more than what the service does by itself"
    assert in_time >= CALLS / 2  # some are one function call, and some were not begun when this was counted


def _send(port: int, timeout: str) -> None:
    """Ask with a time to live, without a library that would not send what is over."""
    raw = Raw(port)
    for _ in range(CALLS):
        stream, opening = raw.opening(path=PATH, more={"grpc-timeout": timeout})
        body = b"\x00" + struct.pack(">I", len(DECIDE)) + DECIDE
        raw.send(opening, frame(DataFrame(stream, body, flags=["END_STREAM"])))
        raw.drain()
        time.sleep(0.002)
    time.sleep(0.5)
    raw.close()


def _store_calls(folder: Path) -> int:
    """Return how many functions the store has run."""
    with Redis(port=int((folder / "store" / "port").read_text())) as store:
        stats: Any = store.info("commandstats")
    return sum(one["calls"] for name, one in stats.items() if name.startswith("cmdstat_fcall"))


async def test_files_run_out(served: Process) -> None:
    """Without files left, who is there already goes on; soon after there are some again, who comes is let in."""
    process = psutil.Process(served.pid)
    async with grpc.aio.insecure_channel(served.target) as channel:
        await asked(channel, BY_NAME["Decide"], DECIDE)
        before = process.rlimit(psutil.RLIMIT_NOFILE)
        process.rlimit(psutil.RLIMIT_NOFILE, (MOST_FILES, before[1]))
        held = [socket.create_connection(("127.0.0.1", served.port), 1.0) for _ in range(2 * MOST_FILES)]
        for _ in range(20):
            await asked(channel, BY_NAME["Decide"], DECIDE, 2.0)
            await asyncio.sleep(0.01)
        for one in held:
            one.close()
        process.rlimit(psutil.RLIMIT_NOFILE, before)
        assert await _let_in(served.target) < HEALS_WITHIN_S


async def _let_in(target: str) -> float:
    """Return after how many seconds a new caller is answered."""
    began = time.monotonic()
    while True:
        async with grpc.aio.insecure_channel(target, options=A_NEW_ONE) as channel:
            try:
                await asked(channel, BY_NAME["Decide"], DECIDE, 1.0)
                return time.monotonic() - began
            except grpc.aio.AioRpcError:
                assert time.monotonic() - began < HEALS_WITHIN_S
        await asyncio.sleep(0.05)


async def test_nobody_tells_who_is_a_customer(served: Process, record_property: Callable[[str, object], None]) -> None:
    """Unknown, known, without consent or erased: the same status and the same shape; times are told, not judged."""
    groups = {name: [f"{name}-{place}" for place in range(20)] for name in ("unknown", "known", "refusing", "erased")}
    async with grpc.aio.insecure_channel(served.target) as channel:
        await _become(channel, groups)
        shapes: dict[str, set[tuple[object, ...]]] = {name: set() for name in groups}
        took: dict[str, list[float]] = {name: [] for name in groups}
        for place in range(cases(20, 5_000)):
            for name, ids in groups.items():
                ask = pb.DecideRequest(customer_id=ids[place % 20], channel="web", placements=["greeting"])
                began = time.perf_counter()
                (answer,) = await asked(channel, BY_NAME["Decide"], ask.SerializeToString())
                took[name].append(time.perf_counter() - began)
                shapes[name].add(_shape(answer))
    told = {name: f"{1e3 * statistics.median(times):.3f} ms" for name, times in took.items()}
    shares = {name: f"{_share_told(took['unknown'], times):.3f}" for name, times in took.items()}
    record_property("printed", f"medians {told}, told apart from unknown by time alone (0.5 is chance) {shares}")
    assert len({frozenset(seen) for seen in shapes.values()}) == 1, shapes


async def _become(channel: Channel, groups: dict[str, list[str]]) -> None:
    for name, level in (("known", "personal"), ("refusing", "none"), ("erased", "personal")):
        for one in groups[name]:
            agreed = type(GOOD["SetConsent"])()
            agreed.CopyFrom(GOOD["SetConsent"])
            agreed.customer_id, agreed.consent.level = one, level  # type: ignore[attr-defined]  # a SetConsentRequest
            await asked(channel, BY_NAME["SetConsent"], agreed.SerializeToString())
    for one in groups["erased"]:
        erase = rights_pb2.EraseCustomerRequest(customer_id=one)
        await asked(channel, BY_NAME["EraseCustomer"], erase.SerializeToString())


def _shape(answer: pb.DecideResponse) -> tuple[object, ...]:
    """Return what of an answer can be told without reading its words."""
    return (
        tuple(field.name for field, _ in answer.ListFields() if field.name != "decision_id"),
        tuple(one.WhichOneof("answer") for one in answer.answers),
        len(answer.SerializeToString()) // 512,
    )


def _share_told(ones: list[float], others: list[float]) -> float:
    """Return how often a time of the others is longer than one of the ones: 0.5 where nothing can be told."""
    ordered = sorted([(time, 0) for time in ones] + [(time, 1) for time in others])
    rank = sum(place for place, (_, other) in enumerate(ordered, 1) if other)
    share = (rank - len(others) * (len(others) + 1) / 2) / (len(ones) * len(others))
    return max(share, 1 - share)


class TestFraming:
    """What is wrong before there is a message: gRPC's core answers, in its own words, and nothing of ours is begun."""

    INTERNAL, UNIMPLEMENTED, TOO_LATE = "13", "12", "4"
    SPOILT = gzip.compress(DECIDE)[:-6]
    STREAM = "/tact.v1.DecisionService/DecideStream"

    @pytest.mark.parametrize(
        ("body", "more", "path", "status", "words"),
        [
            (prefixed(b"\x1f\x8bgarbage", 1), {"grpc-encoding": "gzip"}, PATH, INTERNAL, "Decompression failed"),
            (prefixed(SPOILT, 1), {"grpc-encoding": "gzip"}, PATH, INTERNAL, "Decompression failed"),
            (prefixed(SPOILT, 1), {"grpc-encoding": "gzip"}, STREAM, INTERNAL, "Decompression failed"),
            (prefixed(DECIDE, 1), {}, PATH, INTERNAL, "no encoding configured"),
            (prefixed(DECIDE, 1), {"grpc-encoding": "snappy"}, PATH, INTERNAL, "grpc-encoding"),
            (prefixed(DECIDE), {"grpc-timeout": "banana"}, PATH, INTERNAL, "grpc-timeout"),
            (prefixed(DECIDE), {"x-bin": "!!!"}, PATH, INTERNAL, "illegal base64"),
            (prefixed(DECIDE), {}, "/tact.v1.DecisionService/Nope", UNIMPLEMENTED, "Method not found"),
        ],
        ids=["corrupt", "cut off", "in a stream", "no encoding", "unknown encoding", "timeout", "-bin", "method"],
    )
    def test_it_is_refused(
        self, body: bytes, more: dict[str, str], path: str, status: str, words: str, served: Process
    ) -> None:
        """Encodings, headers and methods that are none end the call at once, with gRPC's own text."""
        found = ended(served.port, body, more, path)
        assert found["grpc-status"] == status, found
        assert words in found["grpc-message"]
        assert "grpc-status-details-bin" not in found

    @pytest.mark.parametrize(
        "body", [None, b"", prefixed(DECIDE, 0, len(DECIDE) + 10)], ids=["headers alone", "nothing", "too short"]
    )
    def test_a_call_without_a_message_lasts_as_long_as_it_may(self, body: bytes | None, served: Process) -> None:
        """A call that ends before its message is not answered before its deadline, and holds up nobody beside it."""
        assert ended(served.port, body, {}, within_s=0.15) == {}
        found = ended(served.port, body, {"grpc-timeout": "150m"})
        assert found["grpc-status"] == self.TOO_LATE, found
        assert ended(served.port, prefixed(DECIDE), {})["grpc-status"] == "0"

    def test_what_is_whole_is_answered(self, served: Process) -> None:
        """The same call in good order is answered, compressed too: it is the framing that was refused."""
        assert ended(served.port, prefixed(gzip.compress(DECIDE), 1), {"grpc-encoding": "gzip"})["grpc-status"] == "0"
