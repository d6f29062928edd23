"""`tact demo`: one command shows everything, and takes everything with it."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from models.artifacts import FOLDED, MANIFEST, Manifest, read_artifact, version_of
from tests.cli.commands import DEMO, ENDS_WITHIN_S, Process, Report, gone, one_line, report, tact, until

FEW = ("--customers", "150", "--port", "0")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which the demo keeps what it makes."""
    return tmp_path_factory.mktemp("demo") / "data"


@pytest.fixture(scope="module")
def shown(data: Path) -> Report:
    """Return what `tact demo --once` printed."""
    ran = tact("demo", "--once", "--json", *FEW, "--data", data)
    assert ran.returncode == 0, ran.stderr
    said: Report = json.loads(ran.stdout)  # one document and nothing else
    return said


@pytest.fixture(scope="module")
def decisions(shown: Report) -> dict[str, Any]:
    """Return the decisions of the demo by customer."""
    return {decision["customer_id"]: decision for decision in shown["decisions"]}


def test_an_open_ticket_is_helped_not_sold_to(decisions: dict[str, Any]) -> None:
    """Anna, whose line is down, hears about her ticket; what would sell is held back, and the rule named."""
    anna = decisions["anna-ticket"]
    assert anna["sells"] is False
    assert all(anna["says"].values())
    assert anna["held_back"]["rule_id"] == "no-selling-while-a-ticket-is-open"


def test_without_consent_nothing_is_offered(decisions: dict[str, Any]) -> None:
    """Ben, who did not agree, gets no offer, and consent is the reason."""
    ben = decisions["ben-noconsent"]
    assert ben["sells"] is False
    assert "consent" in ben["held_back"]["sentence"]


def drawn(decision: dict[str, Any]) -> list[str]:
    """Return the codes of exploration among the reasons of a decision; mostly none."""
    codes = [reason["code"] for placed in decision["answer"]["answers"] for reason in placed["reasons"]]
    return [code for code in codes if code == "exploration"]


def test_what_was_said_on_the_web_is_said_on_the_phone(shown: Report) -> None:
    """Frank is greeted on the phone as one who was just on the web, and hears no second offer to stay."""
    web, desk = [one for one in shown["decisions"] if one["customer_id"] == "frank-leaving"]
    assert desk["says"]["greeting"] == "greet-continued" or drawn(desk)
    if web["says"]["hero"] in STAYS:  # models of so few customers may find something better, or draw it
        asked_to_stay_once(web["says"], desk["answer"])
    else:
        assert web["says"]["hero"] is not None


def test_whoever_may_leave_is_asked_to_stay_with_the_same_words_twice(
    data: Path, shown: Report, tmp_path: Path
) -> None:
    """By the strategy's own estimates customers with Frank's history are asked to stay, on the phone as on the web."""
    twins = [f"frank-twin-{number}" for number in range(2)]
    files = [copies(data / "world" / name, tmp_path / name, twins) for name in ("events.jsonl", "consents.jsonl")]
    store = f"embedded:{tmp_path / 'store'}"
    strategy = Path(shutil.copytree(DEMO, tmp_path / "strategy"))
    declared = (strategy / "strategy.yaml").read_text()
    assert "explore: 0.05" in declared
    (strategy / "strategy.yaml").write_text(declared.replace("explore: 0.05", "explore: 0.0"))  # nothing is drawn
    words = "--store", store, "--store-wait", "5", "--strategy", strategy
    with Process("serve", *words, "--port", "0", "--json") as process:
        at = ("--target", process.serving().target)
        assert report("events", "load", files[0], *at)["refused"] == 0
        assert report("consents", "load", files[1], *at)["refused"] == 0
        for twin in twins:
            web, desk = (report("decide", twin, *words, *at) for words in (ON_THE_WEB, ON_THE_PHONE))
            asked_to_stay_once({"hero": web["answers"][1]["offer"]["action_id"]}, desk)


STAYS = ("stay-discount", "stay-more-data")
ON_THE_WEB = ("--channel", "web", "--placement", "greeting", "--placement", "hero")
ON_THE_PHONE = ("--channel", "desk", "--placement", "greeting", "--placement", "offer")


def copies(file: Path, to: Path, ids: list[str]) -> Path:
    """Write what a file of the world tells about Frank, told about each of these customers."""
    lines = [line for line in file.read_text().splitlines() if '"frank-leaving"' in line]
    assert lines
    to.write_text("".join(line.replace("frank-leaving", one) + "\n" for one in ids for line in lines))
    return to


def asked_to_stay_once(said_on_the_web: dict[str, Any], desk: dict[str, Any]) -> None:
    """Assert that the web asked to stay, and that the phone says the same and names the promise."""
    assert said_on_the_web["hero"] in STAYS
    assert desk["answers"][1]["offer"]["action_id"] == said_on_the_web["hero"]
    assert desk["answers"][1]["reasons"][0]["rule_id"] == "one-story-about-staying"


def test_a_no_on_the_phone_counts_on_the_web(shown: Report) -> None:
    """What Gina refused on the phone is held back on the web for 30 days, and something else is said."""
    desk, web = [one for one in shown["decisions"] if one["customer_id"] == "gina-refused"]
    if drawn(desk):  # it may be something that is no offer
        return
    assert desk["says"]["offer"] not in (None, web["says"]["hero"])
    assert web["held_back"]["action_id"] == desk["says"]["offer"]
    assert web["held_back"]["rule_id"] == "a-no-counts"
    days = datetime.fromisoformat(web["held_back"]["until"]) - datetime.fromisoformat(web["answer"]["decided_at"])
    assert timedelta(days=29, hours=23) < days <= timedelta(days=30)


def test_who_is_unknown_is_greeted(decisions: dict[str, Any]) -> None:
    """A visitor of whom nothing is known gets a greeting, and no error."""
    unknown = decisions["unknown-visitor"]
    assert unknown["answer"]["answers"][0]["greeting"]["text"]
    assert unknown["sells"] is False
    assert unknown["answer"]["degraded"] is False


def test_the_others_hear_what_fits_them(decisions: dict[str, Any]) -> None:
    """Carla hears of her last flight to platinum, Eve of her parcel; each decision names strategy and model."""
    assert decisions["carla-loyal"]["says"]["greeting"] is not None
    assert decisions["eve-late-delivery"]["sells"] is False
    versions = [decision["answer"]["versions"] for decision in decisions.values()]
    assert all(version["strategy"].startswith("demo@") and version["model"] for version in versions)


def test_the_document_says_what_happened_and_how_long_it_took(shown: Report) -> None:
    """Counts and times stand beside the decisions, and the world went in completely."""
    assert shown["counts"]["events"]["refused"] == 0
    assert shown["counts"]["events"]["stored"] > 1_000
    assert shown["counts"]["predictions"]["stored"] > 100
    assert shown["counts"]["predictions"]["refused"] == 0
    assert {"start", "world", "load", "train", "verify", "predict", "decide", "all"} == set(shown["seconds"])
    assert shown["seconds"]["all"] < 60.0


@pytest.fixture(scope="module")
def learned(shown: Report, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Return a service on a copy of what the demo left, with its model."""
    model = next((data / "models").glob("demo/*/manifest.json")).parent
    store = f"embedded:{shutil.copytree(data / 'store', tmp_path_factory.mktemp('learned') / 'store')}"
    with Process("serve", "--store", store, "--model", model, "--port", "0", "--json") as process:
        yield process.serving()


def test_what_the_demo_made_can_be_served(shown: Report, learned: Process) -> None:
    """`tact serve` goes on with the store and the model of `--data`, and Anna's ticket is still open."""
    assert learned.said["model"] == shown["versions"]["model"]
    known = report("context", "show", "anna-ticket", "--target", learned.target)
    assert {f["field_id"]: f.get("value") for f in known["fields"]}["past.open_tickets"] == 1


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells what a process has mapped")
def test_serving_a_model_never_loads_scikit_learn(learned: Process) -> None:
    """The process that decides with a trained model has numpy mapped, and no part of scikit-learn or scipy."""
    words = ("decide", "carla-loyal", "--channel", "desk", "--placement", "offer", "--target", learned.target)
    assert report(*words)["versions"]["model"]
    mapped = Path(f"/proc/{learned.pid}/maps").read_text()
    assert "numpy" in mapped
    assert "/sklearn/" not in mapped
    assert "/scipy/" not in mapped


def test_a_model_whose_arrays_say_something_else_is_not_served(shown: Report, data: Path, tmp_path: Path) -> None:
    """Arrays with a true manifest that differ from their estimators are refused: the estimators are asked each time."""
    forged = forge(next((data / "models").glob("demo/*/manifest.json")).parent, tmp_path / "model")
    assert read_artifact(forged).manifest.name == "demo"  # by itself it holds together
    ran = tact("serve", "--store", f"embedded:{tmp_path / 'store'}", "--model", forged, "--port", "0")
    said = one_line(ran, 1)
    assert "not verified" in said
    assert "differ" in said


def forge(model: Path, copy: Path) -> Path:
    """Copy a model, change its arrays, and make the manifest fit."""
    shutil.copytree(model, copy)
    with np.load(model / FOLDED) as arrays:
        np.savez(copy / FOLDED, **{**arrays, "bias": arrays["bias"] + 0.1})
    manifest = msgspec.json.decode((copy / MANIFEST).read_bytes(), type=Manifest)
    files = {**manifest.files, FOLDED: sha256((copy / FOLDED).read_bytes()).hexdigest()}
    manifest = msgspec.structs.replace(manifest, files=files)
    manifest = msgspec.structs.replace(manifest, version=version_of(manifest))
    (copy / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    return copy


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_demo_takes_everything_with_it(number: signal.Signals, tmp_path: Path) -> None:
    """Ended in the middle of the training, the demo leaves neither store nor training behind, kill -9 included."""
    with Process("demo", *FEW, "--json", env={"TMPDIR": str(tmp_path)}) as process:
        process.wait_for_child("training fit")
        started = process.offspring()
        assert len(started) >= 3  # the store, its watchdog, the training
        process.told(number)
        until(lambda: gone(started), ENDS_WITHIN_S)
    if number is signal.SIGINT:
        assert os.listdir(tmp_path) == []


def test_training_and_verifying_are_commands(shown: Report, data: Path) -> None:
    """`tact verify` finds the demo's model good, and `tact train` says in words which file it cannot read."""
    model = next((data / "models").glob("demo/*/manifest.json")).parent
    verified = tact("verify", model, "--json")
    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout)["version"] == shown["versions"]["model"]
    trained = tact("train", "--events", "nowhere.jsonl", "--decisions", "nowhere.jsonl", "--json")
    assert trained.returncode == 1
    assert "nowhere.jsonl" in json.loads(trained.stdout)["error"]
