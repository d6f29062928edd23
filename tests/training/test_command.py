"""Claims about `python -m training`: from files to a version, the same again, and clear words where it cannot be."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from models.artifacts import load_folded
from models.schema import load_context
from tests.training.world import Person, World, world, write_lines
from training.__main__ import main
from training.strategy import read_strategy


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        """Return the one JSON object that was printed."""
        (line,) = self.out.splitlines()
        report: dict[str, Any] = json.loads(line)
        return report


def training(*arguments: str) -> Done:
    """Run the command in this process, which has already paid for importing scikit-learn."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = int(str(ended.code))
    return Done(code, out.getvalue(), err.getvalue())


def started(*arguments: str, cwd: Path) -> Done:
    """Run `python -m training` as users and the service do, with warnings as errors."""
    command = [sys.executable, "-W", "error", "-m", "training", *arguments]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env={"PYTHONPATH": root}, timeout=120)
    return Done(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Trained:
    """A world, the arguments that name its files, and the version made from it."""

    world: World
    files: list[str]
    out: Path
    report: dict[str, Any]

    @property
    def artifact(self) -> Path:
        """Return the folder of the version."""
        return Path(self.report["artifact"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Train once on a world of 6,000 decisions."""
    folder = tmp_path_factory.mktemp("world")
    drawn = world(1, customers=500)
    files = drawn.write(folder)
    done = training("fit", *files, f"--out={folder / 'out'}", "--json")
    assert done.code == 0, done.err
    return Trained(drawn, files, folder / "out", done.report)


def test_training_ends_with_a_version_and_its_figures(trained: Trained) -> None:
    """One JSON object says where the version is, what it was made from and how good it is."""
    report = trained.report
    assert trained.artifact == trained.out / "yes-or-no" / report["version"].removeprefix("yes-or-no@")
    assert report["actions"] == ["fibre", "phone"]
    assert report["baselines"] == ["phone"]
    assert report["left_out"]["hello"] == "no rows"
    assert "are needed" in report["left_out"]["rare"]
    assert report["rows"]["decisions"] == 6000
    assert report["rows"]["events"] == len(trained.world.events)
    assert report["parity"]["largest_difference"] <= 1e-12
    figures = report["metrics"]["said"]["all"]
    assert figures["rows"] == sum(one["rows"] for one in report["metrics"]["said"]["actions"].values())
    assert figures["log_loss"] < figures["log_loss_of_the_rate"]
    assert figures["calibration_error"] < 0.05


def test_the_manifest_can_be_read_by_people(trained: Trained) -> None:
    """The manifest is indented, sorted, and says what was printed; no draft stays behind."""
    text = (trained.artifact / "manifest.json").read_text()
    manifest = json.loads(text)
    assert text == json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert manifest == {name: fact for name, fact in trained.report.items() if name != "artifact"}
    assert [path.name for path in trained.artifact.parent.iterdir()] == [trained.artifact.name]
    assert str(trained.out) not in text


def test_the_model_ranks_almost_as_well_as_the_truth(trained: Trained) -> None:
    """On a new world, as serving scores it, ranking loses less than 0.01 of AUC against the true probabilities."""
    declared = read_strategy(Path(trained.files[0].partition("=")[2]))
    scorer = load_folded(trained.artifact, declared.space).aligned(("phone", "fibre"), (0.5, 0.5))
    fresh = world(99, customers=800)
    index = declared.schema.index
    said: dict[str, list[tuple[float, float, int]]] = {"phone": [], "fibre": [], "nothing": []}
    for row, truth in zip(fresh.decisions, fresh.truths, strict=True):
        if row["action"] == "rare":
            continue
        values: list[object] = [None] * len(index)
        values[index["past.visits"]] = truth.visits or None
        values[index["past.tier"]] = None if truth.gold is None else "gold" if truth.gold else "basic"
        values[index["present.mood"]] = truth.mood
        scores = scorer.score(declared.space.encode(values, row["at"]))
        scored = {"phone": scores[0][0], "fibre": scores[0][1], "nothing": scores[1][0]}[row["action"]]
        said[row["action"]].append((float(scored), truth.chance(row["action"]), *row["outcomes"].values()))
    for action, rows in said.items():
        scored_p, true_p, outcomes = (np.array(column) for column in zip(*rows, strict=True))
        assert roc_auc_score(outcomes, scored_p) > roc_auc_score(outcomes, true_p) - 0.01, action
        assert np.abs(scored_p - true_p).mean() < 0.04, action


def test_the_same_inputs_and_seed_give_the_same_version(trained: Trained, tmp_path: Path) -> None:
    """Trained again elsewhere, from packed files in another order, it is the same version with the same arrays."""
    shuffled = World(trained.world.events[::-1], trained.world.decisions[::-1], trained.world.truths[::-1])
    again = training("fit", *shuffled.write(tmp_path, packed=True), f"--out={tmp_path}", "--json").report
    other = training("fit", *trained.files, f"--out={tmp_path}", "--seed=1", "--json").report
    assert again["version"] == trained.report["version"]
    arrays = [(Path(report["artifact"]) / "folded.npz").read_bytes() for report in (again, trained.report)]
    assert arrays[0] == arrays[1]
    assert other["version"] != trained.report["version"]


def test_training_the_same_version_twice_leaves_the_first(trained: Trained) -> None:
    """A version that is there is not written again; one that was damaged is made whole."""
    estimators = trained.artifact / "model.skops"
    before = estimators.stat().st_ino
    assert training("fit", *trained.files, f"--out={trained.out}").code == 0
    assert estimators.stat().st_ino == before
    estimators.write_bytes(b"damaged")
    assert training("fit", *trained.files, f"--out={trained.out}").code == 0
    assert training("verify", str(trained.artifact)).code == 0


def test_repeats_and_unlabelled_rows_are_counted_and_change_nothing_else(trained: Trained, tmp_path: Path) -> None:
    """Repeated events and decisions count once; decisions without an outcome teach nothing; old actions are left."""
    drawn = trained.world
    extra = [
        drawn.decisions[0],
        drawn.decisions[0] | {"decision_id": "x1", "outcomes": {}},
        drawn.decisions[0] | {"decision_id": "x2", "action": "retired", "outcomes": {"retired": 1}},
    ]
    more = World(drawn.events + drawn.events[:7], drawn.decisions + extra, [*drawn.truths, *drawn.truths[:3]])
    report = training("fit", *more.write(tmp_path), f"--out={tmp_path}", "--json").report
    rows = report["rows"]
    assert (rows["events"], rows["events_repeated"]) == (len(drawn.events), 7)
    assert (rows["decisions"], rows["decisions_repeated"]) == (len(drawn.decisions) + 2, 1)
    assert (rows["decisions_unlabelled"], rows["decisions_of_other_actions"]) == (1, 1)
    assert report["metrics"] == trained.report["metrics"]


def test_verify_says_yes_to_what_was_trained(trained: Trained) -> None:
    """A version fresh from training may serve, in words and in JSON."""
    words, plain = training("verify", str(trained.artifact)), training("verify", str(trained.artifact), "--json")
    assert (words.code, plain.code) == (0, 0)
    assert f"{trained.report['version']} may serve" in words.out
    assert plain.report["ok"] is True
    assert plain.report["largest_difference"] <= 1e-12


def test_verify_says_no_with_the_reason(trained: Trained, tmp_path: Path) -> None:
    """What is no artefact ends with 1, a sentence on stderr and an error in JSON, never with a traceback."""
    done = training("verify", str(tmp_path), "--json")
    assert done.code == 1
    assert "manifest.json cannot be read" in done.err
    assert "manifest.json cannot be read" in done.report["error"]
    assert "Traceback" not in done.err


def no_events(folder: Path) -> None:
    """Take the events away."""
    (folder / "events.jsonl").unlink()


def bad_event(folder: Path) -> None:
    """Add an event of no kind."""
    with (folder / "events.jsonl").open("a") as file:
        file.write('{"event_id":"e","customer_id":"c","type":"sneeze","occurred_at":0}\n')


def no_decisions(folder: Path) -> None:
    """Empty the decisions."""
    write_lines(folder / "decisions.jsonl", [])


def few_decisions(folder: Path) -> None:
    """Keep fifty decisions."""
    lines = (folder / "decisions.jsonl").read_text().splitlines(keepends=True)
    (folder / "decisions.jsonl").write_text("".join(lines[:50]))


def strategy(old: str, new: str) -> Callable[[Path], None]:
    """Change the strategy."""

    def change(folder: Path) -> None:
        path = folder / "yes-or-no" / "all.yaml"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return change


REFUSALS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no events": (no_events, "events.jsonl cannot be read"),
    "a bad event": (bad_event, "'sneeze' is not declared"),
    "no decisions": (no_decisions, "there are no decisions"),
    "few decisions": (few_decisions, "no action has enough rows: fibre: "),
    "a bad strategy": (strategy("kind: count", "kind: cuont"), "all.yaml:8: "),
    "no features": (strategy("features: [past.visits, past.tier, present.mood]", "features: []"), "names no features"),
    "a strange feature": (
        strategy("features: [past.visits", "features: [past.shoes"),
        "'past.shoes' is not a declared",
    ),
    "a name that climbs": (strategy("name: yes-or-no", "name: ../up"), "the name '../up'"),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_what_cannot_be_trained_is_refused_in_words(tmp_path: Path, what: str) -> None:
    """Training ends with 1, or with 2 where an option would mend it, in words and with nothing written."""
    files = world(3, customers=60).write(tmp_path)
    spoil, words = REFUSALS[what]
    spoil(tmp_path)
    done = training("fit", *files, f"--out={tmp_path / 'out'}", "--json")
    assert done.code == (2 if what == "a name that climbs" else 1)
    assert words in done.err
    assert words in done.report["error"]
    assert "Traceback" not in done.err
    assert not list((tmp_path / "out").rglob("*.json")) if (tmp_path / "out").exists() else True


def test_a_wrong_command_is_told_apart(tmp_path: Path) -> None:
    """Missing or wrong arguments end with 2."""
    assert training().code == 2
    assert training("fit").code == 2
    assert training("verify").code == 2
    assert training("fit", f"--strategy={tmp_path}", "--events=e", "--decisions=d", "--seed=-1").code == 2


def test_without_out_the_version_goes_below_models(tmp_path: Path) -> None:
    """The default place is models/artifacts/NAME/VERSION where the command runs; --name gives another name."""
    files = world(3, customers=60).write(tmp_path)
    done = started("fit", *files, "--name=mine", "--json", cwd=tmp_path)
    artifact = done.report["artifact"]
    assert artifact.startswith("models/artifacts/mine/")
    assert (tmp_path / artifact / "folded.npz").is_file()
    assert "reading events.jsonl" in done.err
    assert started("verify", artifact, cwd=tmp_path).code == 0
    assert started("verify", "nowhere", cwd=tmp_path).code == 1


SAYS_WHAT_IT_HAS = """
import runpy, sys
try:
    runpy.run_module("training", run_name="__main__")
except SystemExit as ended:
    print(ended.code, *sorted({"dask", "pandas", "pytest", "sklearn"} & sys.modules.keys()))
"""


def test_a_process_takes_along_only_what_it_uses() -> None:
    """Libraries that scikit-learn and skops would import if they are there are not in a process that verifies."""
    command = [sys.executable, "-c", SAYS_WHAT_IT_HAS, "verify", "nowhere"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=True)
    assert done.stdout.split() == ["1", "sklearn"]


def test_the_world_keeps_the_account_that_training_sees(tmp_path: Path) -> None:
    """The truth of the test's world is in its events: its own account equals the context as of each decision."""
    from models.history import as_of
    from training.progress import unseen
    from training.rows import read_events

    drawn = world(4, customers=40)
    drawn.write(tmp_path)
    schema = load_context(tmp_path / "yes-or-no")
    events = list(read_events(tmp_path / "events.jsonl", schema, unseen))
    moments = [(row["customer_id"], row["at"]) for row in drawn.decisions]
    for values, truth in zip(as_of(schema, ("past.visits", "past.tier"), events, moments), drawn.truths, strict=True):
        visits, tier = values[schema.index["past.visits"]], values[schema.index["past.tier"]]
        gold = None if tier is None else tier == "gold"
        assert Person(visits if isinstance(visits, int) else 0, gold, truth.mood) == truth
