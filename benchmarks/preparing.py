"""What a run needs before anything is measured: programs built and models made, several at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

from benchmarks import cold_start, loadgen, matrix, streaming, world
from benchmarks.model import trained

SIZES = {"matrix": matrix.ACTIONS, "cold_start": cold_start.ACTIONS}
"""Numbers of actions that sections serve beside the usual one; whatever else they need they make themselves."""


def prepare(folder: Path, actions: int, names: Sequence[str], say: Callable[[str], None]) -> None:
    """Build and train for the sections of these names; what fails is left to the section that then fails by it."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        wait([pool.submit(work) for work in _work(folder, actions, names, say)])


def _work(
    folder: Path, actions: int, names: Sequence[str], say: Callable[[str], None]
) -> Iterator[Callable[[], object]]:
    """Give what there is to do, the longest first."""
    sizes = {actions}.union(*(SIZES.get(name, ()) for name in names))
    yield from (partial(_trained, folder / f"strategy-{size}", size, say) for size in sorted(sizes, reverse=True))
    if not loadgen.missing():
        yield loadgen.build
        if {"stream", "soak"} & {*names}:
            yield streaming.built


def _trained(folder: Path, actions: int, say: Callable[[str], None]) -> Path:
    return trained(world.write_strategy(folder, actions), say)
