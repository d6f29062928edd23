"""Send one document to a collector, over HTTP, and tell what became of it. It blocks: it needs a thread of its own."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum, auto
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

ATTEMPT_S = 1.2
"""How long each step of an attempt may take: to connect, to write, to be answered."""

MOST_ANSWER_BYTES = 65_536
AGAIN_LATER = frozenset({429, 502, 503, 504})
"""What a collector answers that wants to be asked again, by the OTLP specification."""


class Fate(Enum):
    """What became of a document: it was taken, it may be taken later, or it never will be."""

    TAKEN = auto()
    LATER = auto()
    NEVER = auto()


class Sender:
    """Posts OTLP to the collector at `url`, over one connection that is kept."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        self.host, self._port, self._path = parts.hostname or "", parts.port, parts.path
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._headers = {**headers, "Content-Type": "application/x-protobuf"}
        self._kept: HTTPConnection | None = None

    def send(self, path: str, body: bytes) -> Fate:
        """Post a document; a kept connection that the collector has closed meanwhile is opened again, once."""
        try:
            status = self._post_again(path, body)
        except (OSError, HTTPException):
            self.close()
            return Fate.LATER
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
        connection.request("POST", self._path + path, body, self._headers)
        answer = connection.getresponse()
        answer.read(MOST_ANSWER_BYTES)  # what it says is of no use here, and the next answer comes behind it
        if not answer.isclosed():
            self.close()
        return answer.status

    def _connection(self) -> HTTPConnection:
        if self._tls is not None:
            return HTTPSConnection(self.host, self._port, timeout=ATTEMPT_S, context=self._tls)
        return HTTPConnection(self.host, self._port, timeout=ATTEMPT_S)
