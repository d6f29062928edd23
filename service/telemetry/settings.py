"""The settings of telemetry, read at the door of the service (`service/config.py`)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn, Protocol
from urllib.parse import unquote, urlsplit

MOST_BY_CALLERS = 1000.0
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HOST = re.compile(r"[A-Za-z0-9:]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9:])?")
_URL = re.compile(r"[!-~]+")
_OURS = frozenset({"connection", "content-length", "content-type", "host", "transfer-encoding"})
"""The headers that sending itself writes: a second one would make every document unreadable."""


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """What is measured, and where it goes.

    `on` is whether anything is measured but the counts of `tact status`. `otlp` is the URL of a collector; empty for
    none, and then nothing is traced. `trace_share` is the share of decisions that are traced, and `by_callers` how many
    a second more because their callers trace them. `port` is where Prometheus reads, without TLS and whoever it is:
    None for nowhere, 0 for any. `host` is the address of that port.
    `headers` go to the collector, and may hold a secret.
    """

    on: bool = True
    otlp: str = field(default="", repr=False)
    trace_share: float = 0.01
    by_callers: float = 10.0
    port: int | None = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    host: str = "127.0.0.1"

    @property
    def traces(self) -> bool:
        """Whether any decision may be traced."""
        return bool(self.otlp) and (self.trace_share > 0 or self.by_callers > 0)

    def port_of(self, worker: int) -> int | None:
        """Return the port of one of several workers, the first of which is number 1."""
        return self.port + worker - 1 if self.port else self.port


class Door(Protocol):
    """Where settings come in; `refused` says in words what was wrong with one."""

    def text(self, name: str, default: str) -> str:
        """Return a setting that is any text."""
        ...

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a setting that is yes or no."""
        ...

    def refused(self, name: str, wanted: str, why: str = "") -> Exception:
        """Return the error for a setting that is not usable."""
        ...


def read_telemetry(door: Door, workers: int = 1) -> TelemetrySettings:
    """Return the settings of telemetry; raise what the door says for the first that is not usable."""
    told = TelemetrySettings(
        on=door.flag("telemetry", default=True),
        otlp=_collector(door),
        trace_share=_number(door, "trace-share", 0.01, 1.0, "write a share from 0 (none) to 1 (all), such as 0.01"),
        by_callers=_number(door, "trace-callers", 10.0, MOST_BY_CALLERS, "write decisions a second, 0 to 1000"),
        port=_port(door, workers),
        host=_host(door),
        headers=_headers(door),
    )
    if not told.on and (told.otlp or told.port is not None):
        name = "otlp" if told.otlp else "metrics-port"
        raise door.refused(name, "leave out --no-telemetry, or this", "there is nothing to tell without telemetry")
    return told


def _collector(door: Door) -> str:
    """Return the collector's URL; one with a password in it is refused, and never told in the refusal."""
    url = door.text("otlp", "").rstrip("/")
    if not url:
        return ""
    form = "write the URL of a collector that takes OTLP over HTTP, such as http://127.0.0.1:4318"
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")  # which refuses what can be no name
        has_host = parts.scheme in ("http", "https") and bool(host) and parts.port != 0
    except ValueError:
        _refuse(door, form, "it is no URL")
    if "@" in url:
        _refuse(door, "put what the collector wants to know into TACT_OTLP_HEADERS", "it may hold a password")
    if not has_host or parts.query or parts.fragment or not _URL.fullmatch(url):
        _refuse(door, form, "it is no such URL")
    if parts.path.endswith(("/v1/traces", "/v1/metrics")):
        _refuse(door, form, "it ends in a path that is added to it")
    return url


def _headers(door: Door) -> tuple[tuple[str, str], ...]:
    """Return the headers for the collector, `name=value,…` with values as in URLs; nothing of them is told."""
    text = door.text("otlp-headers", "")
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    found = tuple((name.strip(), unquote(value.strip())) for name, _, value in pairs)
    if not all(_NAME.fullmatch(name) and value and _is_latin(value) for name, value in found):
        raise door.refused("otlp-headers", "write name=value,name=value", "it holds what is no header")
    if ours := sorted(_OURS.intersection(name.lower() for name, _ in found)):
        raise door.refused("otlp-headers", f"leave out {', '.join(ours)}", "it holds what is written anyway")
    return found


def _is_latin(value: str) -> bool:
    """Whether a value can stand in a header."""
    return value.isprintable() and all(character < "\u0100" for character in value)


def _refuse(door: Door, wanted: str, why: str) -> NoReturn:
    raise door.refused("otlp", wanted, why) from None


def _number(door: Door, name: str, default: float, most: float, wanted: str) -> float:
    try:
        number = float(door.text(name, str(default)))
    except ValueError:
        number = -1.0
    if not 0.0 <= number <= most:
        raise door.refused(name, wanted)
    return number


def _host(door: Door) -> str:
    host = door.text("metrics-host", "127.0.0.1")
    if not _HOST.fullmatch(host):
        raise door.refused("metrics-host", "write an address such as 127.0.0.1, 0.0.0.0 or ::1, or a host name")
    return host


def _port(door: Door, workers: int) -> int | None:
    """Return the port for metrics; several workers need as many in a row, which has to begin somewhere."""
    text = door.text("metrics-port", "")
    if not text:
        return None
    if workers > 1 and text.strip("0") == "":
        raise door.refused("metrics-port", "name the first one", f"nobody would know the ports of {workers} workers")
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) + workers - 1 <= 65_535):
        lowest = "1" if workers > 1 else "0 (any free port)"
        row = f" (each of {workers} workers takes the next one)" if workers > 1 else ""
        raise door.refused("metrics-port", f"write a whole number from {lowest} to 65535{row}")
    return int(text)
