"""Where the store is and how to get in, read from a URL once; secrets stay out of every text."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

SCHEMES = ("redis", "rediss", "unix")
FORM = "redis://[user:password@]host[:port][/db], rediss://… (TLS, ?ssl_ca_certs=FILE) or unix:///path[?db=N]"


@dataclass(frozen=True, slots=True)
class Address:
    """One store: host and port, or the path of a Unix socket; the text of it names neither user nor password."""

    scheme: str
    host: str = ""
    port: int = 6379
    path: str = ""
    db: int = 0
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    authorities: str = ""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a store URL; raise ValueError, without the URL in it, when it is not one."""
        parts = urlsplit(url)
        options = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        _refuse_unknown(parts.scheme, options)
        unix = parts.scheme == "unix"
        if unix and not parts.path:
            raise ValueError(f"The store URL names no socket; it looks like {FORM}.")
        return cls(
            scheme=parts.scheme,
            host="" if unix else parts.hostname or "localhost",
            port=6379 if unix else _port(parts),
            path=unquote(parts.path) if unix else "",
            db=_db(options.get("db") or ("" if unix else parts.path.strip("/"))),
            username=unquote(parts.username or ""),
            password=unquote(parts.password or options.get("password", "")),
            authorities=options.get("ssl_ca_certs", ""),
        )

    def __str__(self) -> str:
        return f"unix://{self.path}" if self.scheme == "unix" else f"{self.scheme}://{self.host}:{self.port}/{self.db}"

    def tls(self) -> ssl.SSLContext | None:
        """Return what verifies the server of a `rediss` address; None for the others."""
        return ssl.create_default_context(cafile=self.authorities or None) if self.scheme == "rediss" else None

    def greeting(self) -> tuple[tuple[str | int, ...], ...]:
        """Return the commands that open a connection; the last one shows that the store serves."""
        commands: list[tuple[str | int, ...]] = []
        if self.password:
            commands.append(("AUTH", self.username, self.password) if self.username else ("AUTH", self.password))
        if self.db:
            commands.append(("SELECT", self.db))
        return (*commands, ("PING",))


def _refuse_unknown(scheme: str, options: dict[str, str]) -> None:
    if scheme not in SCHEMES:
        raise ValueError(f"The store URL begins with {scheme or 'no scheme'!r}; it looks like {FORM}.")
    if unknown := sorted(options.keys() - {"db", "password", "ssl_ca_certs"}):
        raise ValueError(f"The store URL has the unknown option {unknown[0]!r}; it looks like {FORM}.")


def _port(parts: SplitResult) -> int:
    try:
        return parts.port or 6379
    except ValueError:
        raise ValueError(f"The port of the store URL is not a number from 1 to 65535; it looks like {FORM}.") from None


def _db(text: str) -> int:
    if text and not (text.isascii() and text.isdigit()):
        raise ValueError(f"The database of the store URL is {text!r}, not a whole number; it looks like {FORM}.")
    return int(text or 0)
