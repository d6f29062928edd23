"""One call written by hand, with HTTP/2 as it should be and gRPC's own framing as it should not."""

from __future__ import annotations

import socket
import struct

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection

from tests.edge.hostile.attacks import DECIDE

CALL = ((":method", "POST"), (":scheme", "http"), (":authority", "x"))
OF_GRPC = (("te", "trailers"), ("content-type", "application/grpc"))


def prefixed(body: bytes, flag: int = 0, length: int | None = None) -> bytes:
    """Return a message with its prefix, or with one that lies."""
    return bytes([flag]) + struct.pack(">I", len(body) if length is None else length) + body


def ended(
    port: int, body: bytes | None, more: dict[str, str], path: str = DECIDE, within_s: float = 3.0
) -> dict[str, str]:
    """Make one call, which ends after its body, or after its headers without one; return how it was ended.

    That is the headers and trailers of gRPC's own, and `reset` with the code where the stream was; nothing where it was
    still open after `within_s`.
    """
    speaks = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    speaks.initiate_connection()
    speaks.send_headers(1, [*CALL, (":path", path), *OF_GRPC, *more.items()], end_stream=body is None)
    if body is not None:
        speaks.send_data(1, body, end_stream=True)
    found: dict[str, str] = {}
    with socket.create_connection(("127.0.0.1", port), within_s) as connection:
        connection.sendall(speaks.data_to_send())
        try:
            while data := connection.recv(65_536):
                came = speaks.receive_data(data)
                connection.sendall(speaks.data_to_send())
                if _is_over(came, found):
                    break
        except TimeoutError:
            return {}
    return found


def _is_over(came: list[events.Event], found: dict[str, str]) -> bool:
    for one in came:
        if isinstance(one, events.ResponseReceived | events.TrailersReceived):
            found |= {str(name): str(value) for name, value in one.headers if str(name).startswith("grpc-")}
        elif isinstance(one, events.StreamReset):
            found["reset"] = str(int(one.error_code))
    return any(isinstance(one, events.StreamEnded | events.StreamReset) for one in came)
