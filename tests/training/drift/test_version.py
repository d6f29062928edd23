"""A recalibrated model is a version of its own: it names the one it puts right, serves, and is made when needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.artifacts import Artifact, read_artifact
from tests.training.drift.world import Weather, log, since, strategy
from training.__main__ import main
from training.drift.unseen import habits_of
from training.drift.watching import moment
from training.strategy import read_strategy
from training.verification import verify

CALM, MOVED = Weather(), Weather(offset=1.0, mood=0.2)

Say = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a strategy, logs of a calm and of a moved world, and a model of the calm part."""
    folder = tmp_path_factory.mktemp("drift")
    strategy(folder / "moving")
    log(folder / "calm.csv", [(3000, CALM)])
    log(folder / "same.csv", [(3000, CALM), (1500, CALM)])
    log(folder / "moved.csv", [(3000, CALM), (1500, MOVED)])
    words = ["fit", "--strategy", str(folder / "moving"), "--log", str(folder / "calm.csv"), "--forests", "0"]
    assert main([*words, "--out", str(folder / "models"), "--json"]) == 0
    return folder


@pytest.fixture
def say(home: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """Run a command of the training on the world and return how it ended and what it said."""

    def said(command: str, table: str, *more: str, model: Path | None = None) -> tuple[int, dict[str, Any]]:
        words = [command, str(model or trained(home)), "--strategy", str(home / "moving"), "--log", str(home / table)]
        ended = main([*words, *more, "--json"])
        return ended, json.loads(capsys.readouterr().out)

    return said


def trained(home: Path) -> Path:
    """Return the folder of the trained version."""
    versions = [folder for folder in (home / "models" / "moving").iterdir() if folder.name[0] != "."]
    return next(folder for folder in versions if read_artifact(folder).manifest.kind == "trained")


def chances(artifact: Artifact, home: Path, mood: float) -> tuple[float, ...]:
    """Return what a version says of one customer."""
    space = read_strategy(home / "moving").space
    return tuple(artifact.folded.chances(space.encode([mood, 0.0, "basic"], 0)[None, :])[0][0].tolist())


def test_a_calm_world_raises_no_alarm_and_makes_no_version(say: Say, home: Path, tmp_path: Path) -> None:
    """Where nothing moved there is no alarm, nothing is put right, and that is said."""
    ended, found = say("drift", "same.csv")
    assert ended == 0
    assert found["alarms"] == []
    assert found["trustworthy"] is True
    assert found["decisions_recent"] == 1500
    ended, made = say("recalibrate", "same.csv", "--out", str(tmp_path))
    assert ended == 0
    assert "no alarm" in made["why"]
    assert list(tmp_path.iterdir()) == []


def test_a_world_that_moved_is_noticed_with_reasons(say: Say) -> None:
    """Alarms name what they are about, and forecasts are no longer to be trusted."""
    _, found = say("drift", "moved.csv")
    assert found["trustworthy"] is False
    assert {"base_rate", "forecast"} <= {alarm["kind"] for alarm in found["alarms"]}
    assert all(alarm["of"] in alarm["reason"] for alarm in found["alarms"])


def test_a_recalibrated_version_serves_and_names_its_parent(say: Say, home: Path, tmp_path: Path) -> None:
    """It verifies, says of what and by which outcomes it was put right, and forecasts the world as it is now."""
    _, made = say("recalibrate", "moved.csv", "--out", str(tmp_path))
    place = Path(made["artifact"])
    verify(place)
    before, after = read_artifact(trained(home)), read_artifact(place)
    assert after.manifest.kind == "recalibrated"
    assert after.manifest.of == before.manifest.version
    assert after.manifest.feature_hash == before.manifest.feature_hash
    told = after.manifest.learning["recalibrated"]
    assert told["alarms"]
    assert told["said"].keys() == {"phone", "fibre"}
    assert all(how["log_loss_after"] < how["log_loss_before"] for how in told["said"].values())
    assert "Recalibrated from" in after.card
    fibre, phone = zip(chances(before, home, 1.0), chances(after, home, 1.0), strict=True)
    truth = 1.0 / (1.0 + np.exp(0.5)), 1.0 / (1.0 + np.exp(0.3))
    assert all(abs(now - true) < abs(then - true) for (then, now), true in zip((fibre, phone), truth, strict=True))
    assert fibre[1] == pytest.approx(truth[0], abs=0.1)
    assert phone[1] == pytest.approx(truth[1], abs=0.12)


def test_equal_logs_give_the_same_version(say: Say, tmp_path: Path) -> None:
    """Run twice on the same log, a schedule makes one version, not two."""
    made = [say("recalibrate", "moved.csv", "--out", str(tmp_path))[1]["version"] for _ in range(2)]
    assert made[0] == made[1]
    assert len([entry for entry in (tmp_path / "moving").iterdir() if entry.name[0] != "."]) == 1


def test_a_recalibrated_version_leads_back_to_the_trained_one(say: Say, home: Path, tmp_path: Path) -> None:
    """Put right again, it starts from the trained version beside it; without that one it is refused in words."""
    _, made = say("recalibrate", "moved.csv", "--out", str(home / "models"))
    _, again = say("recalibrate", "moved.csv", "--out", str(home / "models"), model=Path(made["artifact"]))
    assert again["version"] == made["version"]
    assert again["of"] == read_artifact(trained(home)).manifest.version
    _, alone = say("recalibrate", "moved.csv", "--out", str(tmp_path))
    ended, refused = say("recalibrate", "moved.csv", model=Path(alone["artifact"]))
    assert ended == 1
    assert "not beside it" in refused["error"]


def test_drift_of_a_recalibrated_version_is_against_what_was_trained_on(say: Say, home: Path) -> None:
    """Its recent decisions still begin behind the training data, and its forecasts are alarmed about less."""
    _, made = say("recalibrate", "moved.csv", "--out", str(home / "models"))
    _, found = say("drift", "moved.csv", model=Path(made["artifact"]))
    assert found["decisions_recent"] == 1500
    _, before = say("drift", "moved.csv")
    assert len(found["alarms"]) < len(before["alarms"])


def test_training_never_ends_before_it_did(say: Say, home: Path, tmp_path: Path) -> None:
    """Put right on a stretch from before the end of its training, a version still ends where its training did."""
    more = ("--since", since(1000), "--always", "--out", str(tmp_path))
    log(tmp_path / "older.csv", [(1000, CALM), (1500, MOVED)])
    ended, made = say("recalibrate", "moved.csv", "--log", str(tmp_path / "older.csv"), *more)
    assert ended == 0
    before, after = (read_artifact(place).manifest.rows.last for place in (trained(home), Path(made["artifact"])))
    assert moment(after) == moment(before)


def test_a_version_keeps_what_it_missed_on_unseen_rows(say: Say, home: Path, tmp_path: Path) -> None:
    """Training writes the gaps of unseen forecasts of each model; a recalibration writes those made ahead."""
    manifest = read_artifact(trained(home)).manifest
    _, made = say("recalibrate", "moved.csv", "--out", str(tmp_path))
    kept, ahead = (habits_of(one) for one in (manifest, read_artifact(Path(made["artifact"])).manifest))
    assert kept is not None
    assert ahead is not None
    assert kept[0].keys() == ahead[0].keys() == {"phone", "fibre"}
    assert kept[0]["fibre"].gaps.tolist() != ahead[0]["fibre"].gaps.tolist()


def test_slope_only_leaves_the_weights(say: Say, tmp_path: Path) -> None:
    """With --slope-only a version is slope and offset alone: two customers keep their order."""
    _, made = say("recalibrate", "moved.csv", "--slope-only", "--out", str(tmp_path))
    assert {how["weights_moved"] for how in made["recalibrated"]["said"].values()} == {0}


@pytest.mark.parametrize(
    ("more", "ends", "said"),
    [
        (("--since", since(4500)), 1, "no decision with a known outcome after"),
        (("--since", "2020-01-01T00:00:00Z"), 1, "no decision with a known outcome up to"),
        (("--since", "yesterday"), 2, "is no moment"),
        (("--memory", "1KB"), 2, "--memory"),
        (("--report", "/proc/none/drift.html"), 2, "cannot be written"),
    ],
    ids=["nothing after", "nothing before", "no moment", "no memory", "no report"],
)
def test_what_cannot_be_done_is_refused_in_words(say: Say, more: tuple[str, ...], ends: int, said: str) -> None:
    """A wish that cannot be met costs one sentence that says what would be right; one that is wrong ends with 2."""
    ended, refused = say("drift", "same.csv", *more)
    assert ended == ends
    assert said in refused["error"]


def test_a_model_of_another_strategy_is_refused(say: Say, home: Path, tmp_path: Path) -> None:
    """Where the strategy declares other features, or predicts another outcome, nothing is compared."""
    other = strategy(tmp_path / "other")
    text = (other / "all.yaml").read_text().replace("values: [basic, gold]", "values: [basic, gold, black]")
    (other / "all.yaml").write_text(text)
    ended, refused = say("drift", "same.csv", "--strategy", str(other))
    assert ended == 1
    assert "train it again" in refused["error"]


def test_the_report_shows_drift_and_what_was_put_right(say: Say, tmp_path: Path) -> None:
    """The page of a recalibration holds the alarms, the drawings, and the repairs as a table."""
    say("recalibrate", "moved.csv", "--out", str(tmp_path), "--report", str(tmp_path / "drift.html"))
    page = (tmp_path / "drift.html").read_text()
    assert page.count("<svg") == 2
    assert "Put right" in page
    assert "base rate of" in page
