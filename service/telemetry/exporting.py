"""Send what was measured to a collector, from a thread that nobody waits for."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource

from service.telemetry.families import Family
from service.telemetry.otlp import metrics_of, span_of
from service.telemetry.sending import Fate, Sender
from service.telemetry.watch import Traced, Waiting

log = logging.getLogger(__name__)

SPANS_EVERY_S = 1.0
METRICS_EVERY_S = 10.0
LONGEST_PAUSE_S = 30.0
"""Between attempts while the collector takes nothing; the pause doubles up to this."""

SPANS_AT_ONCE = 32
"""So few that what serves is kept from the processor for a millisecond or two, while they are encoded."""

BREATH_S = 0.005


class Exporting:
    """The thread that sends, and keeps what the collector may take later. It ends with the process at the latest.

    `read` returns the numbers of now. `sent` and `lost` are called with a number of spans, from the thread. It looks
    every `every_s` seconds whether there is something to send.
    """

    def __init__(
        self,
        sender: Sender,
        resource: Resource,
        read: Callable[[], tuple[Family, ...]],
        waiting: Waiting,
        sent: Callable[[int], None],
        lost: Callable[[int], None],
        every_s: float = SPANS_EVERY_S,
    ) -> None:
        self._sender, self._resource, self._read, self._waiting = sender, resource, read, waiting
        self._sent, self._lost = sent, lost
        self._began_ns = time.time_ns()
        self._kept: list[Traced] = []
        self._refused: set[str] = set()
        self._every_s = self._pause_s = every_s
        self._stopping, self._away = threading.Event(), False
        self._ended: Callable[[], None] = _nothing
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    async def stop(self, within_s: float) -> bool:
        """Have sent what is left if the collector takes it; tell whether that ended in time, and wait no longer."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        self._ended = lambda: _call(loop, ended.set)
        self._stopping.set()
        try:
            if self._thread.is_alive():
                await asyncio.wait_for(ended.wait(), within_s)
        except TimeoutError:
            return False
        return True

    def _run(self) -> None:
        metrics_due = time.monotonic()
        while not self._stopping.wait(self._pause_s):
            metrics_due = self._turn(metrics_due)
        if not self._away:  # else nobody takes it, and the end of a service is nothing to wait with
            self._turn(0.0)
        self._sender.close()
        self._ended()

    def _turn(self, metrics_due: float) -> float:
        """Send what there is, and the metrics where they are due; return when they are due next."""
        now = time.monotonic()
        try:
            sending = self._send_spans()
            if not sending or now < metrics_due:
                return metrics_due
            self._send_metrics()
        except Exception as error:  # noqa: BLE001 - a defect here must not end what is sent later
            log.error("telemetry failed and goes on: %s", type(error).__name__)
            self._lost(len(self._kept))
            self._kept = []
        return now + METRICS_EVERY_S

    def _send_spans(self) -> bool:
        """Send all that waits; return whether the collector is there."""
        while batch := self._kept or self._waiting.take(SPANS_AT_ONCE):
            self._kept = batch
            spans = encode_spans([span_of(traced, self._resource) for traced in batch])
            fate = self._post("traces", spans.SerializeToString())
            if fate is Fate.LATER:
                return False
            (self._sent if fate is Fate.TAKEN else self._lost)(len(batch))
            self._kept = []
            self._stopping.wait(BREATH_S)
        return True

    def _send_metrics(self) -> None:
        metrics = encode_metrics(metrics_of(self._read(), self._resource, self._began_ns, time.time_ns()))
        self._post("metrics", metrics.SerializeToString())

    def _post(self, what: str, body: bytes) -> Fate:
        """Send one document; say once when the collector takes no more, and when it does again; ask it less often."""
        fate = self._sender.send(f"/v1/{what}", body)
        if fate is Fate.TAKEN and what in self._refused:
            log.warning("the collector at %s takes %s again", self._sender.host, what)
            self._refused.discard(what)
        elif fate is not Fate.TAKEN and what not in self._refused:
            log.warning("the collector at %s takes no %s; decisions go on without", self._sender.host, what)
            self._refused.add(what)
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S) if self._refused else self._every_s
        self._away = fate is Fate.LATER
        return fate


def _nothing() -> None:
    pass


def _call(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(what)
    except RuntimeError:  # the loop did not wait, and is closed
        return
