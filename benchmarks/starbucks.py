"""The main job on real data, end to end: a month of the public Starbucks programme through the running service.

    python -m benchmarks.starbucks --data DIR [--json FILE]

Prepares the public files, loads the month before hour 408 through RecordEvents, trains on the waves of hours 0 and 168,
decides for all members as of hour 408 through DecideStream, loads the rest of the month, and compares the context of
500 random members with a plain recomputation from the files. Everything that was promised is checked; what does not
hold ends the run with an error. DIR holds transcript.json.gz, profile.json.gz and portfolio.json.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import math
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.loading import batches, few_at_once
from benchmarks.processes import Pinned
from benchmarks.public_data import STARBUCKS, missing
from benchmarks.stage import TACT, port_said
from service.core.loader import load_strategy
from service.rpc.client import Ask, Event, TactClient
from service.store.embedded import EmbeddedStore
from tests.worlds.recompute import Month

STRATEGY = Path(__file__).parent.parent / "strategies" / "starbucks"
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
HOUR_ZERO_MS = 1_533_081_600_000
WAVE, END = 408, 715
BATCH, COMPARED = 500, 500


class Broken(Exception):
    """Something that was promised does not hold."""


def promised(holds: bool, what: str) -> None:
    """End the run unless a promise holds."""
    if not holds:
        raise Broken(what)


class Run:
    """One run over the files in `data`; `folder` takes what it writes, `found` what it measures."""

    def __init__(self, data: Path, folder: Path) -> None:
        self._data = data
        self._folder = folder
        self._schema = load_strategy(STRATEGY).schema
        self.found: dict[str, Any] = {}

    async def run(self) -> None:
        """Do all of it, in order."""
        with self._timed("prepare"):
            self._python("training.worlds.starbucks", "--data", self._data, "--waves", "0,168", "--split", WAVE)
        with EmbeddedStore(self._folder / "store") as url:
            with self._serving(url) as target, self._timed("load before the wave"):
                before = await self._load(target, "events-before.jsonl.gz", consents=True)
            with self._timed("train"):
                self._train()
            model = self._folder / "model"
            with self._serving(url, "--model", str(next(model.glob("*/manifest.json"), model).parent)) as target:
                with self._timed("decide"):
                    await self._decide(target)
                with self._timed("load the rest"):
                    after = await self._load(target, "events-after.jsonl.gz", consents=False)
                with self._timed("compare"):
                    await self._compare(target, before + after)

    def _python(self, module: str, *arguments: object) -> None:
        command = [sys.executable, "-m", module, *map(str, arguments), "--out", str(self._folder)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def _train(self) -> None:
        self._python(
            "training", "fit", "--strategy", STRATEGY, "--events", self._folder / "events-before.jsonl.gz",
            "--decisions", self._folder / "decisions.jsonl.gz", "--name", "model", "--json",
            "--unfinished",  # the last windows end where these events do
            "--forests", "0",  # lines are enough to be served here; starbucks_learning tries trees
        )  # fmt: skip

    @contextmanager
    def _serving(self, url: str, *more: str) -> Iterator[str]:
        command = [
            *TACT,
            "serve",
            "--store",
            url,
            "--strategy",
            str(STRATEGY),
            "--port",
            "0",
            "--allow-as-of",
            "--store-wait",  # it counts what is answered, not how fast, also on a busy machine
            "5",
            "--json",
        ]
        with Pinned([*command, *more], 0, self._folder / "service.log", port_said) as service:
            yield service.target

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        took = self.found[f"{what}, s"] = round(time.monotonic() - started, 1)
        print(f"{what}: {took:.1f} s", flush=True)

    async def _load(self, target: str, name: str, *, consents: bool) -> Counter[str]:
        async with TactClient(target, schema=self._schema, timeout_s=60.0) as tact:
            if consents:
                await _consents(tact, self._folder / "consents.jsonl")
            started, counts = time.monotonic(), Counter[str]()

            async def send(batch: list[Event]) -> None:
                answer = await tact.record_events(batch)
                counts.update(result["status"] for result in answer["results"])

            await few_at_once(send(batch) for batch in batches(_events(self._folder / name), BATCH))
        rate = counts.total() / (time.monotonic() - started)
        print(f"  {counts.total():,} events in {name}: {dict(counts)}, {rate:,.0f} a second")
        self.found[f"{name}, events a second"] = round(rate)
        promised(set(counts) <= {"stored", "repeated"}, f"every event is stored or repeated, not {dict(counts)}")
        return counts

    async def _decide(self, target: str) -> None:
        as_of = HOUR_ZERO_MS + WAVE * HOUR_MS
        spread, codes, answered = Counter[str](), Counter[str](), 0
        members = [json.loads(line)["customer_id"] for line in (self._folder / "consents.jsonl").open()]
        async with TactClient(target, schema=self._schema) as tact:
            asks = (Ask(member, "app", ("offer",), request_id=str(n), as_of=as_of) for n, member in enumerate(members))
            async for answer in tact.decide_stream(asks):
                promised("error" not in answer and not answer["degraded"], f"every answer is whole: {answer}")
                placed = answer["answers"][0]
                spread[placed["offer"]["action_id"] if "offer" in placed else "(nothing)"] += 1
                codes[placed["reasons"][0]["code"]] += 1
                answered += 1
        promised(answered == len(members), f"all {len(members)} members are answered, not {answered}")
        self.found |= {"answered": answered, "spread": dict(spread.most_common()), "reasons": dict(codes)}
        for action, count in spread.most_common():
            print(f"  {count:6,}  {100 * count / answered:5.1f} %  {action}")

    async def _compare(self, target: str, counts: Counter[str]) -> None:
        month = Month.read(self._data)
        self.found |= {"transcript events": month.lines, "blank lines": month.blank, "repeats": month.repeats}
        print(f"  {month.lines:,} events read, {month.blank} blank lines skipped, {counts['repeated']} repeats")
        promised(counts.total() == month.lines + len(month.profiles), "every event of the files was sent")
        promised(counts["repeated"] == month.repeats, f"{month.repeats} exact repeats count once")
        members = random.Random(0).sample(sorted(month.profiles), COMPARED)
        async with TactClient(target) as tact:
            for member in members:
                context = await tact.get_context(member, HOUR_ZERO_MS + END * HOUR_MS)
                differs = differences(context["fields"], month.context(member, END))
                promised(not differs, f"the context of a member equals the recomputation: {differs}")
        print(f"  the context of {COMPARED} members equals the plain recomputation")
        self.found["compared"] = COMPARED


def differences(fields: Iterable[dict[str, Any]], expected: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the fields whose value is not the expected one, each with both values."""
    seen = {field["field_id"]: field.get("value") for field in fields}
    names = seen.keys() | expected.keys()
    return {
        name: (seen.get(name), expected.get(name)) for name in names if not same(seen.get(name), expected.get(name))
    }


def same(a: object, b: object) -> bool:
    """Say whether two values are equal, doubles to nine digits."""
    if isinstance(a, int | float) and isinstance(b, int | float):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
    return a == b


async def _consents(tact: TactClient, file: Path) -> None:
    with file.open() as lines:
        rows = map(json.loads, lines)
        await few_at_once(
            (
                tact.set_consent(
                    row["customer_id"], row["level"], row["contact"], given_at=row["given_at"], source=row["source"]
                )
                for row in rows
            ),
            most=32,
        )


def _events(file: Path) -> Iterator[Event]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            yield Event(row["event_id"], row["customer_id"], row["type"], row["occurred_at"], row["attributes"])


def main() -> int:
    """Run it and say what was found; the exit code is 1 when a promise did not hold."""
    parser = argparse.ArgumentParser("python -m benchmarks.starbucks", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder with the three public files")
    parser.add_argument("--json", type=Path, help="write what was found here")
    chosen = parser.parse_args()
    if why := missing(chosen.data, STARBUCKS):
        print(why, file=sys.stderr)
        return 2
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tact-starbucks-") as folder:
        run = Run(chosen.data, Path(folder))
        try:
            asyncio.run(run.run())
        except Broken as broken:
            print(f"broken: {broken}", file=sys.stderr)
            return 1
    run.found["all, s"] = round(time.monotonic() - started, 1)
    print(f"all of it: {run.found['all, s']:.1f} s")
    if chosen.json:
        chosen.json.write_text(json.dumps(run.found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
