"""The gRPC server: one port, all services, health, and reflection by flag.

    edge = Edge.of(strategy, decider=decider, stores=store, limits=Limits(), clock=clock_ms, validator=validator)
    server = Server(edge, Listen(host="127.0.0.1", port=50051, reflection=False))
    port = await server.start()          # the port is open, health says NOT_SERVING; raises CannotListen
    await server.announce(serving=True)  # health says SERVING
    server.swap(another_edge)            # calls that start from now on see the other strategy
    await server.drain(linger_s=1.0, grace_s=10.0)  # NOT_SERVING, linger, refuse new calls, let the old ones end
    await server.ended()                 # returns when the server was drained

The running loop is the one that serves; whoever starts the loop chooses uvloop.
docs/decisions/0006-grpc-edge.md has the reasons of the options.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import grpc

from service.errors import CannotListen
from service.rpc import health, reflecting
from service.rpc.access.gate import Access
from service.rpc.access.tls import Certificates, TlsRefused
from service.rpc.admission.admission import Admission
from service.rpc.admission.bulkhead import Bulkhead
from service.rpc.asked_first import Guarded, having_asked
from service.rpc.connections import most_connections
from service.rpc.edge import Current, Edge
from service.rpc.event_batches import MAX_BATCH_BYTES
from service.rpc.methods import handlers_of, implementations_of, no_gate
from service.rpc.ports_operating import Control
from service.rpc.wakes import over_a_pipe
from service.rpc.wrapper import Handler, require_fast_protobuf
from service.telemetry.watch import UNWATCHED, Watch
from service.tls_files import TlsFiles
from service.watching_people import Ears

__all__ = ["Listen", "Server"]

MAX_RECEIVE_BYTES = MAX_BATCH_BYTES
MAX_SEND_BYTES = 4_194_304  # what clients accept unless told otherwise
OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MAX_RECEIVE_BYTES),
    ("grpc.max_send_message_length", MAX_SEND_BYTES),
    ("grpc.max_concurrent_streams", 144),
    ("grpc.max_metadata_size", 4_096),
    ("grpc.absolute_max_metadata_size", 8_192),
    ("grpc.server_handshake_timeout_ms", 2_000),
    ("grpc.max_connection_idle_ms", 300_000),
    ("grpc.max_connection_age_ms", 3_600_000),
    ("grpc.max_connection_age_grace_ms", 600_000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.bdp_probe", 0),  # else the window of a stream that nobody reads grows to megabytes
    ("grpc.http2.lookahead_bytes", 262_144),
    ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
    ("grpc.http2.max_ping_strikes", 2),
    ("grpc.enable_channelz", 0),
)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen. Port 0 takes a free one. `reuse_port` lets several processes share the port, and so hides that
    it is taken. `reflection` lets callers who may list the services. `tls` encrypts.
    """

    host: str = "127.0.0.1"
    port: int = 50051
    reflection: bool = False
    reuse_port: bool = False
    tls: TlsFiles | None = None

    @property
    def address(self) -> str:
        """The address as gRPC spells it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Server:
    """Serves one edge at a time. Construct it anywhere; start and drain it in the loop that serves."""

    def __init__(
        self,
        edge: Edge,
        listen: Listen,
        watch: Watch = UNWATCHED,
        access: Access | None = None,
        admission: Admission | None = None,
    ) -> None:
        require_fast_protobuf()
        self._listen = listen
        admission = admission or Admission()
        batches = Bulkhead(deciding=admission.deciding)
        self._current = Current(edge, watch, access=access, admission=admission, batches=batches)
        self._limits, self._implementations = edge.limits, implementations_of(self._current)
        self._handlers = handlers_of(self._current, self._limits, self._implementations)
        self._gates = no_gate if access is None else access.gate
        self._health = health.Health(tuple(self._handlers))
        self._server: grpc.aio.Server | None = None
        self._ended = asyncio.Event()

    def swap(self, edge: Edge) -> None:
        """Let calls that start from now on see another strategy; calls under way keep theirs."""
        self._current.edge = edge

    @property
    def admission(self) -> Admission:
        """Who may begin a decision now."""
        return self._current.admission

    def controlled_by(self, control: Control) -> None:
        """Let operators ask and switch; before this, their calls are refused."""
        self._current.control = control

    def listens_by(self, ears: Ears) -> None:
        """Let callers watch what is written; before this, they are refused."""
        self._current.ears = ears

    def guarded(self) -> Guarded:
        """Return what answers each method, for calls that come by another way than gRPC, with the same rules."""
        behind = no_gate if self._current.access is None else having_asked
        return Guarded(handlers_of(self._current, self._limits, self._implementations, behind), self._gates)

    async def start(self) -> int:
        """Open the port and return it, with health NOT_SERVING; raise `CannotListen` when it cannot be opened."""
        bound = ("grpc.max_allowed_incoming_connections", most_connections())
        options = (*OPTIONS, bound, ("grpc.so_reuseport", int(self._listen.reuse_port)))
        with over_a_pipe():
            server = grpc.aio.server(options=options)  # no maximum_concurrent_rpcs: one client could use it up for all
        watching, listing = self._gates(health.WATCH), self._gates(reflecting.METHOD)
        for service, handlers in {**self._handlers, health.SERVICE: self._health.handlers(watching)}.items():
            _add(server, service, handlers)
        if self._listen.reflection:
            names = (*self._handlers, health.SERVICE)
            _add(server, reflecting.SERVICE, reflecting.handlers(names, listing))
        await self.announce(serving=False)
        port = _bind(server, self._listen)
        await server.start()
        self._server = server
        return port

    async def announce(self, *, serving: bool) -> None:
        """Tell health checks whether this server serves."""
        await self._health.announce(serving=serving)

    async def drain(self, *, linger_s: float, grace_s: float) -> None:
        """Say NOT_SERVING, go on for `linger_s` so that balancers notice, then refuse calls and end in `grace_s`.

        Streams of requests answer what they have read, and end. Calls that take longer than `grace_s` are cancelled.
        """
        await self._health.leave()
        self._current.draining = True
        if self._server is not None:
            await asyncio.sleep(linger_s)
            self._current.ending.set()
            self._health.let_go()
            self._current.admission.close()
            await self._server.stop(grace_s)
        self._ended.set()

    async def ended(self) -> None:
        """Wait until the server was drained."""
        await self._ended.wait()


def _add(server: grpc.aio.Server, service: str, handlers: dict[str, Handler]) -> None:
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    server.add_registered_method_handlers(service, handlers)  # found without a search


def _bind(server: grpc.aio.Server, listen: Listen) -> int:
    try:
        if listen.tls is None:
            port = server.add_insecure_port(listen.address)
        else:
            port = server.add_secure_port(listen.address, Certificates(listen.tls).credentials())
    except TlsRefused as refused:
        raise CannotListen(str(refused)) from None
    except RuntimeError:
        port = 0
    if port == 0:
        raise CannotListen(
            f"Cannot listen on {listen.address}: the port is taken, or the host is none of this machine's. "
            "Choose another --port (0 takes a free one) or --host."
        )
    return port
