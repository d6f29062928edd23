"""The examples of backends: a page gets its greeting in time, whatever becomes of the service behind it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import grpc

from tact.client import Retry, service_config
from tests.clients.test_node import NODE
from tests.conftest import absent
from tests.edge.access.authority import Authority
from tests.edge.client.door import Door, standing
from tests.edge.client.faulty import Fault, front
from tests.edge.client.world import ROOT, Replica

SAID, OWN = "Good to see you.", "Welcome."


def page(url: str) -> tuple[str, float]:
    """Return a page, and the seconds it took."""
    begun = time.monotonic()
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - of a server of our own
        return answer.read().decode(), time.monotonic() - begun


def test_a_page_in_python(service: Replica) -> None:
    """The page says what Tact says; while the service hangs it says our own words, within the budget and a little."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "protos")}
    backend = subprocess.Popen(
        (sys.executable, str(ROOT / "docs" / "examples" / "web_backend.py"), service.address, "0"),
        stdout=subprocess.PIPE, env=environment,
    )  # fmt: skip
    assert service.process is not None
    try:
        assert backend.stdout is not None
        url = backend.stdout.readline().decode().strip()
        said = {page(url)[0] for _ in range(20)}  # the first may come too early for the connection to stand
        assert f"<h1>{SAID}</h1>\n" in said
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2].partition("/")[0])), 5.0) as probe:
            probe.sendall(b"\r\n\r\n")
            assert probe.recv(100) == b"", "who asks for nothing is let go"
        service.process.send_signal(signal.SIGSTOP)
        hung = [page(url) for _ in range(5)]
        service.process.send_signal(signal.SIGCONT)
        assert {text for text, _ in hung} == {f"<h1>{OWN}</h1>\n"}
        assert min(took_s for _, took_s in hung) < 0.3
    finally:
        service.process.send_signal(signal.SIGCONT)
        backend.kill()
        backend.wait()
        if backend.stdout is not None:
            backend.stdout.close()


def node(target: str, **told: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - JSON
    """Run the backend in Node, and return what it said."""
    program = shutil.which("node")
    if program is None:
        absent("There is no node on the PATH (Debian: apt-get install nodejs npm).")
    if not (NODE / "node_modules" / "@grpc" / "grpc-js").is_dir():
        absent("The Node client's modules are not installed: run `npm ci` in tests/clients/node.")
    policy = json.loads(service_config(Retry()))
    done = subprocess.run(
        (program, str(NODE / "backend.mjs"), target, str(ROOT / "protos")),
        input=json.dumps({"policy": policy, **told}), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


async def test_node_repeats_what_may_be_repeated(service: Replica) -> None:
    """With the same policy a call that fails at first is answered; our own words come when all attempts fail."""
    fault = Fault(share=1.0, code=grpc.StatusCode.CANCELLED)
    async with front(service.address, fault) as address:
        failing = asyncio.create_task(asyncio.to_thread(node, address, customers=["a"], budget_ms=5000))
        while not fault.attempts:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)
        fault.share = 0.0
        (answered,) = await failing
        assert answered["text"] == SAID
        assert 2 <= fault.attempts <= 4
        fault.begin(1.0)
        (refused,) = await asyncio.to_thread(node, address, customers=["a"], budget_ms=5000)
    assert (refused["text"], refused["code"]) == (OWN, "CANCELLED")
    assert fault.attempts == 4


async def test_node_brings_a_token_over_tls(tmp_path: Path) -> None:
    """The token goes over TLS to a service whose certificate is known, and to no other."""
    ours, door = Authority(), Door({"node-token"})
    served, (ca, stranger) = ours.leaf("tact", ("tact.internal",)), (tmp_path / "ca.pem", tmp_path / "other.pem")
    ca.write_bytes(ours.pem)
    stranger.write_bytes(Authority("strangers").pem)
    credentials = grpc.ssl_server_credentials([(served.key, served.certificate)])
    told = {"customers": ["a"], "token": "node-token", "name": "tact.internal", "budget_ms": 2000}
    async with standing(door, credentials) as target:
        (answered,) = await asyncio.to_thread(node, target, ca=str(ca), **told)
        (refused,) = await asyncio.to_thread(node, target, ca=str(stranger), **{**told, "budget_ms": 300})
    assert "code" not in answered
    assert refused["code"] in ("UNAVAILABLE", "DEADLINE_EXCEEDED")
    assert door.seen == ["node-token"]
