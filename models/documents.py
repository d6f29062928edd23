"""Read a folder of YAML documents, bounded in size, and name everything in it by one digest."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Texts
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG

from models.trees import Budget, Items, Leaf, Mapping, Node, Problem, grow, shown

__all__ = ["Documents", "DocumentsRefused", "Items", "Leaf", "Mapping", "Node", "Problem", "read_folder", "shown"]

CASES, IMPORTS = "cases", "import"
"""The subfolders that hold examples of what the strategy decides, and how logs of others are read for it: no documents,
and so no part of its version.
"""
LARGEST_FILE = 1_000_000
MOST_FILES = 256
# 10,000 actions of two treatments take 392,000 nodes; the worst that fits below the bound takes 3 s and 110 MB to read.
MOST_NODES = 500_000
MOST_PROBLEMS = 1_000

_YAML = re.compile(r"\.ya?ml", re.IGNORECASE)


class DocumentsRefused(Exception):
    """Documents that cannot be used, with every problem that was found, sorted by file and line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        found = sorted(set(problems))
        self.problems = tuple(found)
        lines = [str(problem) for problem in found[:MOST_PROBLEMS]]
        if len(found) > MOST_PROBLEMS:
            lines.append(f"and {len(found) - MOST_PROBLEMS} more; mend these first")
        super().__init__("\n".join(lines))


@dataclass(frozen=True, slots=True)
class Documents:
    """All documents of a folder in the order of their names.

    `digest` is the SHA-256, as hexadecimal digits, over the names and contents of all files. `problems` are those that
    left the trees usable, such as repeated keys; whoever reads the trees reports them with its own. `contents` are the
    texts by name: written into a folder, they are the same documents again.
    """

    name: str
    roots: tuple[Mapping, ...]
    digest: str
    problems: tuple[Problem, ...]
    contents: Texts[str, str] = field(default_factory=dict, repr=False)

    def section(self, key: str) -> Iterator[Node]:
        """Return the nodes under a top-level key, from every file that has it."""
        return (root.nodes[key] for root in self.roots if key in root.nodes)


def read_folder(path: Path) -> Documents:
    """Read all `*.yaml` files that stand directly in a folder, and not those of its subfolders `cases` and `import`.

    Raises DocumentsRefused when a file cannot be read as a document; what can be read is checked all the same.
    """
    problems: list[Problem] = []
    contents = dict(_contents(path, problems))
    unread = bool(problems)
    budget = Budget(MOST_NODES)
    roots = [root for name, text in contents.items() if (root := grow(name, text, budget, problems))]
    if unread or len(roots) < len(contents):
        raise DocumentsRefused(problems)
    return Documents(path.name, tuple(roots), _digest(contents), tuple(problems), contents)


def _digest(contents: dict[str, str]) -> str:
    digest = hashlib.sha256()
    for name, text in contents.items():
        for part in (name.encode(), text.encode()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _contents(folder: Path, problems: list[Problem]) -> Iterator[tuple[str, str]]:
    """Yield name and text of every document that can be read."""
    try:
        home = folder.resolve(strict=True)
        names = sorted(entry.name for entry in folder.iterdir() if _may_be_meant(entry))
        lost = sorted(path.relative_to(folder).as_posix() for path in folder.glob("[!.]*/*") if _is_lost(path))
    except (OSError, ValueError, RuntimeError) as error:
        problems.append(
            Problem(str(folder), 1, f"cannot be read as a folder ({_why(error)}); name a strategy's folder")
        )
        return
    problems.extend(Problem(shown(name), 1, "is in a subfolder, which is not read; move it up") for name in lost)
    if not names:
        problems.append(Problem(str(folder), 1, "holds no documents; name a folder with *.yaml files"))
    elif len(names) > MOST_FILES:
        problems.append(Problem(str(folder), 1, f"holds {len(names)} documents; join them into {MOST_FILES} or fewer"))
        return
    for name in names:
        try:
            yield name, _text(home, name)
        except _Unread as refusal:
            problems.append(Problem(shown(name), refusal.line, str(refusal)))


def _may_be_meant(path: Path) -> bool:
    """Say whether a name is a document's or nearly so: what is nearly so is refused rather than left out silently."""
    return _YAML.fullmatch(path.suffix) is not None and not path.name.startswith(".")


def _is_lost(path: Path) -> bool:
    return path.parent.name not in (CASES, IMPORTS) and _may_be_meant(path)


class _Unread(Exception):
    """A file that must not be or cannot be read."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


def _text(home: Path, name: str) -> str:
    if not name.endswith(".yaml") or not name.isprintable():
        raise _Unread("is not read under this name; give it a plain name that ends in .yaml")
    content = _bytes(home, name)
    if len(content) > LARGEST_FILE:
        raise _Unread(f"is larger than {LARGEST_FILE:,} bytes; split it into several files")
    try:
        return content.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise _Unread("is not UTF-8; save it as UTF-8", 1 + content.count(b"\n", 0, error.start)) from None


def _bytes(home: Path, name: str) -> bytes:
    try:
        path = (home / name).resolve(strict=True)
        if not path.is_relative_to(home):
            raise _Unread("is a link that leads outside of the folder; put the file itself here")
        # A pipe would make the read wait for ever.
        if not S_ISREG(path.stat().st_mode):
            raise _Unread("is not a file; only plain files may end in .yaml")
        with path.open("rb") as file:
            return file.read(LARGEST_FILE + 1)
    except (OSError, RuntimeError) as error:
        raise _Unread(f"cannot be read ({_why(error)}); mend the file or its permissions") from None


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or "it is not a usable path"
