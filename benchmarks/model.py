"""The model to measure with, kept for the next run as long as nothing that it comes from changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from benchmarks import world
from benchmarks.population import Population

ROOT = Path(__file__).parent.parent
KEPT = ROOT / ".bench" / "models"
ROWS = 1500  # decisions that said something, and as many that did not
CUSTOMERS = 200
MOST_LEARNED = 1_000  # actions that get a model; see model_fit
ENDS_MS = 1_793_491_200_000  # the history to learn from ends on 1 November 2026, whenever it is run


class NotTrained(Exception):
    """The model could not be made: the message is what the training said."""


def trained(strategy: Path, say: Callable[[str], None], *, trees: bool = False) -> Path:
    """Return the artefact for a strategy, lines or trees; make it unless it was made before. Raise `NotTrained`."""
    kept = KEPT / f"{_origin(strategy)}{'-trees' if trees else ''}"
    if not (found := list(kept.rglob("manifest.json"))):
        started = time.monotonic()
        _fit(strategy, kept, trees=trees)
        found = list(kept.rglob("manifest.json"))
        say(f"a model trained in {time.monotonic() - started:.1f} s, kept in {kept}")
    return found[0].parent


def _origin(strategy: Path) -> str:
    """Return a digest of everything that the model comes from: the strategy and the programs that make it."""
    digest = sha256()
    packages = (ROOT / "models", ROOT / "training", ROOT / "training" / "learning", ROOT / "training" / "log")
    sources = (*strategy.iterdir(), *(file for package in packages for file in package.glob("*.py")))
    own = (Path(__file__).with_name(f"{name}.py") for name in ("population", "model", "model_fit"))
    for file in (*sorted(sources), *own):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _fit(strategy: Path, out: Path, *, trees: bool) -> None:
    out.mkdir(parents=True, exist_ok=True)
    population = Population.of(CUSTOMERS, ENDS_MS)
    events = _json_lines(out / "events.jsonl", (event.plain() for event in population.events()))
    decisions = _json_lines(out / "decisions.jsonl", population.decisions(ROWS, [world.SAFE_GREETING]))
    files = ["--strategy", strategy, "--events", events, "--decisions", decisions, "--out", out]
    _run([sys.executable, "-m", "benchmarks.model_fit", *map(str, files), *(["--trees"] if trees else [])])


def _json_lines(path: Path, things: Iterable[object]) -> Path:
    path.write_text("".join(json.dumps(thing) + "\n" for thing in things), encoding="utf-8")
    return path


def _run(command: Sequence[str]) -> None:
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=one_thread)
    if ran.returncode:
        raise NotTrained(f"{' '.join(command[1:4])} ended with {ran.returncode}:\n{ran.stdout}\n{ran.stderr}")
