"""`tact refresh`: from an event, over the models, to the next decision; and nothing about whoever has not agreed."""

import asyncio
import json
import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from redis import Redis

from models.artifacts import FOLDED
from models.predictor_artifacts import read_predictor
from models.predictors import bound
from models.schema import load_context
from service.cli.refresh import load_predictors
from service.cli.refreshing import AnotherStrategy, Refreshed, Refresher
from service.rpc.client import TactClient
from service.store import keys
from service.store.embedded import EmbeddedStore
from tests.cli.commands import Process, one_line, report, typed, until
from tests.models.forgery import npz
from tests.models.test_predictions import predictions_of
from tests.models.test_predictors import read_manifest, stamped
from tests.predicting import EVENTS, FIELDS, PREDICTIONS, write_history, write_predicting
from tests.strategies import SECTIONS, edited

PREDICTED = ("predicted.churn", "predicted.reason", "predicted.also")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a strategy that never explores, and with models trained from a history."""
    made = tmp_path_factory.mktemp("refresh")
    write_predicting(made / "strategy", strategy=edited("strategy", "explore: 0.05", "explore: 0.0"))
    history = write_history(made, 7, customers=300)
    words = ("--strategy", made / "strategy", "--events", history, "--out", made / "models", "--json")
    ran = Process("train-predictions", *words)
    with ran:
        said = json.loads(ran.line())
    assert {one["field"] for one in said["predictors"]} == set(PREDICTED)
    return made


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    """Return the address of a store of its own."""
    with EmbeddedStore(folder / "store") as address:
        yield address


@pytest.fixture(scope="module")
def served(folder: Path, url: str) -> Iterator[Process]:
    """Return a service on a free port over that store."""
    words = ("--store", url, "--strategy", folder / "strategy", "--port", "0", "--json")
    with Process("serve", *words) as process:
        yield process.serving()


def places(folder: Path) -> list[Path]:
    """Return the folders of the trained models."""
    return sorted(path.parent for path in (folder / "models").glob("*/*/manifest.json"))


def models(folder: Path) -> list[object]:
    """Return the options that name the trained models and the strategy."""
    return [*(word for place in places(folder) for word in ("--model", place)), "--strategy", folder / "strategy"]


def refreshed(served: Process, folder: Path) -> Refreshed:
    """Do once what the job does, in this process, and return what came of it: it need not verify again."""
    schema, predictors = load_predictors(folder / "strategy", places(folder))

    async def work() -> Refreshed:
        async with TactClient(served.target, schema=schema) as client:
            job = Refresher(client, schema, predictors)
            async for _ in job.changed(once=True):
                pass
            return job.refreshed

    return asyncio.run(work())


def happened(served: Process, folder: Path, customer: str, number: int, kind: str, **attributes: object) -> None:
    """Record one event of an hour ago."""
    at = datetime.now(UTC) - timedelta(hours=1) + timedelta(seconds=number)
    row = {"event_id": f"{customer}-{number}", "customer_id": customer, "type": kind, "attributes": attributes}
    file = folder / "one.jsonl"
    file.write_text(json.dumps({**row, "occurred_at": at.isoformat()}))
    loaded = report("events", "load", file, "--strategy", folder / "strategy", "--target", served.target)
    assert loaded["stored"] == 1


def shown(served: Process, customer: str) -> dict[str, dict[str, Any]]:
    """Return what the context shows of the predicted fields."""
    fields = report("context", "show", customer, "--target", served.target)["fields"]
    return {field["field_id"]: field for field in fields if field["field_id"] in PREDICTED}


def offered(served: Process, customer: str) -> tuple[str, dict[str, Any]]:
    """Decide with reasons; return the offer and what the decision saw of the chance to leave."""
    words = ("decide", customer, "--channel", "web", "--placement", "hero", "--explain", "--target", served.target)
    answer = report(*words)
    seen = next(one for one in answer["explanation"]["fields"] if one["field_id"] == "predicted.churn")
    return answer["answers"][0].get("offer", {}).get("action_id", ""), seen


def test_an_event_changes_the_score_and_the_score_the_next_decision(served: Process, folder: Path) -> None:
    """A visit happens, the job asks the model, and the next decision says what the new score calls for."""
    report("context", "consent", "ina", "--level", "full", "--target", served.target)
    happened(served, folder, "ina", 1, "visit", minutes=0.5)
    assert offered(served, "ina")[0] != "stay"
    assert refreshed(served, folder).customers["scored"] == 1
    before = shown(served, "ina")["predicted.churn"]
    assert before["value"] < 0.5
    assert offered(served, "ina")[0] != "stay"

    happened(served, folder, "ina", 2, "visit", minutes=10.0)
    second = report("refresh", *models(folder), "--target", served.target, "--once")
    assert second["customers"] == {"scored": 1, "without_consent": 0, "without_answer": 0, "unreadable": 0}
    assert second["predictions"] == {"stored": 2, "superseded": 0, "not_consented": 0, "refused": 0}  # of two models
    after = shown(served, "ina")["predicted.churn"]
    assert after["value"] > 0.5
    assert after["model_version"] == second["versions"]["predicted.churn"]
    offer, seen = offered(served, "ina")
    assert offer == "stay"
    assert (seen["value"], seen["model_version"]) == (after["value"], after["model_version"])
    assert refreshed(served, folder).seen == 0  # what models write is no change


def test_the_other_models_speak_too(served: Process, folder: Path) -> None:
    """The next reason follows the last call, and what goes with a phone is named; each with its own version."""
    report("context", "consent", "eva", "--level", "full", "--target", served.target)
    happened(served, folder, "eva", 1, "called", reason="moving")
    happened(served, folder, "eva", 2, "bought", product="phone")
    assert refreshed(served, folder).predictions["stored"] == 3
    fields = shown(served, "eva")
    versions = {
        f"predicted.{one.parts[-2].removeprefix('small-')}": f"{one.parts[-2]}@{one.name}" for one in places(folder)
    }
    assert fields["predicted.reason"]["value"] == "moving"
    assert sorted(fields["predicted.also"]["value"]) == ["case", "charger"]
    assert {name: field["model_version"] for name, field in fields.items()} == versions


def test_of_whoever_has_not_agreed_nothing_is_computed_or_written(served: Process, folder: Path) -> None:
    """Ben changed and is finished, but not scored; when he agrees he is, without waiting for an event."""
    report("context", "consent", "ben", "--level", "personal", "--target", served.target)
    happened(served, folder, "ben", 1, "visit", minutes=9.0)
    done = refreshed(served, folder)
    assert (done.customers["without_consent"], done.seen, done.predictions.total()) == (1, 1, 0)
    assert {field["state"] for field in shown(served, "ben").values()} == {"hidden"}
    report("context", "consent", "ben", "--level", "full", "--target", served.target)
    assert {field["state"] for field in shown(served, "ben").values()} == {"never_seen"}
    assert refreshed(served, folder).customers["scored"] == 1
    assert shown(served, "ben")["predicted.churn"]["state"] == "known"


def test_a_job_goes_on_until_it_is_told_to_end(served: Process, folder: Path) -> None:
    """It listens and scores whoever changes; SIGTERM ends it with 0 and with what it did."""
    report("context", "consent", "zoe", "--level", "full", "--target", served.target)
    words = (*models(folder), "--target", served.target, "--json")
    with Process("refresh", *words) as job:
        happened(served, folder, "zoe", 1, "visit", minutes=3.0)
        until(lambda: shown(served, "zoe")["predicted.churn"]["state"] == "known")
        assert job.told(signal.SIGTERM) == 0
        assert json.loads(job.line())["customers"]["scored"] == 1


def test_customers_of_a_file_are_refreshed_without_a_change(served: Process, folder: Path) -> None:
    """A new model is asked about everybody in a file, changed or not; those who did not agree are left out."""
    report("context", "consent", "max", "--level", "full", "--target", served.target)
    happened(served, folder, "max", 1, "visit", minutes=3.0)
    refreshed(served, folder)
    (folder / "ids.txt").write_text("max\n\nnobody\n")
    done = report("refresh", *models(folder), "--target", served.target, "--customers", folder / "ids.txt")
    assert done["customers"] == {"scored": 1, "without_consent": 1, "without_answer": 0, "unreadable": 0}
    assert done["predictions"]["stored"] == 2  # of a basket that is unknown nothing is said


def test_one_customer_who_cannot_be_read_holds_nobody_up(served: Process, folder: Path, url: str) -> None:
    """The others that were lent with them are scored, written and finished; the job says so and ends with 1."""
    for number, customer in enumerate(("lea", "broken", "tom")):
        report("context", "consent", customer, "--level", "full", "--target", served.target)
        happened(served, folder, customer, number, "visit", minutes=3.0)
    with Redis.from_url(url) as raw:
        raw.delete(keys.context_key("broken"))
        raw.set(keys.context_key("broken"), "no hash")
    try:
        ran = typed("refresh", *models(folder), "--target", served.target, "--once", "--json")
        said = json.loads(ran.stdout)
        assert (ran.returncode, said["customers"]["scored"], said["customers"]["unreadable"]) == (1, 2, 1)
        assert said["predictions"]["stored"] == 4  # of a basket that is unknown nothing is said
        assert "a customer could not be read: " in ran.stderr
        assert "broken" not in ran.stderr
        assert refreshed(served, folder).seen == 0  # the others are finished; this one is lent for a minute
        with Redis.from_url(url) as raw:
            assert raw.zscore(keys.changed_key(keys.bucket("broken")), "broken")
    finally:
        with Redis.from_url(url) as raw:
            raw.delete(keys.context_key("broken"), keys.changed_key(keys.bucket("broken")))


@pytest.mark.parametrize(("old", "new"), [("past.minutes", "past.seconds"), ("event: visit", "event: stay")])
def test_a_job_of_another_strategy_than_the_service_writes_nothing(
    served: Process, folder: Path, tmp_path: Path, old: str, new: str
) -> None:
    """Where the service has not a feature, or folds it from other events, what it shows means something else."""
    stay = "  - {id: stay, says: A stay., attributes: {minutes: double}}\n"
    sections = {"events": SECTIONS["events"] + EVENTS + stay, "fields": SECTIONS["fields"] + FIELDS.replace(old, new)}
    other = write_predicting(tmp_path / "other", predictions=PREDICTIONS.replace(old, new), **sections)
    schema = load_context(other)
    churn = read_predictor(next(place for place in places(folder) if place.parts[-2] == "small-churn")).model
    predictor = bound(churn, predictions_of(other)[0], "other@1", schema)
    report("context", "consent", "kim", "--level", "full", "--target", served.target)

    async def work() -> None:
        async with TactClient(served.target, schema=schema) as client:
            await Refresher(client, schema, [predictor]).refresh(["kim"])

    with pytest.raises(AnotherStrategy, match="past"):
        asyncio.run(work())
    assert shown(served, "kim")["predicted.churn"]["state"] == "never_seen"


def test_a_model_that_is_not_verified_is_not_asked(served: Process, folder: Path, tmp_path: Path) -> None:
    """Arrays that say something else than their estimator, under a manifest that fits them: nothing is scored."""
    copy = tmp_path / "copy"
    shutil.copytree(next(place for place in places(folder) if place.parts[-2] == "small-churn"), copy)
    with np.load(copy / FOLDED) as held:
        arrays = {"weights": held["weights"], "bias": held["bias"] + np.array([0.0, 0.01])}
    (copy / FOLDED).write_bytes(npz(**arrays))
    stamped(copy, read_manifest(copy))
    words = ("--model", copy, "--strategy", folder / "strategy", "--target", served.target, "--once")
    said = one_line(typed("refresh", *words), 1)
    assert "was not verified and is not asked" in said


def test_what_cannot_be_asked_is_said_in_one_line(served: Process, folder: Path, tmp_path: Path) -> None:
    """A model of other declarations, one named twice, none at all, no service: each in one line, before any work."""
    strategy = (folder / "strategy" / "predictions.yaml").read_text()
    other = write_predicting(tmp_path / "other", predictions=strategy.replace("within: 30d", "within: 31d"))
    churn, also = (next((folder / "models" / f"small-{name}").iterdir()) for name in ("churn", "also"))
    assert "train it again" in one_line(typed("refresh", "--model", churn, "--strategy", other), 1)
    twice = ("--model", churn, "--model", churn, "--strategy", folder / "strategy")
    assert "two models predict predicted.churn" in one_line(typed("refresh", *twice), 2)
    nowhere = ("--model", tmp_path / "nowhere", "--strategy", folder / "strategy")
    assert "cannot be read" in one_line(typed("refresh", *nowhere), 1)
    away = ("--model", also, "--strategy", folder / "strategy", "--target", "127.0.0.1:1", "--once")
    assert "no service answers at 127.0.0.1:1" in one_line(typed("refresh", *away), 1)
