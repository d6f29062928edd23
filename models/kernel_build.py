"""Compile the kernel when Tact is installed; without a compiler it is left out, and models/kernel_plainly.py serves.

`python -m models.kernel_build` compiles it in place.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_name("_kernel.c")
FLAGS = ("-O3", "-std=c11", "-fPIC", "-shared", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden", "-Wall")
"""No contraction: a product and a sum must stay two roundings, as they are in numpy."""
WITHIN_S = 120.0


def compiled_name() -> str:
    """Return the file name that this Python imports as `models._kernel`."""
    return f"_kernel{sysconfig.get_config_var('EXT_SUFFIX')}"


def compile_kernel(to: Path) -> str:
    """Compile into a folder; return what went wrong, empty for nothing."""
    include = sysconfig.get_path("include")
    if not Path(include, "Python.h").exists():
        return f"the header files of Python are not in {include}"
    linked = ("-undefined", "dynamic_lookup") if sys.platform == "darwin" else ()
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")[0]
    for program in (compiler, "cc", "gcc", "clang"):
        command = [program, *FLAGS, f"-I{include}", str(SOURCE), "-o", str(to / compiled_name()), *linked, "-lm"]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)
        except (OSError, subprocess.TimeoutExpired):
            continue
        return "" if ran.returncode == 0 else f"{program} said: {ran.stderr.strip()[-2000:]}"
    return "there is no C compiler (Debian: gcc)"


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # imported, or run in place, where nothing is being installed
    pass
else:

    class CustomBuildHook(BuildHookInterface):  # type: ignore[misc, type-arg, unused-ignore]
        """What hatchling calls before it puts a wheel together, editable ones included."""

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            """Compile, and let the wheel carry what was compiled."""
            folder = Path(self.root, "models")
            wrong = compile_kernel(folder)
            if wrong:
                self.app.display_warning(f"The kernel is not compiled, decisions will be slower: {wrong}")
                return
            build_data["pure_python"], build_data["infer_tag"] = False, True
            build_data["artifacts"].append(f"models/{compiled_name()}")


if __name__ == "__main__":
    sys.exit(compile_kernel(Path(__file__).parent) or 0)
