"""gRPC wakes the loop by a pipe, and nothing that it says is lost."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from benchmarks import floor
from benchmarks.processes import Pinned
from benchmarks.stage import CLIENT_CORE, port_said
from service.rpc.wakes import Emptied, End, over_a_pipe

ROOT = Path(__file__).parents[2]

# Serves echoes on one loop to a caller in a thread: 400 calls, before which one call holds the loop up for 0.2 s.
SERVES = """
import asyncio, json, sys, time
import grpc
from service.rpc import wakes

took = []

class Counted(wakes.Emptied):
    def recv(self, at_least):
        took.append(super().recv(at_least))
        return took[-1]

wakes.Emptied = Counted

async def echo(request, context):
    if request == b"hold":
        time.sleep(0.2)
    return request

def call(port):
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        ask = channel.unary_unary("/x.Echo/Say")
        asked = [b"hold", *(b"%d" % n for n in range(400))]
        waiting = [ask.future(one, timeout=30) for one in asked]
        return [one.result() for one in waiting] == asked

async def serve():
    with wakes.over_a_pipe():
        server = grpc.aio.server()
    handlers = {"Say": grpc.unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("x.Echo", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    right = await asyncio.to_thread(call, port)
    await server.stop(1)
    return right

if sys.argv[1] == "uvloop":
    import uvloop as loops
else:
    loops = asyncio
right = loops.run(serve())
print(json.dumps({"right": right, "wakes": len(took), "bytes": sum(map(len, took)), "most": max(map(len, took))}))
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_server_is_woken_by_a_pipe(loop: str) -> None:
    """Every call is answered; all events of a wake are taken at once, and those of a loop that stood still too.

    A gRPC that made its pair otherwise would leave nothing to count: then this is red, and servers go on by sockets.
    """
    done = subprocess.run([sys.executable, "-c", SERVES, loop], capture_output=True, text=True, timeout=60, check=True)
    found = json.loads(done.stdout)
    assert found["right"]
    assert found["bytes"] > 2 * 400
    assert found["most"] > 1
    assert found["wakes"] < found["bytes"]


def test_one_read_takes_all_that_was_written() -> None:
    """Then there is nothing, which is an error where nobody waits, as for sockets."""
    with over_a_pipe():
        made: tuple[Any, Any] = socket.socketpair()
    read, written = made
    assert (type(read), type(written)) == (Emptied, End)
    read.setblocking(False)
    with open(written.fileno(), "wb", buffering=0, closefd=False) as writing:
        for _ in range(3):
            writing.write(b"1")
    assert read.recv(1) == b"111"
    with pytest.raises(BlockingIOError):
        read.recv(1)
    for end in (read, written, read):
        end.close()
    assert read.fileno() == -1


def test_two_threads_leave_sockets_behind() -> None:
    """Who comes while another makes a server waits; whoever leaves last, pairs are sockets afterwards."""
    inside, leave, entered = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        with over_a_pipe():
            inside.set()
            leave.wait(10)

    def second() -> None:
        with over_a_pipe():
            entered.set()

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert inside.wait(10)
    threads[1].start()
    assert not entered.wait(0.05)
    leave.set()
    for thread in threads:
        thread.join(10)
    assert entered.is_set()
    read, written = socket.socketpair()
    with read, written:
        assert type(read) is socket.socket


@pytest.mark.parametrize("program", ["service.cli", "benchmarks.floor"])
def test_the_service_and_its_floor_are_woken_by_pipes(program: str, tmp_path: Path, clean_store_url: str) -> None:
    """Both, or a ratio of the two would be of two kinds of server."""
    told = tmp_path / "told"
    begins = (
        "import runpy, sys\nfrom service.rpc import wakes\n"
        "class Counted(wakes.Emptied):\n"
        "    def recv(self, at_least):\n"
        f"        open({str(told)!r}, 'a').write('1')\n"
        "        return super().recv(at_least)\n"
        "wakes.Emptied = Counted\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)\n"
    )
    how = ["serve", "--strategy", str(ROOT / "strategies" / "demo"), "--port", "0"] if program == "service.cli" else []
    command = [sys.executable, "-c", begins, program, *how, "--store", clean_store_url]
    with (
        Pinned(command, CLIENT_CORE, tmp_path / "log", port_said) as server,
        grpc.insecure_channel(server.target) as to,
    ):
        method = floor.METHOD if program == "benchmarks.floor" else "/grpc.health.v1.Health/Check"
        ask: Any = to.unary_unary(method)
        with suppress(grpc.RpcError):  # the floor does not know this customer
            ask(b"" if "Health" in method else b"\n\x03ina", timeout=10.0)
    assert told.exists()


def test_nobody_else_gets_a_pipe() -> None:
    """Neither another thread meanwhile, nor anybody afterwards, also where what was made failed."""
    kinds: list[type] = []

    def ask() -> None:
        pair = socket.socketpair()
        kinds.append(type(pair[0]))
        for end in pair:
            end.close()

    def fail() -> None:
        with over_a_pipe():
            thread = threading.Thread(target=ask)
            thread.start()
            thread.join()
            raise RuntimeError("no server")

    with pytest.raises(RuntimeError, match="no server"):
        fail()
    ask()
    assert kinds == [socket.socket, socket.socket]
