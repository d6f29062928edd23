"""The load generator for HTTP tells what happened, and takes nothing for an answer that is none."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which

import pytest

from benchmarks import loadgen
from benchmarks.loadgen import Load, Measured
from benchmarks.peers import httpload
from benchmarks.peers.programs.messages import read_samples, write_requests
from tests.conftest import absent

Answer = Callable[[BaseHTTPRequestHandler, bytes], None]
REQUESTS = [json.dumps({"row": number, "more": "x" * number}).encode() for number in range(40)]


@pytest.fixture(scope="session")
def program() -> Path:
    """Return the load generator."""
    if which("g++") is None or which("make") is None:
        absent("The load generator for HTTP cannot be built: no g++ or no make (Debian: apt-get install g++ make).")
    return httpload.build()


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """Serve on a free port until the end."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            answer(self, self.rfile.read(int(self.headers["Content-Length"])))

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def said(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200) -> None:
    """Answer with a body of a declared length."""
    head = f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    handler.wfile.write(head + body)


def chunked(handler: BaseHTTPRequestHandler, body: bytes) -> None:
    """Answer with the body in pieces of at most seven bytes."""
    pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for piece in [*pieces, b""]:
        handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))


def drive(program: Path, folder: Path, target: str, timeout_s: float = 5.0, seconds: float = 0.3) -> Measured:
    """Post the requests for a moment and return what was seen."""
    write_requests(folder, REQUESTS)
    return loadgen.drive(program, load(folder, target, timeout_s, seconds))


def load(folder: Path, target: str, timeout_s: float = 5.0, seconds: float = 0.3) -> Load:
    """Return a short load."""
    return Load(
        target, "/row", folder / "requests.bin", in_flight=3, seconds=seconds, warmup_s=0.05, timeout_s=timeout_s,
        samples=folder / "samples.bin", sample_every=1,
    )  # fmt: skip


@pytest.mark.parametrize("answer", [said, chunked], ids=["with a length", "in chunks"])
def test_every_answer_belongs_to_its_request(program: Path, tmp_path: Path, answer: Answer) -> None:
    """All are counted with their sizes, and each kept one is what the server said to that very request."""
    with serving(answer) as target:
        seen = drive(program, tmp_path, target)
    assert seen.errors == {}
    assert seen.ok == seen.requests > 10
    samples = list(read_samples(tmp_path / "samples.bin"))
    assert len(samples) == seen.ok
    assert all(body == REQUESTS[index] for index, body in samples)
    assert seen.bytes_received == sum(len(body) for _, body in samples)
    assert seen.reply_bytes["min"] == min(len(body) for _, body in samples)
    assert 0 < seen.latency_us["p50"] <= seen.latency_us["p99"] <= seen.latency_us["max"]


def test_another_status_is_no_success(program: Path, tmp_path: Path) -> None:
    """A 503 counts as such, with the beginning of what it said, and never as an answer."""
    with serving(lambda handler, _: said(handler, b"overloaded", 503)) as target:
        seen = drive(program, tmp_path, target)
    assert set(seen.errors) == {"CODE_503"}
    assert seen.error_texts["CODE_503"] == "overloaded"
    assert (seen.ok, seen.ok_in_all, seen.throughput) == (0, 0, 0)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nwho knows how long", "no HTTP of a known length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc", "no HTTP of a known length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nmore than that", "no HTTP of a known length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc", "no HTTP of a known length"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "no HTTP of a known length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ncut short", "closed a connection"),
    ],
    ids=["no length", "less than nothing", "more than said", "no chunk", "no HTTP", "cut short"],
)
def test_what_cannot_be_read_is_no_answer(program: Path, tmp_path: Path, raw: bytes, why: str) -> None:
    """A reply whose end cannot be known, or that does not come to it, is told as a failure."""

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        handler.wfile.write(raw)
        handler.close_connection = True

    with serving(answer) as target:
        ran = subprocess.run(
            loadgen.command(program, load(write(tmp_path), target)), capture_output=True, text=True, check=False
        )
    if ran.returncode == 0:
        seen = loadgen.parse(json.loads(ran.stdout))
        assert set(seen.errors) == {"UNAVAILABLE"}
        assert seen.ok == 0
    assert why in ran.stdout + ran.stderr


def write(folder: Path) -> Path:
    """Write the requests and return the folder."""
    write_requests(folder, REQUESTS)
    return folder


def test_who_does_not_answer_in_time_has_not_answered(program: Path, tmp_path: Path) -> None:
    """Calls that nobody answers end with their deadline, and count as that."""
    ended = threading.Event()

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        ended.wait(5)

    with serving(answer) as target:
        seen = drive(program, tmp_path, target, timeout_s=0.1)
        ended.set()
    assert set(seen.errors) == {"DEADLINE_EXCEEDED"}
    assert seen.ok == 0


def test_an_answer_that_closes_its_connection_is_an_answer(program: Path, tmp_path: Path) -> None:
    """Where the server says that it closes, the next call comes over another connection, and nothing is lost.

    However often: closing as was said is no failure, of which a thousand would end the load.
    """

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        handler.wfile.write(head + body)
        handler.close_connection = True

    with serving(answer) as target:
        seen = drive(program, tmp_path, target, seconds=1.5)
    assert seen.errors == {}
    assert seen.ok > 10


@pytest.mark.parametrize(
    ("words", "why"),
    [(["--rate", "5"], "no fixed schedule"), (["--speed", "9"], "unknown option")],
    ids=["a schedule", "an unknown word"],
)
def test_what_it_cannot_do_is_refused(program: Path, tmp_path: Path, words: list[str], why: str) -> None:
    """It ends with 2 and says why, before any call."""
    command = [str(program), "127.0.0.1:9", "/row", str(write(tmp_path) / "requests.bin"), *words]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert why in ran.stderr


@pytest.mark.parametrize(("target", "code"), [("127.0.0.1:9", 1), ("nowhere", 2)], ids=["nobody", "no address"])
def test_where_nobody_serves_it_fails(program: Path, tmp_path: Path, target: str, code: int) -> None:
    """Without a connection there are no figures at all."""
    command = loadgen.command(program, load(write(tmp_path), target))
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == code
    assert ran.stdout == ""
    assert target in ran.stderr
