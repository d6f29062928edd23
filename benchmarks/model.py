"""The model to measure with: trained as any other, kept for the next run as long as nothing it comes from changes."""

from __future__ import annotations

import json
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
ROWS = 130  # for each action; training refuses fewer than 100
CUSTOMERS = 500
ENDS_MS = 1_793_491_200_000  # the history to learn from ends on 1 November 2026, whenever it is run


class NotTrained(Exception):
    """The model could not be made: the message is what the training said."""


def trained(strategy: Path, actions: int, say: Callable[[str], None]) -> Path:
    """Return the artefact for a strategy of `actions` actions; make it unless it was made before."""
    kept = KEPT / _origin(strategy)
    if not (found := list(kept.rglob("manifest.json"))):
        started = time.monotonic()
        _fit(strategy, actions, kept)
        found = list(kept.rglob("manifest.json"))
        say(f"{actions} models and their baselines trained in {time.monotonic() - started:.1f} s, kept in {kept}")
    return found[0].parent


def _origin(strategy: Path) -> str:
    """Return a digest of everything that the model comes from: the strategy and the programs that make it."""
    digest = sha256()
    sources = (*strategy.iterdir(), *(ROOT / "models").glob("*.py"), *(ROOT / "training").glob("*.py"))
    for file in (*sorted(sources), Path(__file__).with_name("population.py"), Path(__file__)):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _fit(strategy: Path, actions: int, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    ids = [id_ for ids in world.action_ids(actions).values() for id_ in ids]
    population = Population.of(CUSTOMERS, ENDS_MS)
    events = _json_lines(out / "events.jsonl", (event.plain() for event in population.events()))
    decisions = _json_lines(out / "decisions.jsonl", population.decisions(ROWS, ids))
    files = ["--strategy", strategy, "--events", events, "--decisions", decisions, "--out", out, "--name", "measured"]
    _run([sys.executable, "-m", "training", "fit", *map(str, files), "--json"])


def _json_lines(path: Path, things: Iterable[object]) -> Path:
    path.write_text("".join(json.dumps(thing) + "\n" for thing in things), encoding="utf-8")
    return path


def _run(command: Sequence[str]) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if ran.returncode:
        raise NotTrained(f"{' '.join(command[1:4])} ended with {ran.returncode}:\n{ran.stdout}\n{ran.stderr}")
