"""A collector that takes whatever is sent over OTLP and HTTP, and counts it: `python -m benchmarks.collector`.

It prints `serving on 127.0.0.1:PORT`; `GET /received` tells the calls and bytes by path, as JSON.
"""

from __future__ import annotations

import json
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RECEIVED: Counter[str] = Counter()


class Takes(BaseHTTPRequestHandler):
    """Answers every POST with an empty message, which in OTLP says that all was taken."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Take and count."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        RECEIVED[f"{self.path} calls"] += 1
        RECEIVED[f"{self.path} bytes"] += len(body)
        self._answer("application/x-protobuf", b"")

    def do_GET(self) -> None:
        """Tell what was received."""
        self._answer("application/json", json.dumps(RECEIVED).encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: ANN401 - as http.server has it
        """Say nothing of each call."""

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until it is killed."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Takes) as server:
        print(f"serving on 127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
