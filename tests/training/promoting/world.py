"""A registry with two models of one small world, one of which has learned nothing true, and a log that goes on."""

from __future__ import annotations

import csv
import json
import random
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

from models.artifacts import load_folded
from models.features import FeatureSpace
from service.core.loader import load_strategy
from service.evaluating.policies import Writer
from service.evaluating.rows import TableLog, files_of
from tests.service.served import write_served
from tests.training.world import DAYS, HOUR_MS, START, World, world, write_lines
from training.__main__ import main
from training.promoting.promotion import Looked, Order

HALF_MS = START + DAYS * 12 * HOUR_MS
"""The models learn from what was decided before."""


@dataclass(frozen=True, slots=True)
class Registry:
    """Where everything lies: a strategy, a log of all decisions, a good model and a bad one."""

    folder: Path
    strategy: Path
    log: Path
    good: Path
    bad: Path

    def order(self, challenger: Path, champion: Path | None, **more: Any) -> Order:  # noqa: ANN401 - any of its fields
        """Return the order to promote, with what the service would hand over."""
        tables = [self.folder / f"{name}.parquet" for name in ("both", "alone")]
        strategy = load_strategy(self.strategy)
        space = FeatureSpace.of(strategy.schema, strategy.features)
        own = load_folded(challenger, space)
        other = load_folded(champion, space) if champion else None
        for writer, table in zip(
            (Writer(strategy, own, (strategy, other)), Writer(strategy, other, None)), tables, strict=True
        ):
            writer.write(TableLog(files_of(self.log)), table, lambda _, __: None)
        both, alone = tables
        made = Order(self.strategy, challenger, champion, both, alone, log=self.log, looked=Looked(3, (), 100, ()))
        return replace(made, **more)


def made(folder: Path) -> Registry:
    """Make the world and train both models."""
    drawn = world(1, customers=200)
    files = {name: folder / f"{name}.jsonl" for name in ("events", "good", "bad")}
    early = [row for row in drawn.decisions if row["at"] < HALF_MS]
    dice = random.Random(3)
    write_lines(files["events"], drawn.events)
    write_lines(files["good"], early)
    write_lines(
        files["bad"], ({**row, "outcomes": dict.fromkeys(row["outcomes"], dice.randint(0, 1))} for row in early)
    )
    strategy = write_served(folder / "strategy")
    places = [fitted(strategy, files["events"], files[name], folder / "models") for name in ("good", "bad")]
    return Registry(folder, strategy, written_log(drawn, folder / "log.csv"), *places)


def fitted(strategy: Path, events: Path, decisions: Path, out: Path) -> Path:
    """Train a model as the command does, in this process, and return its folder."""
    words = [
        "fit",
        "--strategy",
        strategy,
        "--events",
        events,
        "--decisions",
        decisions,
        "--out",
        out,
        "--name",
        "small",
    ]
    with redirect_stdout(StringIO()) as said:
        assert main([*map(str, words), "--json"]) == 0
    return Path(json.loads(said.getvalue())["artifact"])


def written_log(drawn: World, path: Path) -> Path:
    """Write all decisions as a table, with what was known as the world's own account has it."""
    rows = sorted(zip(drawn.decisions, drawn.truths, strict=True), key=lambda pair: int(pair[0]["at"]))
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        known = ("feature.past.visits", "feature.past.tier", "feature.present.mood")
        out.writerow(
            ("decision_id", "customer_id", "at", "channel", "placement", "action", "probability", *known, "outcomes")
        )
        for row, truth in rows:
            tier = {None: "", True: "gold", False: "basic"}[truth.gold]
            happened = [action for action, happened in row["outcomes"].items() if happened]
            came = [
                {"action": action, "kind": "accepted", "at": moment(row["at"] + 1000), "amount": 0}
                for action in happened
            ]
            head = (row["decision_id"], row["customer_id"], moment(row["at"]), "web", "hero", row["action"], 0.33)
            out.writerow((*head, truth.visits, tier, truth.mood, json.dumps(came)))
    return path


def moment(at_ms: int) -> str:
    """Return a moment as a table has it."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
