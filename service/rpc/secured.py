"""How our own client reaches a guarded service: whom it trusts, what it shows, and the token that it sends.

Secrets are read from files, the token's again for each call, so a renewed one counts from the next call on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from service.guarded import is_loopback
from service.rpc.bearing import bearing

LONGEST_TOKEN = 8_192
_VISIBLE = re.compile(rb"[ -~]+")


class SecretsRefused(ValueError):
    """A file that a call needs cannot be read: the message names it, and tells nothing of what it holds."""


@dataclass(frozen=True, slots=True)
class Secured:
    """The files of a caller. With `ca` or a certificate it speaks TLS; without `ca` it trusts whom this machine trusts.

    `name` is the one that the service's certificate has, where it is not the host that is called.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    name: str = ""
    token: Path | None = None
    tls: bool = False

    @property
    def encrypts(self) -> bool:
        """Whether it speaks TLS."""
        return self.tls or self.ca is not None or self.certificate is not None or bool(self.name)

    def checked(self, target: str) -> Secured:
        """Return itself; raise `SecretsRefused` where something that it names cannot be used for a target."""
        if (self.certificate is None) is not (self.key is None):
            raise SecretsRefused("a client's certificate and its key belong together; name both")
        for path in (self.ca, self.certificate, self.key):
            if path is not None:
                _read(path)
        if self.token is not None:
            self._check_hidden(target, self.token)
            token_in(self.token)
        return self

    def _check_hidden(self, target: str, token: Path) -> None:
        if not self.encrypts and not _stays_here(target):
            raise SecretsRefused(
                f"{token}: without TLS everybody on the way to {target} could read the token; add --tls, or "
                "--tls-ca FILE"
            )

    def channel(self, target: str, options: tuple[tuple[str, Any], ...]) -> grpc.aio.Channel:
        """Open a channel; raise `SecretsRefused` where a file cannot be read."""
        if self.token is not None:
            self._check_hidden(target, self.token)
        interceptors = None if self.token is None else bearing(token_in(self.token))
        if not self.encrypts:
            return grpc.aio.insecure_channel(target, options=options, interceptors=interceptors)
        parts = (None if path is None else _read(path) for path in (self.ca, self.key, self.certificate))
        named = (("grpc.ssl_target_name_override", self.name),) if self.name else ()
        credentials = grpc.ssl_channel_credentials(*parts)
        return grpc.aio.secure_channel(target, credentials, options=(*options, *named), interceptors=interceptors)


UNSECURED = Secured()


def token_in(path: Path) -> Callable[[], str]:
    """Return what reads the token in a file, which must be there by now; raise `SecretsRefused`."""

    def read() -> str:
        token = _read(path)
        text = token.strip()
        if len(token) > LONGEST_TOKEN or not _VISIBLE.fullmatch(text):
            raise SecretsRefused(f"{path} holds no token: one line of visible characters")
        return text.decode()

    read()
    return read


def _stays_here(target: str) -> bool:
    """Tell whether what is sent to a target of gRPC's stays on this machine."""
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    address = target.partition(":///")[2] or re.sub(r"\A(dns|ipv4|ipv6):", "", target)
    host = address.rpartition(":")[0] if address.count(":") == 1 or "]:" in address else address
    return is_loopback(host.strip("[]"))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SecretsRefused(f"{path} cannot be read ({error.strerror})") from None
