"""Look at files before long work whose end they are."""

from __future__ import annotations

import os
from pathlib import Path


def unwritable(path: Path | None) -> str:
    """Return why a file could not be written; empty where it could, or where none is wanted."""
    if path is None:
        return ""
    if path.is_dir():
        return f"{path} is a folder; name a file"
    if not path.parent.is_dir():
        return f"{path} cannot be written: there is no folder {path.parent}"
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return f"{path} cannot be written: the folder {path.parent} is not yours to write in"
    return ""
