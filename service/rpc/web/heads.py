"""HTTP/1.1 as h11 reads it, with a bound on every head: h11 itself bounds only one that comes in parts."""

from __future__ import annotations

from typing import Any

import h11

LARGEST_HEAD = 16_384


class Reading(h11.Connection):
    """The server's side of a connection, which refuses a head of more than `LARGEST_HEAD` bytes."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, LARGEST_HEAD)

    def next_event(self) -> Any:  # noqa: ANN401 - one of several events, or a sentinel
        """Return what came next; raise `h11.RemoteProtocolError` where it is no HTTP, or its head too long."""
        there = len(self.trailing_data[0]) if self.their_state is h11.IDLE else 0
        event = super().next_event()
        if isinstance(event, h11.Request) and there - len(self.trailing_data[0]) > LARGEST_HEAD:
            raise h11.RemoteProtocolError(f"the head has more than {LARGEST_HEAD:,} bytes", error_status_hint=431)
        return event
