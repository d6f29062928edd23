"""Send one document to a collector, over HTTP, and tell what became of it. It blocks: it needs a thread of its own."""

from __future__ import annotations

import io
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum, auto
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

ATTEMPT_S = 1.2
"""How long each step of an attempt may take: to connect, to write, and to be answered, however slowly."""

MOST_ANSWER_BYTES = 65_536
AGAIN_LATER = frozenset({429, 502, 503, 504})
"""What a collector answers that wants to be asked again, by the OTLP specification."""


class Fate(Enum):
    """What became of a document: it was taken, it may be taken later, it never will be, or nobody answered."""

    TAKEN = auto()
    LATER = auto()
    NEVER = auto()
    AWAY = auto()


class Sender:
    """Posts OTLP to the collector at `url`, over one connection that is kept.

    `answer` is what the collector said last, cut to 64 KiB. `why` says in a word or two why a document was not taken:
    the status, or the kind of error.
    """

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        self.host, self._port, self._path = parts.hostname or "", parts.port, parts.path
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._headers = {**headers, "Content-Type": "application/x-protobuf"}
        self._kept: HTTPConnection | None = None
        self.answer, self.why = b"", ""

    def send(self, path: str, body: bytes) -> Fate:
        """Post a document; a kept connection that the collector has closed meanwhile is opened again, once."""
        self.answer = b""
        try:
            status = self._post_again(path, body)
        except (OSError, HTTPException, ValueError) as error:  # the last where lengths are no lengths
            self.close()
            self.why = type(error).__name__  # never what it says, which can quote the collector
            return Fate.AWAY
        self.why = f"status {status}"
        if 200 <= status < 300:
            return Fate.TAKEN
        return Fate.LATER if status in AGAIN_LATER else Fate.NEVER

    def close(self) -> None:
        """Close the connection."""
        if self._kept is not None:
            with suppress(OSError):
                self._kept.close()
            self._kept = None

    def _post_again(self, path: str, body: bytes) -> int:
        if self._kept is not None:
            try:
                return self._post(self._kept, path, body)
            except ConnectionError:
                self.close()
        self._kept = self._connection()
        return self._post(self._kept, path, body)

    def _post(self, connection: HTTPConnection, path: str, body: bytes) -> int:
        if connection.sock is not None:
            connection.sock.settimeout(ATTEMPT_S)  # reading the answer before this one has shortened it
        connection.request("POST", self._path + path, body, self._headers)
        answer = connection.getresponse()
        self.answer = answer.read(MOST_ANSWER_BYTES)  # all of it, for the next answer comes behind it
        if not answer.isclosed():
            self.close()
        return answer.status

    def _connection(self) -> HTTPConnection:
        connection = (
            HTTPConnection(self.host, self._port or HTTPConnection.default_port, timeout=ATTEMPT_S)
            if self._tls is None
            else HTTPSConnection(
                self.host, self._port or HTTPSConnection.default_port, timeout=ATTEMPT_S, context=self._tls
            )
        )
        connection.response_class = _InTime
        return connection


class _InTime(HTTPResponse):
    """An answer that is to be there in `ATTEMPT_S`, in however many pieces it comes: else reading it fails."""

    def __init__(self, sock: socket.socket, *how: Any, **more: Any) -> None:  # noqa: ANN401 - as `http.client` calls it
        super().__init__(sock, *how, **more)
        self.fp = io.BufferedReader(_Ending(sock, self.fp.detach()))


class _Ending(io.RawIOBase):
    """What is read from a socket until the time is over."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._sock, self._raw = sock, raw
        self._ends = time.monotonic() + ATTEMPT_S

    def readable(self) -> bool:
        """Return that it is."""
        return True

    def readinto(self, buffer: Any, /) -> int | None:  # noqa: ANN401 - any buffer
        """Read some; raise TimeoutError when the time is over."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Let go of the socket."""
        self._raw.close()
        super().close()
