"""How the port is guarded: TLS and callers, as the settings say it; and what is told of a port that is not."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Protocol

from service.telemetry.settings import TelemetrySettings
from service.tls_files import TlsFiles


class Door(Protocol):
    """Where settings come in."""

    def text(self, name: str, default: str) -> str:
        """Return a setting that is any text."""
        ...

    def refused(self, name: str, wanted: str, why: str = "") -> Exception:
        """Say which setting is not usable, and what would be right."""
        ...


class Guarded(Protocol):
    """The settings that guard the port."""

    @property
    def host(self) -> str:
        """Where it listens."""
        ...

    @property
    def tls(self) -> TlsFiles | None:
        """The files of TLS; unset without."""
        ...

    @property
    def callers(self) -> Path | None:
        """The file that says who calls; unset where everybody may do everything."""
        ...

    @property
    def telemetry(self) -> TelemetrySettings:
        """Where Prometheus reads."""
        ...

    @property
    def insecure(self) -> bool:
        """Whether others may listen on the way."""
        ...


def read_tls(door: Door) -> TlsFiles | None:
    """Return where the files of TLS are; None without. Raises what `refused` returns where one is missing."""
    certificate, key, client_ca = (door.text(name, "") for name in ("tls-cert", "tls-key", "tls-client-ca"))
    if not certificate and not key and not client_ca:
        return None
    for name, found in (("tls-cert", certificate), ("tls-key", key)):
        if not found:
            wanted = "name a PEM file; --tls-cert and --tls-key belong together, and --tls-client-ca to both"
            raise door.refused(name, wanted, "it is missing")
    return TlsFiles(Path(certificate), Path(key), Path(client_ca) if client_ca else None)


def unguarded(settings: Guarded) -> str:
    """Say why a service must not listen like this, and what to add; nothing where it may.

    Where a call comes from is not asked: behind a proxy all come from near. So it counts where the service listens.
    """
    if is_loopback(settings.host):
        return ""
    missing = []
    if settings.callers is None:
        missing.append("--callers FILE, which says who may call")
    if settings.tls is None and not settings.insecure:
        missing.append("--tls-cert FILE and --tls-key FILE (or --insecure, where a mesh in front of it encrypts)")
    if not missing:
        return ""
    return (
        f"--host {settings.host}: others than this machine can reach it, so it does not start without "
        f"{', and '.join(missing)}. Without these it listens on 127.0.0.1 only."
    )


def told(settings: Guarded) -> tuple[str, ...]:
    """Say, loudly, what does not guard the port."""
    lines = []
    if settings.callers is None:
        lines.append(
            f"NO AUTHENTICATION: every process that reaches {settings.host} may do everything, and erase customers; "
            "--callers FILE says who may do what"
        )
    if settings.tls is None:
        where = "this machine" if is_loopback(settings.host) else "the whole network on the way, as --insecure allows"
        lines.append(
            f"NO ENCRYPTION: calls, and tokens in them, can be read by {where}; --tls-cert and --tls-key encrypt"
        )
    metrics = settings.telemetry
    if metrics.port is not None and not is_loopback(metrics.host):
        lines.append(
            f"OPEN METRICS: everybody who reaches {metrics.host} can read what is measured, without TLS or a token; "
            "--metrics-host 127.0.0.1 keeps it on this machine"
        )
    return tuple(lines)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches a host; an address that stands for another one is not looked through."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    return address.is_loopback and getattr(address, "ipv4_mapped", None) is None
