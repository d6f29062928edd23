"""`python -m service.proving FOLDER`: prove what a strategy promises, for a service that must not load the solver.

It prints lines of JSON: first the version that it proves, then each promise as soon as it is told, and in the end that
it is through. A promise is one line: its id, its verdict, and the line to tell of it where it is not proven.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

from models.documents import DocumentsRefused
from service.core.loader import load_strategy
from service.proving.kept import LOCK, Kept, folder_of
from service.proving.proofs import Proof, Ruling
from service.proving.prove import Wanted, prove
from service.proving.words import in_one_line

WANTED = Wanted(timeout_s=5.0, findings=False, promise_s=15.0)
WAITS_S = 20.0
"""So long it waits for another one that proves; whoever holds the lock for longer keeps nobody from proving."""


def main(folder: Path) -> int:
    """Print what comes of each promise; return 1 where the folder holds no strategy."""
    try:
        strategy = load_strategy(folder)
    except DocumentsRefused as refused:
        _say(error=str(refused))
        return 1
    _say(version=strategy.version)

    def told(proof: Proof) -> None:
        line = "" if proof.ruling is Ruling.PROVEN else in_one_line(proof, strategy)
        _say(promise=proof.id, ruling=proof.ruling.value, line=line)

    where = folder_of(os.environ)
    try:
        with _alone(where):
            prove(strategy, WANTED, Kept(where), told)
    except Exception as failed:
        _say(failed=f"{type(failed).__name__}: {failed}")
        raise
    _say(through=True)
    return 0


def _say(**what: object) -> None:
    print(json.dumps(what), flush=True)  # noqa: T201 - this is what it is for


@contextmanager
def _alone(folder: Path | None) -> Iterator[None]:
    """Wait for whoever else proves: of several workers that begin at once, one proves, and the others then know."""
    with ExitStack() as held:
        with suppress(OSError):  # where nothing can be kept, each proves for itself
            if folder is not None:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                _locked(held.enter_context((folder / LOCK).open("w")).fileno())
        yield


def _locked(lock: int) -> None:
    ends = monotonic() + WAITS_S
    while monotonic() < ends:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        sleep(0.05)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
