"""TLS for browsers, with the same files as the gRPC port: a renewed certificate counts from the next connection on."""

from __future__ import annotations

import logging
import ssl
from typing import Any

from service.rpc.access.keys import stamp_of
from service.rpc.access.tls import TlsRefused, read_pair
from service.tls_files import TlsFiles

log = logging.getLogger(__name__)


class Renewing:
    """A context that looks at its files at each handshake. Raises `TlsRefused` as it is made."""

    def __init__(self, files: TlsFiles) -> None:
        self._files, self._stamps = files, _stamps(files)
        self.context = self._now = _context(files)
        self.context.sni_callback = self._choose

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, _: str | None, __: ssl.SSLContext) -> None:
        """Let a handshake go on with what the files hold now."""
        if (found := _stamps(self._files)) != self._stamps:
            self._stamps = found
            try:
                self._now = _context(self._files)
            except (TlsRefused, OSError) as refused:
                log.warning("changed files of TLS are refused for browsers, the ones before go on: %s", refused)
        connection.context = self._now


def _stamps(files: TlsFiles) -> tuple[object, ...]:
    return tuple(stamp_of(path) for path in (files.certificate, files.key, files.client_ca) if path is not None)


def _context(files: TlsFiles) -> ssl.SSLContext:
    read_pair(files)  # which says in words what is wrong
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(files.certificate, files.key, password="")  # never asks a terminal for one
    if files.client_ca is not None:
        context.load_verify_locations(files.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def names_in(certificate: dict[str, Any] | None) -> dict[str, list[bytes]]:
    """Return the names in a certificate that was checked, under the names that gRPC has for them."""
    if not certificate:
        return {}
    alternatives = [str(name).encode() for _, name in certificate.get("subjectAltName", ())]
    common = [str(v).encode() for part in certificate.get("subject", ()) for k, v in part if k == "commonName"]
    return {"x509_subject_alternative_name": alternatives, "x509_common_name": common}
