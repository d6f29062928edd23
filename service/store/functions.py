"""The store's functions: their Lua source as one library, named after its content so versions live side by side."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

SOURCES = ("folds.lua", "functions.lua")


@dataclass(frozen=True, slots=True)
class Functions:
    """One version of the functions: the library's source for FUNCTION LOAD and the names for FCALL."""

    source: str
    read: str
    commit: str
    fold: str
    consent: str
    outcome: str

    @classmethod
    def of(cls, lua: str) -> Functions:
        """Name the functions of a Lua source after its hash."""
        version = sha256(lua.encode()).hexdigest()[:12]
        names = {name: f"tact_{name}_{version}" for name in ("read", "commit", "fold", "consent", "outcome")}
        return cls(f"#!lua name=tact_{version}\nlocal VERSION = '_{version}'\n{lua}", **names)


def read_functions() -> Functions:
    """Read the functions that belong to this version of the service."""
    folder = files("service.store")
    return Functions.of("\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in SOURCES))
