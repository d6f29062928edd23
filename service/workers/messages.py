"""What a supervisor and a worker say to each other, one line of JSON each, over a pair of sockets that only they hold.

From the supervisor: `Begin` first, then `Store` and `Verdict` as answers, `Look`, and `Leave` at the end. From a
worker: `AskStore` and `AskVerdict` while it begins, `Serving` or `Refused`, then `Beat` after `Beat`, `AskVerdict` for
changed models, and `Refused` where it finds that it must not go on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Struct

from service.config import Settings

LONGEST_LINE = 4_194_304
_NONE_OF_OURS = "it says something that is none of ours"


class Begin(Struct, tag=True, frozen=True):
    """With what to begin."""

    settings: Settings

    def __repr__(self) -> str:  # the settings may hold the erasure key
        return "Begin(…)"


class Look(Struct, tag=True, frozen=True):
    """Have the folders of the strategy and the model judged now."""


class Leave(Struct, tag=True, frozen=True):
    """Drain and end."""


class AskStore(Struct, tag=True, frozen=True):
    """Ask for the URL of the embedded store, which is started when it is first asked for."""


class Store(Struct, tag=True, frozen=True):
    """Where the embedded store is; or why it is not, in words."""

    url: str = ""
    refused: str = ""

    def __repr__(self) -> str:  # it is no secret of an embedded store, and no habit either
        return "Store(…)"


class AskVerdict(Struct, tag=True, frozen=True):
    """Ask whether a model may serve: its folder, and the version that the arrays were loaded as."""

    number: int
    folder: str
    version: str


class Verdict(Struct, tag=True, frozen=True):
    """The version that a folder holds and that may serve; or why it may not, in words.

    `unknown` says that this tells nothing about the model, as whoever verifies it died or took too long.
    """

    number: int
    version: str = ""
    refused: str = ""
    unknown: bool = False


class Serving(Struct, tag=True, frozen=True):
    """It serves on the port, and for browsers where they may call: what decides, by name, and what to warn of."""

    port: int
    strategy: str
    model: str
    guardrails: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    web_port: int | None = None


class Beat(Struct, tag=True, frozen=True):
    """It is alive, as its loop turned; the guardrails in force, where there are others than before."""

    guardrails: tuple[str, ...] | None = None


class Refused(Struct, tag=True, frozen=True):
    """It does not serve, or must not go on, for a reason in words that others will find as well."""

    why: str


ToWorker: TypeAlias = Begin | Look | Leave | Store | Verdict
ToSupervisor: TypeAlias = AskStore | AskVerdict | Serving | Beat | Refused


class Unreadable(Exception):
    """A line that is none of ours."""


def encode(message: ToWorker | ToSupervisor) -> bytes:
    """Return the line that says it."""
    return _ENCODER.encode(message) + b"\n"


def for_worker(line: bytes) -> ToWorker:
    """Read what a supervisor said; raise `Unreadable`, without the line in it."""
    try:
        return _FOR_WORKER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Unreadable(_NONE_OF_OURS) from None


def for_supervisor(line: bytes) -> ToSupervisor:
    """Read what a worker said; raise `Unreadable`, without the line in it."""
    try:
        return _FOR_SUPERVISOR.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Unreadable(_NONE_OF_OURS) from None


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(type(value).__name__)


def _from_plain(kind: type, value: object) -> object:
    if kind is Path:
        return Path(str(value))
    raise NotImplementedError(kind.__name__)


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)
_FOR_WORKER: msgspec.json.Decoder[ToWorker] = msgspec.json.Decoder(ToWorker, dec_hook=_from_plain)
_FOR_SUPERVISOR: msgspec.json.Decoder[ToSupervisor] = msgspec.json.Decoder(ToSupervisor)
