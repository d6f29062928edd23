"""Programs of ours that run beside the service, in processes of their own, and never outlive it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LONGEST_S = 3600.0
MOST_WORDS = 600


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended and what it said; `errors` is empty where they went to the terminal."""

    code: int
    output: str
    errors: str

    @property
    def last_words(self) -> str:
        """Why it failed: what its JSON says, or else the last line of its errors."""
        with suppress(ValueError, TypeError, KeyError):
            return str(json.loads(self.output)["error"])[:MOST_WORDS]
        lines = [line for line in self.errors.splitlines() if line.strip()]
        return lines[-1][:MOST_WORDS] if lines else f"it ended with {self.code}"


async def run_module(
    module: str, arguments: Sequence[str], *, shown: bool = False, timeout_s: float = LONGEST_S
) -> Ended:
    """Run `python -m module` to its end; it is killed when this is cancelled or takes longer than `timeout_s`.

    With `shown` its stderr, so its progress bars, goes where ours goes.
    """
    # A session of its own: Ctrl-C in the terminal is for this process, which then ends the other.
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "service.leash", str(os.getpid()), module, *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=None if shown else asyncio.subprocess.PIPE,
        env=surroundings(),
        start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(timeout_s):
            output, errors = await child.communicate()
    except TimeoutError:
        return Ended(-1, "", f"it took longer than {timeout_s:.0f} s and was ended")
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    return Ended(child.returncode or 0, output.decode(errors="replace"), (errors or b"").decode(errors="replace"))


def surroundings() -> dict[str, str]:
    """Return the environment in which a child finds the same packages, and no others from the current folder."""
    paths = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
