"""Compile what is written in C when Tact is installed; without a compiler it is left out, and its twins serve.

`python models/kernel_build.py` compiles all of it in place; paths of sources as arguments, these alone.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SOURCES = (
    "models/_kernel.c",
    "service/rpc/_requests.c",
    "service/core/_saying.c",
    "service/rpc/_answers.c",
    "service/store/_commands.c",
)
"""Each is a module of its own, which is imported by the name of its source."""
FLAGS = ("-O3", "-std=c11", "-fPIC", "-shared", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden", "-Wall",
         "-Wno-psabi", "-fno-builtin-pow")  # fmt: skip
"""No contraction: a product and a sum must stay two roundings, as they are in numpy. No exp2 for a power of 2, which
clang would take: its last bit differs from that of pow, which Python takes.
"""
WITHIN_S = 120.0


def compiled_name(source: str) -> str:
    """Return the path of what this Python imports for a source, beside it."""
    return f"{source.removesuffix('.c')}{sysconfig.get_config_var('EXT_SUFFIX')}"


def compile_all(root: Path = ROOT, sources: Sequence[str] = SOURCES) -> str:
    """Compile sources below a folder in place; return what went wrong, empty for nothing.

    What cannot be compiled is left out, so that nothing older serves in its place; the others do without it.
    """
    return "\n".join(filter(None, [_compile(root / one, root / compiled_name(one)) for one in sources]))


def _compile(source: Path, to: Path) -> str:
    to.unlink(missing_ok=True)
    include = sysconfig.get_path("include")
    if not Path(include, "Python.h").exists():
        return f"the header files of Python are not in {include}"
    linked = ("-undefined", "dynamic_lookup") if sys.platform == "darwin" else ()
    # By its name and from its folder: else what is compiled holds where that was, and two builds of the same differ.
    named, where = (source.name, "-o", str(to.absolute())), source.absolute().parent
    said = ""
    for program in (shlex.split(sysconfig.get_config_var("CC") or "cc"), ["cc"], ["gcc"], ["clang"]):
        command = [*program, *FLAGS, f"-I{include}", *named, *linked, "-lm"]
        try:
            ran = subprocess.run(command, cwd=where, capture_output=True, text=True, timeout=WITHIN_S, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if ran.returncode == 0:
            return ""
        said = said or f"{program[0]} said: {ran.stderr.strip()[-2000:]}"
    return said or "there is no C compiler (Debian: gcc)"


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # imported, or run in place, where nothing is being installed
    pass
else:

    class CustomBuildHook(BuildHookInterface):  # type: ignore[misc, type-arg, unused-ignore]
        """What hatchling calls before it puts a wheel together, editable ones included."""

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            """Compile, and let the wheel carry what was compiled."""
            if self.target_name != "wheel":  # others compile it where they install it
                return
            wrong = compile_all(Path(self.root))
            if wrong:
                self.app.display_warning(f"Not everything is compiled, decisions will be slower: {wrong}")
            made = [name for name in map(compiled_name, SOURCES) if Path(self.root, name).exists()]
            if made:
                build_data["pure_python"], build_data["infer_tag"] = False, True
                build_data["artifacts"] += made


if __name__ == "__main__":
    sys.exit(compile_all(sources=sys.argv[1:] or SOURCES) or 0)
