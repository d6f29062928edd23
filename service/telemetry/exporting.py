"""Send what was measured to a collector, from a thread that nobody waits for."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource

from service.telemetry.families import Family
from service.telemetry.otlp import metrics_of, refused_in, span_of
from service.telemetry.sending import Fate, Sender
from service.telemetry.watch import Traced, Waiting

log = logging.getLogger(__name__)

SPANS_EVERY_S = 1.0
METRICS_EVERY_S = 10.0
LONGEST_PAUSE_S = 30.0
"""Between attempts at what the collector does not take; the pause doubles up to this."""

SPANS_AT_ONCE = 32
"""So few that what serves is kept from the processor for a millisecond or two, while they are encoded."""

BREATH_S = 0.005


class _Kind:
    """One kind of documents: how often one is sent, when the next one is due, and whether they are taken."""

    def __init__(self, what: str, every_s: float) -> None:
        self.what, self.taken, self.due = what, True, 0.0
        self._every_s = self._pause_s = every_s

    def tried(self, *, taken: bool) -> None:
        """Let the next one wait as long as ever, or longer than before where this one was not taken."""
        self._pause_s = self._every_s if taken else max(self._every_s, min(2 * self._pause_s, LONGEST_PAUSE_S))
        self.due = time.monotonic() + self._pause_s


class Exporting:
    """The thread that sends, and keeps what the collector may take later. It ends with the process at the latest.

    What a collector does not take of one kind, traces or metrics, is no matter of the other kind. `read` returns the
    numbers of now. `sent` and `lost` are called with a number of spans, from the thread. It looks every `every_s`
    seconds whether there is something to send.
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
        self._traces, self._metrics = _Kind("traces", every_s), _Kind("metrics", METRICS_EVERY_S)
        self._every_s = every_s
        self._failed: set[str] = set()
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
        while not self._stopping.wait(self._every_s):
            self._turn(time.monotonic())
        if not self._away:  # else nobody takes it, and the end of a service is nothing to wait with
            self._turn(math.inf)
        self._sender.close()
        self._ended()

    def _turn(self, now: float) -> None:
        """Send what is due."""
        try:
            if self._traces.due <= now:
                self._send_spans()
            if self._metrics.due <= now and not (self._away and self._stopping.is_set()):
                self._send_metrics()
        except Exception as error:  # noqa: BLE001 - a defect here must not end what is sent later
            self._say_failed(type(error).__name__)
            if self._kept:
                self._lost(len(self._kept))
                self._kept = []

    def _send_spans(self) -> None:
        """Send all that waits, as long as it is taken."""
        while batch := self._kept or self._waiting.take(SPANS_AT_ONCE):
            self._kept = batch
            spans = encode_spans([span_of(traced, self._resource) for traced in batch])
            fate = self._post(self._traces, spans.SerializeToString())
            if fate in (Fate.LATER, Fate.AWAY):
                return
            self._kept = []
            lost = len(batch) if fate is Fate.NEVER else min(refused_in(self._sender.answer), len(batch))
            for told, spans_of_it in ((self._sent, len(batch) - lost), (self._lost, lost)):
                if spans_of_it:
                    told(spans_of_it)
            self._stopping.wait(BREATH_S)

    def _send_metrics(self) -> None:
        self._metrics.tried(taken=True)  # so that a defect below does not come back at once
        metrics = encode_metrics(metrics_of(self._read(), self._resource, self._began_ns, time.time_ns()))
        self._post(self._metrics, metrics.SerializeToString())

    def _post(self, kind: _Kind, body: bytes) -> Fate:
        """Send one document; ask for what is not taken less often, and where nobody answers for all."""
        fate = self._sender.send(f"/v1/{kind.what}", body)
        self._say(kind, taken=fate is Fate.TAKEN)
        kind.tried(taken=fate is Fate.TAKEN)
        other = self._metrics if kind is self._traces else self._traces
        if fate is Fate.AWAY:
            other.tried(taken=False)
        elif self._away:
            other.due = 0.0  # the collector is back
        self._away = fate is Fate.AWAY
        return fate

    def _say(self, kind: _Kind, *, taken: bool) -> None:
        """Say once when the collector takes no more of a kind and why, and when it does again."""
        if taken and not kind.taken:
            log.warning("the collector at %s takes %s again", self._sender.host, kind.what)
        elif kind.taken and not taken:
            where, why = self._sender.host, self._sender.why
            log.warning("the collector at %s takes no %s (%s); decisions go on without", where, kind.what, why)
        kind.taken = taken

    def _say_failed(self, error: str) -> None:
        """Say once of each kind of error that something is wrong here."""
        if error not in self._failed:
            self._failed.add(error)
            log.error("telemetry failed and goes on: %s", error)


def _nothing() -> None:
    pass


def _call(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(what)
    except RuntimeError:  # the loop did not wait, and is closed
        return
