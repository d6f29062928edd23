"""TLS on the port: a certificate and its key from files, read again when they change.

gRPC asks for them at every handshake, so a renewed certificate counts from the next connection on. A bad pair is
refused and logged, and the last good one goes on. What reads certificates is loaded where there are any.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import grpc

from service.rpc.access.keys import stamp_of
from service.tls_files import TlsFiles

if TYPE_CHECKING:
    from cryptography import x509

log = logging.getLogger(__name__)

LARGEST_FILE = 262_144
_Stamps: TypeAlias = "tuple[tuple[int, int, int, int] | None, ...]"


class TlsRefused(Exception):
    """The files of TLS cannot be used: the message says which, why and what would be right, and nothing of the key."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its key, and whose certificates callers need; unset where they need none."""

    certificate: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None = None

    @property
    def configuration(self) -> grpc.ServerCertificateConfiguration:
        """The pair as gRPC takes it."""
        return grpc.ssl_server_certificate_configuration([(self.key, self.certificate)], self.client_ca)


def read_pair(files: TlsFiles) -> Pair:
    """Read the files; raise `TlsRefused` unless they are a certificate that counts today and its own key."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    certificate, key = _content(files.certificate), _content(files.key, secret=True)
    client_ca = None if files.client_ca is None else _content(files.client_ca)
    first, *_ = _certificates(files.certificate, certificate)
    if client_ca is not None and files.client_ca is not None:
        _certificates(files.client_ca, client_ca)
    try:
        own = load_pem_private_key(key, None).public_key()
    except (ValueError, TypeError):
        raise TlsRefused(f"{files.key} holds no private key as PEM without a password") from None
    both = [one.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for one in (own, first.public_key())]
    if both[0] != both[1]:
        raise TlsRefused(f"{files.key} is not the key of {files.certificate}; name the two that belong together")
    if first.not_valid_after_utc <= datetime.now(UTC):
        raise TlsRefused(f"{files.certificate} ended on {first.not_valid_after_utc:%Y-%m-%d}; renew it")
    return Pair(certificate, key, client_ca)


class Certificates:
    """The pair in the files, read again when they change. Raises `TlsRefused` as it is made."""

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._stamps = _stamps(files)
        self._pair = read_pair(files)

    def credentials(self) -> grpc.ServerCredentials:
        """Return what a port is opened with."""
        require = self._files.client_ca is not None
        first, renewed = self._pair.configuration, self._renewed
        return grpc.dynamic_ssl_server_credentials(first, renewed, require)  # type: ignore[arg-type]  # None: no change

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what the files hold now; None where that is what it was. Asked on threads of gRPC's own."""
        stamps = _stamps(self._files)
        if stamps == self._stamps:
            return None
        self._stamps = stamps
        try:
            self._pair = read_pair(self._files)
        except TlsRefused as refused:
            log.warning("changed files of TLS are refused, the ones before go on: %s", refused)
            return None
        log.info("a changed certificate is in force: %s", self._files.certificate)
        return self._pair.configuration


def _stamps(files: TlsFiles) -> _Stamps:
    named = (files.certificate, files.key, files.client_ca)
    return tuple(stamp_of(path) for path in named if path is not None)


def _certificates(path: Path, content: bytes) -> list[x509.Certificate]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        raise TlsRefused(f"{path} holds no certificates as PEM") from None


def _content(path: Path, *, secret: bool = False) -> bytes:
    try:
        with path.open("rb") as file:
            if secret and os.fstat(file.fileno()).st_mode & 0o077:
                raise TlsRefused(f"{path} can be read by others than its owner; forbid that (chmod 600)")
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise TlsRefused(f"{path} cannot be read ({error.strerror})") from None
    if len(content) > LARGEST_FILE:
        raise TlsRefused(f"{path} is larger than {LARGEST_FILE:,} bytes")
    return content
