"""Programs that run beside the service: their results come back, and none of them outlives it."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from service.children import Waiting, run_module
from tests.cli.commands import ENDS_WITHIN_S, ROOT, gone, until


def for_ever(begun: Path) -> tuple[str, tuple[str, ...]]:
    """Return a program, and its arguments, that makes a file and then does nothing for as long as any test takes."""
    return "timeit", ("-n", "1", "-r", "1", f"open({str(begun)!r}, 'x').close(); __import__('time').sleep(600)")


def children() -> tuple[int, ...]:
    """Return the ids of the processes that this one has started."""
    return tuple(child.pid for child in psutil.Process().children(recursive=True))


async def test_what_a_program_says_comes_back() -> None:
    """Its output and how it ended are returned; it runs as itself, with its own arguments."""
    ended = await run_module("json.tool", ("--help",))
    assert ended.code == 0
    assert "json.tool" in ended.output


async def test_a_failure_has_last_words() -> None:
    """What a program wrote last, or says as JSON, tells why it failed."""
    failed = await run_module("json.tool", ("nowhere.json",))
    assert failed.code != 0
    assert "nowhere.json" in failed.last_words
    refused = await run_module("training", ("verify", "nowhere", "--json"))
    assert refused.code == 1
    assert refused.last_words.startswith("nowhere: ")


async def test_what_takes_too_long_is_ended(tmp_path: Path) -> None:
    """A program that does not end in its time is killed, and that is said."""
    before = children()
    ended = await run_module(*for_ever(tmp_path / "begun"), timeout_s=1.0)
    assert ended.code != 0
    assert "longer than 1 s" in ended.last_words
    assert children() == before


async def test_what_nobody_waits_for_any_more_is_ended(tmp_path: Path) -> None:
    """When the work around it is cancelled, the program is gone before that returns."""
    before, begun = set(children()), tmp_path / "begun"
    waiting = asyncio.create_task(run_module(*for_ever(begun)))
    await asyncio.to_thread(until, begun.exists)
    started = tuple(set(children()) - before)
    assert not gone(started)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert gone(started)


async def test_what_says_nothing_that_can_be_read_has_not_answered() -> None:
    """One that answers with anything but JSON is ended, and whoever asked is told so instead of failing."""
    before, waiting = children(), Waiting("this", ())
    ended = await waiting.ask("what?", 20.0)
    assert (ended.code, ended.answered) == (-1, False)
    assert ended.last_words == "it could not be asked or understood: JSONDecodeError"
    assert children() == before


def test_what_belongs_to_a_killed_process_ends_with_it(tmp_path: Path) -> None:
    """After kill -9 of its owner a program that would run for ever ends by itself."""
    begun = tmp_path / "begun"
    program = f"import asyncio; from service.children import run_module; asyncio.run(run_module(*{for_ever(begun)!r}))"
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT) as owner:
        try:
            until(begun.exists)
            started = tuple(child.pid for child in psutil.Process(owner.pid).children(recursive=True))
            assert not gone(started)
        finally:
            os.kill(owner.pid, signal.SIGKILL)
    until(lambda: gone(started), ENDS_WITHIN_S)
