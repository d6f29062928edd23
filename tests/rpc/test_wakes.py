"""gRPC wakes the loop by a pipe, and nothing that it says is lost."""

from __future__ import annotations

import asyncio
import json
import os
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


# A loop is closed while a call of it waits; a second loop stands still until that call and one of its own have ended.
LEAVES = """
import asyncio, socket, sys, time
from concurrent.futures import ThreadPoolExecutor
import grpc
from service.rpc import wakes

class Slow(grpc.GenericRpcHandler):
    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(lambda request, context: time.sleep(2.5) or request)

def one_loop(work):
    loop = loops.new_event_loop()
    loop.run_until_complete(work)
    loop.close()

async def left(nobody):
    with wakes.over_a_pipe():
        kept.append(grpc.aio.server())
    kept.append(grpc.aio.insecure_channel(nobody))
    kept.extend(kept[1].unary_unary("/x.Echo/Say")(b"", timeout=2.0, wait_for_ready=True) for _ in range(8))
    await asyncio.sleep(0.1)

async def asked(port):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/x.Echo/Say")(b"x")
        await asyncio.sleep(0.3)
        time.sleep(3.5)
        print((await asyncio.wait_for(call, 10.0)).decode())

kept = []
if sys.argv[1] == "uvloop":
    import uvloop as loops
else:
    loops = asyncio
with socket.create_server(("127.0.0.1", 0)) as silent:
    server = grpc.server(ThreadPoolExecutor(1), handlers=(Slow(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    one_loop(left(f"127.0.0.1:{silent.getsockname()[1]}"))
    one_loop(asked(port))
    server.stop(0)
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_what_a_closed_loop_left_keeps_nothing_from_the_next(loop: str) -> None:
    """What came together with the end of a call that a closed loop had left is told to the loop that waits for it."""
    done = subprocess.run([sys.executable, "-c", LEAVES, loop], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "x\n", done.stderr
    assert "Event loop is closed" in done.stderr


async def test_one_loop_alone_takes_all_and_two_take_what_they_ask_for() -> None:
    """Whichever loop watches an end, on whichever thread, after another one has."""
    with over_a_pipe():
        made: tuple[Any, Any] = socket.socketpair()
    read, written = made

    async def watched() -> None:
        assert read.fileno() >= 0

    for loops, taken in ((0, b"111"), (1, b"1")):
        for _ in range(loops):
            await asyncio.to_thread(asyncio.run, watched())
        await watched()
        os.write(written.fileno(), b"111")
        assert read.recv(1) == taken
    read.close()
    written.close()


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
