"""`tact` that keeps no decision log, for measuring what the log costs and for nothing else: the benchmark starts it.

The entry is neither packed nor sealed nor sent nor written nor chained; everything else of the commit is as it is, and
so is the key that says where a decision stands. The functions in the store are named after their content, so those
without the log live beside the others on one store.
"""

from __future__ import annotations

import re
from importlib.resources import files

from service.core import plan
from service.store import calls, functions, reading

WRITES = re.compile(
    r"^local function log_decision\([^)]*\)\n.*?"
    r"(?P<place>^  redis\.call\('SET', keys\[3\], decision_place\([^\n]*\n)end\n",
    re.MULTILINE | re.DOTALL,
)
NOWHERE = "  local at = '1-1'\n"
UNSEALED = bytes(32)
"""Stands where the seal of an entry would, which has as many bytes."""


class NoSuchLine(Exception):
    """The functions in the store write the log otherwise than this program knows."""


def without_log(commit: str) -> str:
    """Return the source of the commit that writes no log; raise `NoSuchLine` where nothing in it writes one."""
    changed, written = WRITES.subn(_written_nowhere, commit)
    if written != 1:
        raise NoSuchLine(f"{written} functions add a decision to the log; one was expected")
    return changed


def _written_nowhere(found: re.Match[str]) -> str:
    head, _, _ = found[0].partition("\n")
    return f"{head}\n{NOWHERE}{found['place']}end\n"


def take_the_log_out() -> None:
    """Have this process pack and seal no entry, and use functions that write none."""
    source = functions.read_functions().source
    commit = (files("service.store") / "lua" / "commit.lua").read_text(encoding="utf-8")
    lua = source.partition("local VERSION = ")[2].partition("\n")[2]
    changed = functions.Functions.of(lua.replace(commit, without_log(commit)))
    functions.read_functions = lambda: changed
    calls.read_functions = functions.read_functions  # type: ignore[attr-defined]  # it took the name when imported
    plan.pack = lambda entry: b""
    reading.seal = lambda entry: UNSEALED  # type: ignore[attr-defined]


def main() -> None:
    """Take the log out of this process, and become `tact`."""
    take_the_log_out()
    from service.cli import main as tact

    tact()


if __name__ == "__main__":
    main()
