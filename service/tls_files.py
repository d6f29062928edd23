"""Where the files of TLS are: paths only, for secrets stay in their files until somebody listens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The certificate (with its chain) and its key, as PEM; with `client_ca` callers need a certificate of those."""

    certificate: Path
    key: Path
    client_ca: Path | None = None
