"""`tact serve` with a port for browsers: said at the start, shared by the workers, and ended with the service."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from service.app import start
from service.config import Settings, StorePlace
from service.errors import CannotListen
from service.rpc.web.listening import Listening
from service.rpc.web.settings import WebSettings
from tests.live.browser.world import Wire, framed, opened, request
from tests.project.tree import ROOT
from tests.rpc.messages import ask
from tests.strategies import write_strategy

DECIDE, STREAM = "tact.v1.DecisionService/Decide", "tact.v1.DecisionService/DecideStream"
STARTS_S = 40.0


@contextmanager
def serving(folder: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    """Run `tact serve` with a port for browsers, and yield it with what it said."""
    command = (sys.executable, "-m", "service.cli", "serve", "--json", "--port", "0", "--web-port", "0")
    where = ("--store", f"embedded:{folder / 'store'}", "--strategy", str(write_strategy(folder / "strategy")))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "protos")])}
    process = subprocess.Popen(
        (*command, *where, "--store-wait", "5", *flags), cwd=ROOT, env=environment, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        ready, _, _ = select.select([process.stdout], [], [], STARTS_S)
        assert ready, "the service does not start"
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def status_at(port: int) -> dict[str, Any]:
    """Ask for the status by Connect, as anything that speaks HTTP can."""
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/tact.v1.ControlService/GetStatus", b"{}", {"content-type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310 - as above
        said: dict[str, Any] = json.load(answer)
        return said


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux shares a port out among processes.")
def test_workers_share_the_port(tmp_path: Path) -> None:
    """Every worker answers browsers on the one port that the service names, and ends when the service does."""
    with serving(tmp_path, "--workers", "2", "--desktop") as (process, said):
        numbers = {status_at(said["web_port"])["worker"]["number"] for _ in range(60)}
        assert numbers == {1, 2}
        assert urllib.request.urlopen(f"http://127.0.0.1:{said['web_port']}/", timeout=10).status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        with pytest.raises(OSError):  # noqa: PT011 - refused, whatever the system calls it
            socket.create_connection(("127.0.0.1", said["web_port"]), 1)


async def test_a_call_under_way_is_answered_before_the_end(tmp_path: Path) -> None:
    """SIGTERM lets a stream of a browser answer what it has read, and closes idle connections at once."""
    with serving(tmp_path, "--grace", "8") as (process, said):
        reading = [Wire(*await asyncio.open_connection("127.0.0.1", said["web_port"])) for _ in range(2)]
        idle, busy = reading
        head = request(STREAM, b"", "application/connect+proto", transfer_encoding="chunked")
        await busy.send(head.replace(b"content-length: 0\r\n", b""))
        question = framed(ask(placements=["greeting"]).SerializeToString())
        await busy.send(f"{len(question):x}\r\n".encode() + question + b"\r\n")
        await busy.reader.readuntil(b"\r\n\r\n")
        assert await busy.chunk()
        began_s = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert await idle.is_hung_up()
        last = await busy.chunk()
        assert last is not None
        assert json.loads(last[5:])["error"]["code"] == "unavailable"  # which says to go on elsewhere
        assert await asyncio.to_thread(process.wait, 20) == 0
        assert time.monotonic() - began_s < 8
        for wire in reading:
            wire.close()


async def test_what_hangs_is_cancelled_at_the_end(tmp_path: Path) -> None:
    """A browser that holds a connection without a word, or a body back, does not keep the service from ending."""
    async with opened(tmp_path, guarded=False) as port, port.wire() as one, port.wire() as other:
        await one.send(b"POST /x")
        await other.send(request(DECIDE, b"{}").replace(b"content-length: 2", b"content-length: 200"))
        await asyncio.sleep(0.1)
        began_s = time.monotonic()
        await port.listening.drain(linger_s=0.0, grace_s=0.3)
        assert time.monotonic() - began_s < 2
        assert await one.is_hung_up()
        assert await other.is_hung_up()


async def test_a_taken_port_is_told(tmp_path: Path) -> None:
    """The message names the option to change."""
    async with opened(tmp_path, guarded=False) as port:
        second = Listening(WebSettings(port.port), "127.0.0.1", port.server.guarded)
        with pytest.raises(CannotListen, match=r"for browsers: the port is taken.*--web-port"):
            await second.start()


def test_nothing_of_it_is_loaded_where_nobody_wants_it() -> None:
    """A service without a port for browsers imports neither Connect nor the HTTP server."""
    code = (
        "import sys; import service.app; from service.config import read_settings; read_settings({}, {});"
        "print(sorted({'connectrpc', 'protobuf', 'pyqwest', 'uvicorn', 'h11'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "protos")])}
    ran = subprocess.run(
        (sys.executable, "-c", code), cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"


async def test_the_port_is_closed_with_the_service(tmp_path: Path) -> None:
    """A service that was stopped takes no connection any more and has hung up on the idle ones, its process alive."""
    place = StorePlace.parse(f"embedded:{tmp_path / 'store'}")
    settings = Settings(place, write_strategy(tmp_path / "strategy"), port=0, reload=False, web=WebSettings(0))
    running = await start(settings)
    assert running.web is not None
    wire = Wire(*await asyncio.open_connection("127.0.0.1", running.web.port))
    await running.stop(0.5)
    assert await wire.is_hung_up()
    wire.close()
    with pytest.raises(OSError):  # noqa: PT011 - refused, whatever the system calls it
        await asyncio.open_connection("127.0.0.1", running.web.port)
