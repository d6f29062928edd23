"""Where `tact simulate` finds decisions, and where it keeps what it works with for as long as it runs."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from service.cli.evaluate import Where
from service.cli.output import Failed


@contextmanager
def cleared_up() -> Iterator[Path]:
    """Yield a folder for what is about people; it goes however the command ends, but for SIGKILL."""
    before = signal.signal(signal.SIGTERM, _ended)
    try:
        with tempfile.TemporaryDirectory(prefix="tact-simulate-") as folder:
            yield Path(folder)
    finally:
        signal.signal(signal.SIGTERM, before)


def source(where: Where, target: str, population: int, strategy: Path, folder: Path) -> Where:
    """Say where the decisions lie; those of a service or of a made-up population are written into the folder first."""
    named = (where.log is not None, where.decisions is not None, bool(target), bool(population))
    if sum(named) != 1:
        raise Failed("name the decisions with one of --log, --target, --population and --decisions", 2)
    made = folder / "log"
    if target:
        _export(target, made)
        return Where(made, None, None)
    if population:
        _populate(population, strategy, made)
        return Where(None, made / "decisions.jsonl", made / "events.jsonl")
    return where


def _export(target: str, folder: Path) -> None:
    from service.cli.calls import call
    from service.cli.log import export_to
    from service.logs.parts import opened

    with opened(folder, None, "a service") as parts:
        call(target, lambda client: export_to(client, parts))


def _populate(customers: int, strategy: Path, folder: Path) -> None:
    """Make a population with the pilot that was run on it, in a process of its own."""
    import asyncio

    from service.children import run_module

    words = ["--out", str(folder), "--customers", str(customers), "--strategy", str(strategy), "--json"]
    ended = asyncio.run(run_module("training.worlds.demo", words))
    if ended.code:
        raise Failed(f"--population: the demo population cannot be made ({ended.last_words})")


def _ended(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)  # clearing up is not interrupted
    sys.exit(128 + number)
