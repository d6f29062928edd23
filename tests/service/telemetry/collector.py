"""A collector: a real HTTP server that takes OTLP and keeps what it took, or behaves as badly as it is told."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass(slots=True)
class Collector:
    """What was taken. `hangs` lets every request wait until the test ends, `drips` answers a byte at a time.

    `floods` answers that the caller may go on, again and again. `status` is what requests are answered, and `statuses`
    what those of one path are, such as `/v1/metrics`; `says` is what stands in an answer.
    """

    url: str = ""
    hangs: bool = False
    drips: bool = False
    floods: bool = False
    status: int = 200
    statuses: dict[str, int] = field(default_factory=dict)
    says: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    raw: list[bytes] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0
    paths: list[str] = field(default_factory=list)
    connections: list[socket.socket] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)
    die: Callable[[], None] = lambda: None

    def take(self, path: str, body: bytes) -> None:
        """Keep what one request holds."""
        self.raw.append(body)
        if path == "/v1/traces":
            for traced in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resources.append(values(traced.resource.attributes))
                self.spans += [span for scope in traced.scope_spans for span in scope.spans]
        elif path == "/v1/metrics":
            for told in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.resources.append(values(told.resource.attributes))
                self.metrics += [metric for scope in told.scope_metrics for metric in scope.metrics]

    def hang_up(self) -> None:
        """End every connection, and go on."""
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def latest(self) -> Mapping[str, Metric]:
        """Return the metrics that came last, by name."""
        return {metric.name: metric for metric in self.metrics}


def values(attributes: Any) -> dict[str, Any]:  # noqa: ANN401 - a protobuf list
    """Return attributes as a dictionary."""
    return {one.key: value_of(one) for one in attributes}


def value_of(attribute: KeyValue) -> Any:  # noqa: ANN401 - any value
    """Return the value of an attribute."""
    return getattr(attribute.value, str(attribute.value.WhichOneof("value")))


def _misbehave(collector: Collector, out: BufferedIOBase) -> None:
    """Answer without an end, where a collector is told to; what it was told when the request came is what counts."""
    drips = collector.drips
    while drips and not collector.ended.wait(0.1):
        out.write(b"H")
        out.flush()
    while collector.floods and not collector.ended.is_set():
        out.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 400)


def _taking(collector: Collector) -> type[BaseHTTPRequestHandler]:
    """Return how a collector takes requests."""

    class Taking(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            collector.connections.append(self.connection)

        def do_POST(self) -> None:
            collector.asked += 1
            collector.paths.append(self.path)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.headers = dict(self.headers)
            if collector.hangs:
                collector.ended.wait(30)
                return
            _misbehave(collector, self.wfile)
            status = collector.statuses.get(self.path, collector.status)
            if status == 200:
                collector.take(self.path, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(collector.says)))
            self.end_headers()
            self.wfile.write(collector.says)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Taking


class _Dying:
    """Ends a collector as a machine does that goes down: what was connected is not any more."""

    def __init__(self, collector: Collector, server: ThreadingHTTPServer) -> None:
        self._collector, self._server = collector, server
        self._thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def __call__(self) -> None:
        """End it, once."""
        if not self._thread.is_alive():
            return
        self._collector.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._collector.hang_up()  # else the threads that serve the connections go on
        self._thread.join()


@contextmanager
def collecting(*, how: str = "", status: int = 200, port: int = 0) -> Iterator[Collector]:
    """Run a collector; `how` it is bad: hangs, drips or floods."""
    collector = Collector(hangs=how == "hangs", drips=how == "drips", floods=how == "floods", status=status)
    server = ThreadingHTTPServer(("127.0.0.1", port), _taking(collector))
    server.daemon_threads = True
    collector.url = f"http://127.0.0.1:{server.server_port}"
    collector.die = _Dying(collector, server)
    try:
        yield collector
    finally:
        collector.die()


def until(holds: Callable[[], object], within_s: float = 10.0) -> None:
    """Wait until something holds; fail when it does not in time."""
    ends = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.02)
