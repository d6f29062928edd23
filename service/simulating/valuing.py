"""What a simulation is worth, and its page with charts: the training computes both, in processes of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from service.children import run_module
from service.simulating.running import SimulationFailed

Document = dict[str, Any]


def _unknown(why: str) -> Document:
    return {"refusal": why.rstrip("."), "strategy": None, "before": None, "over_before": None, "arms": {}}


NOT_ASKED = _unknown("it was not asked for")


def valued(words: Sequence[str], compared: bool) -> Document:
    """Return what the strategy is worth by the log, and how much more than what was said before, or why not.

    `words` are those of the training's `evaluate`; `compared` tells whether the policies have another strategy.
    Raises `SimulationFailed` where the training ends without saying anything.
    """
    ended = asyncio.run(run_module("training", words, shown=True))
    try:
        found = json.loads(ended.output)
        if "error" in found:
            return _unknown(found["error"])
        return in_value(found, compared)
    except (ValueError, KeyError, TypeError):
        raise SimulationFailed(f"valuing ended with {ended.code}; --no-value leaves it out") from None


def drawn(told: Mapping[str, Any], page: Path, folder: Path) -> None:
    """Write the page of a simulation; raise `SimulationFailed` where that fails."""
    document = folder / "simulation.json"
    document.write_text(json.dumps(told), "utf-8")
    words = ["simulation-page", "--document", str(document), "--report", str(page), "--json"]
    ended = asyncio.run(run_module("training", words))
    if ended.code:
        raise SimulationFailed(f"the page cannot be drawn: {ended.last_words}")


def in_value(found: Mapping[str, Any], compared: bool) -> Document:
    """Return of the document of an evaluation what a simulation tells; over the other strategy where `compared`."""
    method, arms = found["method"], found["arms"]
    own, before = arms["strategy"], arms["against"] if compared else None
    over = own["over_log"]
    if compared:
        over = next((one for one in found["differences"] if one["than"] == "against"), None)
    values = {name: arm["values"].get(method) for name, arm in arms.items()}
    return {
        "refusal": own["refusal"].rstrip("."),
        "method": method,
        "rows": found["rows"],
        "strategy": values["strategy"],
        "before": found["logged"] if before is None else values["against"],
        "over_before": over,
        "arms": {name: {"refusal": arm["refusal"], "value": values[name]} for name, arm in arms.items()},
        "notes": found["notes"],
    }
