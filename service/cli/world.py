"""The demo's steps: a service on a store of its own, a world to live in, a model to learn, and telling customers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.artifacts import ArtifactRefused
from models.predictors import Predictor
from service.app import Running, StartRefused, start
from service.children import run_module
from service.cli.lines import Tally
from service.cli.loading import record_events, set_consents
from service.cli.output import Failed, note, progress
from service.cli.refresh import load_predictors, verify_predictors
from service.cli.refreshing import Refreshed, Refresher
from service.cli.telling import TELLING, Told
from service.config import Settings
from service.rpc.client import Ask, TactClient


@dataclass(slots=True)
class Stages:
    """Says what is going on and how long each step took."""

    loud: bool
    began: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, doing: str) -> Iterator[Callable[[str], None]]:
        """Time one step; call the result with what came of it."""
        began, said = time.monotonic(), [doing]
        yield said.append
        self.seconds[name] = round(time.monotonic() - began, 3)
        if self.loud:
            note(f"{self.seconds[name]:6.1f} s  {said[-1]}")

    @property
    def so_far(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began


@dataclass(frozen=True, slots=True)
class Counts:
    """What went into the demo's store."""

    customers: int
    consents: dict[str, int]
    events: dict[str, int]
    events_a_second: float


class Demo:
    """One demo in one folder. `stop` ends what it started; whatever is left ends with this process."""

    def __init__(self, settings: Settings, folder: Path, customers: int, stages: Stages) -> None:
        self._settings = settings
        self._folder = folder
        self._customers = customers
        self._stages = stages
        self.running: Running | None = None
        self.model: dict[str, Any] = {}
        self._folders: list[Path] = []
        self._predictors: tuple[Predictor, ...] = ()

    @property
    def world(self) -> Path:
        """The folder of the world."""
        return self._folder / "world"

    async def open(self) -> Running:
        """Start the store and the service, without a model."""
        with self._stages.stage("start", "starting") as done:
            try:
                self.running = await start(self._settings)
            except StartRefused as refused:
                raise Failed(str(refused)) from None
            done(f"a store and the service are up on {self.running.address}, with the strategy's priors")
        return self.running

    async def fill(self, client: TactClient) -> Counts:
        """Make the world and load it through the service."""
        world = self.world
        with self._stages.stage("world", "making a world") as done:
            if not (world / "events.jsonl").exists():
                await self._make(world)
            done(f"a world of {self._customers:,} customers with hidden tastes is made")
        consents, events = Tally.of_consents(), Tally()
        with self._stages.stage("load", "loading") as done:
            await self._load(client, world, consents, events)
            done(f"{sum(events.counts.values()):,} events and {consents.counts['stored']:,} consents are in")
        rate = sum(events.counts.values()) / max(self._stages.seconds["load"], 1e-9)
        return Counts(self._customers, consents.counts, events.counts, round(rate))

    async def learn(self) -> None:
        """Train a model on the world's log, verify it and let it decide."""
        world, running = self.world, self._up()
        files = {
            "--strategy": self._settings.strategy, "--events": world / "events.jsonl",
            "--decisions": world / "decisions.jsonl", "--out": self._folder / "models",
        }  # fmt: skip
        lines = "--forests", "0"  # nobody waits for trees in a demo
        with self._stages.stage("train", "training") as done:
            fitting = self._child("training", "fit", *_words(files), *lines, "--json")
            self.model, made = await asyncio.gather(fitting, self._trained(world))
            self._folders = [Path(one["artifact"]) for one in made["predictors"]]
            done(f"a model is trained: {len(self.model['actions'])} actions from {_rows(self.model):,} decisions")
        with self._stages.stage("verify", "verifying") as done:
            _, self._predictors = load_predictors(self._settings.strategy, self._folders)
            try:
                await asyncio.gather(
                    running.use_model(Path(self.model["artifact"])), verify_predictors(self._folders, self._predictors)
                )
            except ArtifactRefused as refused:
                raise Failed(str(refused)) from None
            done(f"the model {running.model} is verified and decides")

    async def predict(self, client: TactClient) -> Refreshed:
        """Ask the predictors about everyone of whom something changed, which is everyone who agreed to it."""
        with self._stages.stage("predict", "predicting") as done:
            job = Refresher(client, self._up().strategy.schema, self._predictors)
            async for _ in job.changed(once=True):
                pass
            stored, scored = job.refreshed.predictions["stored"], job.refreshed.customers["scored"]
            done(f"{stored:,} predictions are in, of the {scored:,} customers who agreed to them")
        return job.refreshed

    async def decide(self, client: TactClient) -> tuple[Told, ...]:
        """Decide for each telling customer, and tell what became of it."""
        told = []
        with self._stages.stage("decide", "decided") as done:
            for each in TELLING:
                ask = Ask(each.customer, each.channel, each.placements, each.context, explain=True)
                began = time.monotonic()
                answer = await client.decide(ask)
                told.append(Told(each, answer, (time.monotonic() - began) * 1000))
                if outcome := told[-1].outcome:
                    await client.record_outcomes([outcome])
            done(f"decided {len(told)} times; the first answer was there after {self._stages.so_far:.1f} s")
        return tuple(told)

    async def stop(self) -> None:
        """End the service and its store."""
        if self.running is not None:
            running, self.running = self.running, None
            await running.stop(grace_s=1.0)

    def _up(self) -> Running:
        if self.running is None:
            raise RuntimeError("the demo is not open")
        return self.running

    async def _trained(self, world: Path) -> dict[str, Any]:
        """Train what the strategy predicts, from those who agreed to it."""
        files = {
            "--strategy": self._settings.strategy, "--events": world / "events.jsonl",
            "--consents": world / "consents.jsonl", "--out": self._folder / "models",
        }  # fmt: skip
        return await self._child("training", "predict", *_words(files), "--json")

    async def _make(self, world: Path) -> None:
        moment = datetime.now(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
        draft = world.with_name("world.draft")
        where = ("--out", str(draft), "--strategy", str(self._settings.strategy.absolute()))
        await self._child(
            "training.worlds.demo", *where, "--customers", str(self._customers), "--moment", moment, "--json"
        )
        await asyncio.to_thread(draft.rename, world)

    async def _load(self, client: TactClient, world: Path, consents: Tally, events: Tally) -> None:
        schema = self._up().strategy.schema
        path = world / "consents.jsonl"
        with progress("consents", path.stat().st_size, "consents") as bar:
            await set_consents(client, path, consents, bar.on)
        path = world / "events.jsonl"
        with progress("events", path.stat().st_size, "events") as bar:
            await record_events(client, path, events, schema, bar.on)
        if refused := consents.refused + events.refused:
            raise Failed(f"the service refused a part of the demo's world: {refused[0]}")

    async def _child(self, module: str, *arguments: str) -> dict[str, Any]:
        ended = await run_module(module, arguments, shown=self._stages.loud)
        if ended.code != 0:
            raise Failed(f"`python -m {module} {arguments[0]}` failed: {ended.last_words}")
        answer: dict[str, Any] = json.loads(ended.output)
        return answer


def _words(files: dict[str, Path]) -> list[str]:
    return [str(word) for pair in files.items() for word in pair]


def _rows(model: dict[str, Any]) -> int:
    return int(model["rows"]["decisions"])
