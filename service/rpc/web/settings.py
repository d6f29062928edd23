"""The settings of the browser door, read at the door of the service (`service/config.py`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

DEFAULT_WEB_PORT = 50052
MOST_ORIGINS = 64
_ORIGIN = re.compile(r"https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?")
_FORM = "write where the page comes from, such as https://desk.example.org, without a path"


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Where browsers call, and from where. `port` is None for nowhere and 0 for any free one.

    Pages of `origins` may call besides the service's own, which it has where `desktop` is set.
    """

    port: int | None = None
    origins: tuple[str, ...] = ()
    desktop: bool = False


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


def read_web(door: Door, grpc_port: int) -> WebSettings:
    """Return the settings of the browser door; raise what the door says for the first that is not usable."""
    desktop, origins = door.flag("desktop"), _origins(door)
    port = _port(door, DEFAULT_WEB_PORT if desktop else None)
    if port is None and origins:
        raise door.refused("web-origin", "add --web-port", "no port is open for browsers")
    if port and port == grpc_port:
        raise door.refused("web-port", "choose another port", "it is the port of gRPC")
    return WebSettings(port, origins, desktop)


def _port(door: Door, default: int | None) -> int | None:
    text = door.text("web-port", "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= 65_535):
        raise door.refused("web-port", "write a whole number from 0 (any free port) to 65535")
    return int(text)


def _origins(door: Door) -> tuple[str, ...]:
    """Return the origins as browsers write them: in small letters, and without the port that a scheme has anyway."""
    named = [one for one in re.split(r"[,\s]+", door.text("web-origin", "")) if one]
    if len(named) > MOST_ORIGINS:
        raise door.refused("web-origin", f"name {MOST_ORIGINS} at most", f"{len(named)} are named")
    for one in named:
        if not _ORIGIN.fullmatch(one.removesuffix("/")):
            raise door.refused("web-origin", _FORM, "* would let every page in" if one == "*" else f"{one[:80]!r}")
    return tuple(dict.fromkeys(_as_browsers_write_it(one) for one in named))


def _as_browsers_write_it(origin: str) -> str:
    parts = urlsplit(origin.lower().removesuffix("/"))
    usual = {"http": ":80", "https": ":443"}[parts.scheme]
    return f"{parts.scheme}://{parts.netloc.removesuffix(usual)}"


EVERY_ADDRESS = ("0.0.0.0", "::", "[::]")  # noqa: S104 - compared with, not listened on


def named_host(host: str) -> str:
    """Return a host that a browser on this machine can open, where one that stands for all addresses is listened on."""
    return "localhost" if host in EVERY_ADDRESS else host


def unnamed(host: str, web: WebSettings) -> str:
    """Return what is to be said where pages are served to other machines whose calls will be refused; else nothing."""
    if not web.desktop or web.origins or host not in EVERY_ADDRESS:
        return ""
    return (
        f"Pages are served on every address ({host}), but may call only as localhost. Add --web-origin with the "
        "address that others open them at, such as https://desk.example.org, or their calls are refused with 403."
    )
