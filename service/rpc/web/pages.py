"""The pages that the service ships: read once, compressed once, and served from memory with an ETag."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "web" / "static"
KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_PACKED = frozenset({".ico", ".png", ".woff2"})
_HASHED = re.compile(r"-[A-Z0-9]{8}\.\w+\Z")
"""How the bundler names a file by what is in it, so that another content has another name."""
FIRST = ("index.html", "desktop.html")
FOR_EVER, ASK = b"public, max-age=31536000, immutable", b"no-cache"


@dataclass(frozen=True, slots=True)
class Page:
    """One file: its kind, its bytes, the same compressed where that is shorter, and what it is known by."""

    kind: bytes
    plain: bytes
    packed: bytes | None
    etag: bytes
    kept: bytes


def read_pages(folder: Path = FOLDER) -> Mapping[str, Page]:
    """Return every file of a known kind in a folder by its path; the first page stands at `/` too."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in KINDS and path.is_file())
    pages = {f"/{path.relative_to(folder).as_posix()}": _page(path) for path in files}
    for name in FIRST:
        if f"/{name}" in pages:
            pages["/"] = pages[f"/{name}"]
            break
    return pages | {path.removesuffix(".html"): page for path, page in pages.items() if path.endswith(".html")}


def _page(path: Path) -> Page:
    plain = path.read_bytes()
    packed = None if path.suffix in _PACKED else gzip.compress(plain, 9, mtime=0)
    return Page(
        kind=KINDS[path.suffix].encode(),
        plain=plain,
        packed=packed if packed is not None and len(packed) < len(plain) else None,
        etag=f'"{sha256(plain).hexdigest()[:32]}"'.encode(),
        kept=FOR_EVER if _HASHED.search(path.name) else ASK,
    )
