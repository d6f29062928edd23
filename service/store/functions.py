"""The store's functions: their Lua source as one library, named after its content so versions live side by side."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

SOURCES = (
    "common",
    "entry",
    "chain",
    "audit",
    "uses",
    "packed_uses",
    "memory",
    "cells",
    "folds",
    "operations",
    "groups",
    "purposes",
    "changes",
    "heard",
    "switch",
    "journey",
    "read",
    "adaptive",
    "fitting",
    "commit",
    "fold",
    "moments",
    "predict",
    "consent",
    "issued",
    "outcome",
    "rights",
    "memory_linked",
    "identity",
    "supply",
    "household",
    "taken",
    "remember",
    "unsay",
    "demand",
    "log",
)
"""The files of `service/store/lua` in the order in which they build on one another."""

_REGISTERED = re.compile(r"'tact_([a-z_]+)' \.\. VERSION")
_READS = re.compile(r"function_name = 'tact_([a-z_]+)' \.\. VERSION,[^}]*flags = \{'no-writes'\}")


@dataclass(frozen=True, slots=True)
class Functions:
    """One version of the functions: the library's source for FUNCTION LOAD, its version and what it registers.

    `writing` are those that may write.
    """

    source: str
    version: str
    registered: frozenset[str]
    writing: frozenset[str]

    @classmethod
    def of(cls, lua: str) -> Functions:
        """Name the functions of a Lua source after its hash."""
        version = sha256(lua.encode()).hexdigest()[:12]
        source = f"#!lua name=tact_{version}\nlocal VERSION = '_{version}'\n{lua}"
        registered = frozenset(_REGISTERED.findall(lua))
        return cls(source, version, registered, registered.difference(_READS.findall(lua)))

    def name(self, function: str) -> str:
        """Return the name for FCALL of a function such as `read`; raise KeyError when the library has none."""
        if function not in self.registered:
            raise KeyError(function)
        return f"tact_{function}_{self.version}"


def read_functions() -> Functions:
    """Read the functions that belong to this version of the service."""
    folder = files("service.store") / "lua"
    return Functions.of("\n".join((folder / f"{name}.lua").read_text(encoding="utf-8") for name in SOURCES))
