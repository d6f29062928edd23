"""`tact tend`: from outcomes that no longer fit, over a recalibration and the gate, to what a running service says."""

from __future__ import annotations

import asyncio
import csv
import json
import random
import shutil
import signal
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from math import exp
from pathlib import Path
from time import time

import pytest

from models.artifacts import Manifest, read_artifact
from models.registry import champion_of, crown, note
from service.cli.tending import Care, Did, Round, alone, followed, stretch, tended, waits
from service.logs.parts import Format, opened
from service.rpc.client import Ask, Outcome, TactClient
from service.store.embedded import EmbeddedStore
from tests.cli.commands import Process, one_line, report, typed, until
from tests.service.served import SERVED
from tests.training.drift.world import HEAD, MINUTE_MS, STRATEGY
from tests.training.promoting.world import moment
from training.__main__ import main

CALM, MOVED, LIVE = 1500, 900, 420
FIBRE_MOVES = 2.8  # in log odds
STRATEGY_YAML = STRATEGY.partition("actions:\n")[0].replace("explore: 0.0", "explore: 0.5") + SERVED
FEATURES = "model: {features: [present.mood, present.hurry, present.tier]}\n"


@dataclass(frozen=True, slots=True)
class Tended:
    """A running service on the champion, and how to tend it."""

    served: Process
    care: Care
    trained: Path
    said: tuple[Round, Round]


def visit(dice: random.Random, action: str, moved: bool) -> tuple[dict[str, float | str], bool]:
    """Draw what is known of a visitor, and whether the outcome of an action happens; once moved, fibre's far more.

    So much more that fibre is worth more than a phone then, and less before: which version is better is no matter of
    what the service draws.
    """
    mood, hurry, gold = dice.gauss(), dice.gauss(), dice.random() < 0.3
    odds = -1.5 + (FIBRE_MOVES if moved and action == "fibre" else 0.0) + (mood if action == "phone" else hurry) + gold
    known = {"present.mood": mood, "present.hurry": hurry, "present.tier": "gold" if gold else "basic"}
    return known, dice.random() < 1.0 / (1.0 + exp(-odds))


def write_past(path: Path, rows: int, first_ms: int, dice: random.Random, moved: bool = False) -> None:
    """Write decisions as a part of a log: a calm world, and behind `CALM` of them, or all along, one that has moved."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(HEAD)
        for number in range(rows):
            at_ms, action = first_ms + number * MINUTE_MS, dice.choice(("phone", "fibre"))
            known, happened = visit(dice, action, moved or number >= CALM)
            came = {"action": action, "kind": "accepted", "at": moment(at_ms + 1000), "amount": None}
            head = f"{path.stem}-{number:06d}", f"p{dice.randrange(800)}", moment(at_ms), action, 0.5
            table.writerow((*head, *known.values(), json.dumps([came] if happened else [])))


async def live(target: str, dice: random.Random) -> None:
    """Let visitors of the moved world be decided for now, and tell what came of what was said."""
    async with TactClient(target) as client:
        people = [f"v{number}" for number in range(LIVE // 3)]
        for person in people:
            await client.set_consent(person, "personal", (), given_at=int(time() * 1000) - MINUTE_MS, source="web")
        came = []
        for person in people * 3:
            drawn = dice.random()
            known = visit(random.Random(drawn), "", moved=True)[0]
            answer = await client.decide(Ask(person, "web", ("hero",), known))
            action = answer["answers"][0].get("offer", {}).get("action_id", "")
            if action and visit(random.Random(drawn), action, moved=True)[1]:
                came.append(Outcome(answer["decision_id"], action, "accepted"))
        await client.record_outcomes(came)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tended]:
    """Return a service whose champion was trained on a calm world, after two rounds while the world has moved."""
    folder = tmp_path_factory.mktemp("tend")
    (folder / "strategy").mkdir()
    (folder / "strategy" / "all.yaml").write_text(STRATEGY_YAML + FEATURES)
    dice, first_ms = random.Random(5), int(time() * 1000) - (CALM + MOVED + 60) * MINUTE_MS
    write_past(folder / "calm.csv", CALM, first_ms, random.Random(5))
    words = ["fit", "--strategy", folder / "strategy", "--log", folder / "calm.csv", "--forests", "0"]
    with redirect_stdout(StringIO()) as said:
        assert main([*map(str, words), "--out", str(folder / "models"), "--json"]) == 0
    trained = Path(json.loads(said.getvalue())["artifact"])
    crown(trained)
    with EmbeddedStore(folder / "store") as url:
        words = ["--store", url, "--strategy", folder / "strategy", "--model", trained.parent / "champion"]
        with Process("serve", *words, "--port", "0", "--json") as served:
            target = served.serving().target
            with opened(folder / "log", Format.CSV, "a service") as parts:
                parts.add((), {})
            write_past(folder / "log" / "decisions-000000.csv", CALM + MOVED, first_ms, dice)
            care = Care("moving", folder / "models", folder / "log", folder / "strategy", target, "present.tier", "0.5")
            made = asyncio.run(tended(care))
            asyncio.run(live(target, dice))
            yield Tended(served, care, trained, (made, asyncio.run(tended(care))))


def test_a_champion_that_drifted_is_put_right_through_the_gate_while_serving(lived: Tended) -> None:
    """An alarm makes a version; on decisions that came after it the gate crowns it, and the service takes it up."""
    made, promoted = lived.said
    assert (made.did, promoted.did) == (Did.MADE, Did.PROMOTED), lived.said
    assert made.version == promoted.version
    assert "has drifted: " in made.words
    assert "were forecast" in made.words or "happened, it was" in made.words
    manifest = read_artifact(lived.care.home / made.version[-12:]).manifest
    assert (manifest.kind, manifest.of) == ("recalibrated", f"moving@{lived.trained.name}")
    assert champion_of(lived.care.home) == lived.care.home / made.version[-12:]
    until(lambda: report("status", "--target", lived.care.target)["model"] == made.version)


def test_a_recalibrated_champion_is_compared_with_the_world_it_was_put_right_for(
    lived: Tended, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """While the world stays where it has moved to there is no alarm; when it comes back there is one."""
    place = champion_of(lived.care.home)
    assert place is not None
    words = ["drift", place, "--strategy", lived.care.strategy, "--json", *stretch(read_artifact(place).manifest)]
    for moved in (True, False):
        log = Path(shutil.copytree(lived.care.log, tmp_path / str(moved)))
        write_later(log, moved)
        assert main([*map(str, words), "--log", str(log)]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["trustworthy"] is moved, found["alarms"]


def test_when_the_world_comes_back_so_does_the_trained_model(lived: Tended, tmp_path: Path) -> None:
    """Where no outcome speaks for a repair any more, the gate is asked about the version that was trained."""
    models, log = (Path(shutil.copytree(place, tmp_path / place.name, symlinks=True)) for place in
                   (lived.care.models, lived.care.log))  # fmt: skip
    write_later(log, moved=False)
    now = read_artifact(models / "moving" / lived.said[0].version[-12:]).manifest
    care = replace(lived.care, models=models, log=log)
    back = asyncio.run(followed(care, now, {"why": "nothing to put right"}, "an alarm"))
    assert (back.did, back.version) == (Did.PROMOTED, f"moving@{lived.trained.name}"), back
    assert champion_of(care.home) == care.home / lived.trained.name


def test_a_recalibration_that_makes_nothing_new_says_so(lived: Tended, tmp_path: Path) -> None:
    """The version in force again, one that the gate refused, or none at all: each is told, and nothing is asked."""
    care, trained = registry_of(lived, tmp_path)
    version = lived.said[0].version
    again = asyncio.run(followed(care, read_artifact(care.home / version[-12:]).manifest, {"version": version}, "why"))
    note(care.home, {"version": version, "passed": False, "criteria": [{"name": "value", "passed": False}]})
    refused = asyncio.run(followed(care, trained, {"version": version}, "why"))
    none = asyncio.run(followed(care, trained, {"why": "too few outcomes"}, "why"))
    assert {one.did for one in (again, refused, none)} == {Did.NOTHING}
    assert "nothing new" in again.words
    assert "nothing new" in refused.words
    assert none.words == "why; too few outcomes; train again if it lasts"


def write_later(log: Path, moved: bool) -> None:
    """Add a part of decisions that come after all others, of the world that has moved or of the calm one."""
    write_past(log / "decisions-900000.csv", CALM, int(time() * 1000) + MINUTE_MS, random.Random(9), moved)


@pytest.mark.parametrize(
    ("failed", "gap", "waiting"),
    [
        (None, "", True),
        (("data", "fairness"), "", True),
        (("data", "fairness"), "0.1", True),
        (("fairness",), "", True),
        (("fairness",), "0.1", False),
        (("value",), "", False),
        (("data", "guardrails"), "", False),
        ((), "", True),
    ],
    ids=["never asked", "too early", "too early, unlooked", "unlooked", "too wide", "worse", "unsafe", "half promoted"],
)
def test_a_version_waits_until_the_gate_has_judged_it(
    lived: Tended, tmp_path: Path, failed: tuple[str, ...] | None, gap: str, waiting: bool
) -> None:
    """More decisions or a person's look may still open the gate; what it found worse is not asked about again."""
    care, now = registry_of(lived, tmp_path, gap)
    version = lived.said[0].version
    if failed is not None:
        criteria = [{"name": name, "passed": False, "words": ""} for name in failed]
        note(care.home, {"version": version, "passed": not failed, "criteria": criteria})
    assert waits(care, now) == (version if waiting else None)


def test_who_went_back_is_not_overruled(lived: Tended, tmp_path: Path) -> None:
    """A version that was the champion, before somebody went back to the one before, is not promoted again."""
    care, now = registry_of(lived, tmp_path)
    note(care.home, {"version": lived.said[0].version, "passed": True, "criteria": []})
    note(care.home, {"version": now.version, "passed": True, "back_because": "calls are up"})
    assert waits(care, now) is None


def registry_of(lived: Tended, folder: Path, gap: str = "") -> tuple[Care, Manifest]:
    """Return the registry as it was when nothing had been asked: the trained version is the champion."""
    models = Path(shutil.copytree(lived.care.models, folder / "models", symlinks=True))
    (models / "moving" / "promotions.jsonl").unlink()
    crown(models / "moving" / lived.trained.name)
    return replace(lived.care, models=models, fairness_gap=gap), read_artifact(lived.trained).manifest


def test_two_jobs_do_not_tend_one_model_at_once(lived: Tended) -> None:
    """While one is at work the other leaves the round to it, and says so."""
    with alone(lived.care.home):
        other = asyncio.run(tended(lived.care))
    assert other.did is Did.FAILED
    assert "another job tends" in other.words
    with alone(lived.care.home):
        pass


def test_a_round_that_fails_is_told_and_tried_again_until_told_to_end(lived: Tended, free_port: int) -> None:
    """Without a service each round says why it failed; SIGTERM ends the job with 0, and nothing stays behind."""
    words = ["tend", "moving", "--models", lived.care.models, "--log", lived.care.log, "--strategy",
             lived.care.strategy, "--groups", "present.tier", "--every", "1s", "--json"]  # fmt: skip
    with Process(*words, "--target", f"127.0.0.1:{free_port}") as job:
        told = [json.loads(job.line()) for _ in range(2)]
        below = job.offspring()
        assert job.told(signal.SIGTERM) == 0
        assert job.errors() == ""
    assert {one["did"] for one in told} == {"failed"}
    assert all("`tact log export` failed" in one["words"] and str(free_port) in one["words"] for one in told)
    assert not [pid for pid in below if Path(f"/proc/{pid}").exists()]


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        ({"NAME": "nobody"}, 1, "there is no model 'nobody'"),
        ({"NAME": ".."}, 1, "there is no model '..'"),
        ({"--groups": "past.shoe"}, 2, "name fields of the strategy, such as present.mood"),
        ({"--groups": ","}, 2, "name fields of the strategy"),
        ({"--fairness-gap": "wide"}, 2, "write a number from 0 to 1"),
        ({"--fairness-gap": "nan"}, 2, "write a number from 0 to 1"),
        ({"--every": "0s"}, 2, "write a number and s, m, h or d"),
        ({"--every": "400d"}, 2, "up to 30d"),
        ({"--strategy": "/nowhere"}, 2, "--strategy /nowhere"),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else "",
)
def test_what_is_typed_wrongly_is_refused_at_once(lived: Tended, more: dict[str, str], code: int, said: str) -> None:
    """A job that runs for weeks is refused at its start what it would stumble over at its first alarm."""
    given: dict[str, object] = {"NAME": "moving", "--models": lived.care.models, "--log": lived.care.log,
        "--strategy": lived.care.strategy, "--groups": "present.tier", **more}  # fmt: skip
    name = given.pop("NAME")
    assert said in one_line(typed("tend", name, *(word for pair in given.items() for word in pair), "--once"), code)
