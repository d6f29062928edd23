"""Do without libraries that scikit-learn and skops take along wherever they are installed, and that nothing here uses.

They are a third of the time that a process of the training takes to start, and a process that reads files of others
needs no more code than it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

NOT_USED = ("dask", "pandas", "pytest")


class _Without:
    """Finds none of these libraries, as if they were not installed."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See importlib.abc.MetaPathFinder."""
        if name.partition(".")[0] in self._names:
            raise ModuleNotFoundError(f"No module named {name!r} is wanted here", name=name)
        return None


def do_without(names: Sequence[str] = NOT_USED) -> None:
    """Let no import in this process find these libraries from now on."""
    sys.meta_path.insert(0, _Without(names))
