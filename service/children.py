"""Programs of ours that run beside the service, in processes of their own, and never outlive it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, Sequence
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
    def answered(self) -> bool:
        """Whether it said anything: one that died or took too long did not."""
        return bool(self.output)

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


async def lines_of(module: str, arguments: Sequence[str], *, timeout_s: float) -> AsyncGenerator[str, None]:
    """Run `python -m module` and yield each line that it prints as soon as it is there.

    It is killed when nobody wants more, and after `timeout_s`, which is no error: what it printed by then was yielded.
    What it says on stderr goes nowhere.
    """
    child = await _begun((module, *arguments), stdin=asyncio.subprocess.DEVNULL)
    ends = asyncio.get_running_loop().time() + timeout_s
    try:
        while child.stdout is not None:
            async with asyncio.timeout_at(ends):
                line = await child.stdout.readline()
            if not line.endswith(b"\n"):  # half a line is none
                return
            yield line.decode(errors="replace")
    except TimeoutError:
        return
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()


class Waiting:
    """A program of ours that answers each line of JSON with one, and waits for the next; it begins with the first.

    It may need seconds to begin and then none: what it imports stays there.
    """

    def __init__(self, module: str, arguments: Sequence[str]) -> None:
        self._command = (module, *arguments)
        self._child: asyncio.subprocess.Process | None = None
        self._one = asyncio.Lock()

    async def ask(self, question: str, timeout_s: float) -> Ended:
        """Return what it answers; one that ended or does not answer in time is begun anew with the next question."""
        async with self._one:
            try:
                async with asyncio.timeout(timeout_s):
                    return await self._answer(f"{json.dumps(question)}\n".encode())
            except TimeoutError:
                await self._end()
                return Ended(-1, "", f"it took longer than {timeout_s:.0f} s and was ended")
            except (OSError, ValueError) as error:
                await self._end()
                return Ended(-1, "", f"it could not be asked or understood: {type(error).__name__}")
            except BaseException:  # cancelled half way: its answer would be taken for that of the next question
                await self._end()
                raise

    async def close(self) -> None:
        """End it."""
        async with self._one:
            await self._end()

    async def _answer(self, line: bytes) -> Ended:
        child = self._child
        if child is None or child.returncode is not None:
            self._child = child = await _begun(self._command)
        if child.stdin is None or child.stdout is None:
            raise RuntimeError("a child has no pipes")
        with suppress(ConnectionError):
            child.stdin.write(line)
            await child.stdin.drain()
        answer = (await child.stdout.readline()).decode(errors="replace")
        if answer.endswith("\n"):  # half an answer is none
            return Ended(1 if "error" in json.loads(answer) else 0, answer, "")
        return Ended(await child.wait() or 1, "", "")

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()


async def _begun(command: Sequence[str], stdin: int = asyncio.subprocess.PIPE) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "service.leash", str(os.getpid()), *command,
        stdin=stdin,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=surroundings(),
        start_new_session=True,
    )  # fmt: skip


def surroundings() -> dict[str, str]:
    """Return the environment in which a child finds the same packages, and no others from the current folder."""
    paths = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
