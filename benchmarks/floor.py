"""The floor: what a Python gRPC server of this kind costs before it decides anything.

The same server as the service's (grpc.aio on uvloop, raw bytes, the same options and scheduling), which for each call
reads the customer's hash from the store over the project's own connection and answers an echo of a given size.
Run as `python -m benchmarks.floor --store URL --reply-bytes N`; prints `serving on 127.0.0.1:PORT`.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from contextlib import nullcontext
from typing import TYPE_CHECKING

from service.config import Scheduling
from service.scheduling import pull_levers, settle_memory
from service.store.keys import context_key

if TYPE_CHECKING:
    import grpc

    from service.store.connection import Connections

SERVICE = "tact.benchmarks.Floor"
METHOD = f"/{SERVICE}/Echo"
MIRROR = f"/{SERVICE}/Mirror"
RESIZE = f"/{SERVICE}/Resize"
FIELDS = ("i", "c", "s", "p", "f")  # what one decision reads of a customer with full consent, but for its counters


def customer_in(request: bytes) -> bytes:
    """Cut the customer's id out of a request, which begins with it as field 1 (at most 127 bytes)."""
    return request[2 : 2 + request[1]]


class Echo:
    """Answers a request with itself, repeated and cut to `reply_bytes`, after one store read."""

    def __init__(self, store: Connections, reply_bytes: int) -> None:
        self._store = store
        self._reply_bytes = reply_bytes

    async def echo(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        """Read the customer and echo; an unknown customer is an error, so that an empty store is noticed."""
        from grpc import StatusCode

        customer = customer_in(request)
        read = await self._store.execute("HMGET", context_key(customer.decode()), *FIELDS)
        if not isinstance(read, list) or read[0] != customer:
            await context.abort(StatusCode.NOT_FOUND, "the store does not know this customer")
        return (request * (self._reply_bytes // len(request) + 1))[: self._reply_bytes]

    async def resize(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        """Answer in another size from now on; the request is the number of bytes, in digits."""
        self._reply_bytes = int(request)
        return b""

    async def mirror(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        """Echo without looking at anything."""
        return request[: self._reply_bytes]


async def serve(store_url: str, reply_bytes: int, port: int, *, pipe: bool = True) -> None:
    """Serve until SIGTERM or SIGINT; gRPC wakes the loop by a pipe, as in the service, or as it does by itself."""
    import grpc

    from service.rpc.server import OPTIONS
    from service.rpc.wakes import over_a_pipe
    from service.store.connection import Connections

    async with Connections(store_url) as store:
        with over_a_pipe() if pipe else nullcontext():
            server = grpc.aio.server(options=(*OPTIONS, ("grpc.so_reuseport", 0)))
        answering = Echo(store, reply_bytes)
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            "Echo": grpc.unary_unary_rpc_method_handler(answering.echo),
            "Mirror": grpc.unary_unary_rpc_method_handler(answering.mirror),
            "Resize": grpc.unary_unary_rpc_method_handler(answering.resize),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        server.add_registered_method_handlers(SERVICE, handlers)
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        settle_memory()
        print(f"serving on 127.0.0.1:{bound}", flush=True)
        ended = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        await ended.wait()
        await server.stop(1)


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", required=True, help="redis:// URL of the store")
    parser.add_argument("--reply-bytes", type=int, default=200, help="size of each answer")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    arguments = parser.parse_args()
    pull_levers(Scheduling.BATCH)  # before grpc is imported, as the service does
    import uvloop

    uvloop.run(serve(arguments.store, arguments.reply_bytes, arguments.port))


if __name__ == "__main__":
    main()
