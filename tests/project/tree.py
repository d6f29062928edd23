"""The files of the project, as a fresh clone would have them."""

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LEFT_BEHIND = {"__pycache__", "node_modules", "build", "dist", "data", "var"}  # by .gitignore no part of the project


def text_files() -> Iterator[tuple[Path, str]]:
    """Yield every file of the project that is UTF-8 text, with its text."""
    for path in _files():
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def python_sources() -> Iterator[Path]:
    """Yield every Python file that a person wrote."""
    return (path for path in _files() if path.suffix == ".py" and "_pb2" not in path.name)


def _files() -> Iterator[Path]:
    for folder, subfolders, names in os.walk(ROOT):
        subfolders[:] = sorted(name for name in subfolders if _is_ours(name))
        yield from (Path(folder, name) for name in sorted(names))


def _is_ours(folder: str) -> bool:
    return folder not in LEFT_BEHIND and (not folder.startswith(".") or folder == ".ci")
