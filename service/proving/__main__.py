"""`python -m service.proving FOLDER`: prove what a strategy promises, for a service that must not load the solver.

It prints one line of JSON: which promises are broken and of which it cannot be told, one line each.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from models.documents import DocumentsRefused
from service.core.loader import load_strategy
from service.core.strategy import Strategy
from service.proving.kept import Kept, folder_of
from service.proving.proofs import Proof
from service.proving.prove import Wanted, prove
from service.proving.words import in_one_line

WANTED = Wanted(timeout_s=5.0, findings=False)


def main(folder: Path) -> int:
    """Print what is broken and what cannot be told; return 1 where the folder holds no strategy."""
    try:
        strategy = load_strategy(folder)
    except DocumentsRefused as refused:
        print(json.dumps({"error": str(refused)}))  # noqa: T201 - this is what it is for
        return 1
    where = folder_of(os.environ)
    with _alone(where):
        report = prove(strategy, WANTED, Kept(where))
    told = {"broken": _lines(report.broken, strategy), "unknown": _lines(report.unknown, strategy)}
    print(json.dumps({"version": strategy.version, **told}))  # noqa: T201 - as above
    return 0


def _lines(proofs: tuple[Proof, ...], strategy: Strategy) -> list[str]:
    return [in_one_line(proof, strategy) for proof in proofs]


@contextmanager
def _alone(folder: Path | None) -> Iterator[None]:
    """Wait for whoever else proves: of several workers that begin at once, one proves, and the others then know."""
    with suppress(OSError):
        if folder is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with (folder / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
                return
    yield


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
