"""Claims about `python -m training fit --log`: from a table to a version with trees that may serve, and its report."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import skops.io

from models.artifacts import ESTIMATORS, MANIFEST, load_folded, version_of
from training.__main__ import main
from training.decisions import Decisions
from training.strategy import read_strategy

from ...training.learning.world import drawn

STRATEGY = """\
strategy: {name: bent, says: A world of two signs., currency: EUR, safe_greeting: hello, explore: 0.0}
fields:
  - {id: present.a, says: One sign., type: double, purpose: service, source: request}
  - {id: present.b, says: Another sign., type: double, purpose: service, source: request}
  - {id: present.after, says: Known afterwards., type: double, purpose: service, source: request}
actions:
  - {id: hello}
  - {id: offer-1, kind: offer, group: offers}
  - {id: offer-2, kind: offer, group: offers}
model: {features: [present.a, present.b]}
"""
HEAD = (
    "decision_id", "customer_id", "at", "action", "probability", "feature.present.a", "feature.present.b",
    "feature.present.after", "outcomes",
)  # fmt: skip


def write(folder: Path, decisions: Decisions) -> list[str]:
    """Write strategy and log; return the arguments of `fit` that name them."""
    (folder / "bent").mkdir(parents=True)
    (folder / "bent" / "all.yaml").write_text(STRATEGY)
    out = StringIO()
    rows = csv.writer(out)
    rows.writerow(HEAD)
    for place, code in enumerate(decisions.action.tolist()):
        action, happened = decisions.actions[code], decisions.happened[place, code] == 1.0
        at = f"2026-{1 + place // 20_000:02}-01T{place // 3600 % 24:02}:{place // 60 % 60:02}:{place % 60:02}Z"
        came = json.dumps([{"action": action, "kind": "accepted", "at": at}] if happened else [])
        a, b = decisions.x[place, [0, 2]].tolist()
        rows.writerow((f"d{place}", f"c{decisions.customer[place]}", at, action, 0.5, a, b, float(happened), came))
    (folder / "log.csv").write_text(out.getvalue())
    return ["--strategy", str(folder / "bent"), "--log", str(folder / "log.csv")]


@dataclass(frozen=True)
class Trained:
    """A folder, the arguments that name its files, and what was printed."""

    folder: Path
    files: list[str]
    report: dict[str, Any]

    @property
    def artifact(self) -> Path:
        """Return the folder of the version."""
        return Path(self.report["artifact"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Train once on 4,000 decisions of one offer and thirty of another."""
    folder = tmp_path_factory.mktemp("log")
    files = write(folder, drawn(1, (0, 4000, 30), bent=True))
    out = StringIO()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sys.stdout", out)
        assert main(["fit", *files, "--out", str(folder / "out"), "--report", str(folder / "r.html"), "--json"]) == 0
    return Trained(folder, files, json.loads(out.getvalue()))


def test_a_log_becomes_a_version_that_serves_trees(trained: Trained) -> None:
    """The manifest tells learner, calibration and what is borrowed; the arrays load for the strategy, with trees."""
    learning = trained.report["learning"]["said"]
    assert learning["offer-1"]["learner"].startswith("boosted trees")
    assert learning["offer-1"]["rows"] == 4000
    assert learning["offer-2"]["from"] == "group offers"
    assert learning["offer-2"]["borrows"] == "30 rows; 100 are needed, so it borrows from group offers"
    declared = read_strategy(trained.folder / "bent")
    folded = load_folded(trained.artifact, declared.space)
    scorer = folded.aligned(("offer-1", "offer-2"), (0.5, 0.5))
    high, low = (scorer.score(declared.space.encode((1.0, sign, None), 0))[0][0] for sign in (1.0, -1.0))
    assert high > 0.7
    assert low < 0.2


def test_a_version_with_trees_is_verified(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    """Trees and estimators are compared again before they serve."""
    assert main(["verify", str(trained.artifact), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["largest_difference"] <= 1e-12


def test_the_report_stands_alone(trained: Trained) -> None:
    """One file says how good the model is, what was learned, what it looks at and what the log holds."""
    page = (trained.folder / "r.html").read_text()
    for words in ("How good the forecasts are", "What was learned", "What the models look at", "present.b", "<svg"):
        assert words in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_other_features_can_be_tried_and_leaks_are_named(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    """With `--features` the column that is only known afterwards is named in words; what is made cannot serve."""
    features = ["--features", "present.a,present.after", "--forests", "0"]
    assert main(["fit", *trained.files, *features, "--out", str(trained.folder / "tried")]) == 0
    said = capsys.readouterr().out
    assert "warning: present.after may be a leak: " in said
    assert "present.a may" not in said
    assert main(["fit", *trained.files, "--features", "present.shoes"]) == 2
    assert "--features: feature 'present.shoes' is not a declared field" in capsys.readouterr().err


def beyond_the_end(forest: Any) -> None:  # noqa: ANN401
    """Let a node lead to foreign memory."""
    forest._predictors[0][0].nodes["left"][0] = 1_000_000


def a_circle(forest: Any) -> None:  # noqa: ANN401
    """Let a node lead to itself."""
    forest._predictors[0][0].nodes["right"][0] = 0


def a_foreign_column(forest: Any) -> None:  # noqa: ANN401
    """Let a node ask for a column that is not there."""
    forest._predictors[0][0].nodes["feature_idx"][0] = 4_000


def a_category(forest: Any) -> None:  # noqa: ANN401
    """Let a node look into bits that are not there."""
    forest._predictors[0][0].nodes["is_categorical"][0] = 1


def other_leaves(forest: Any) -> None:  # noqa: ANN401
    """Let the estimators say something else than the arrays, by a hundred-millionth."""
    forest._predictors[0][0].nodes["value"] += 1e-8


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (beyond_the_end, "a forest that cannot be walked"),
        (a_circle, "a forest that cannot be walked"),
        (a_foreign_column, "a forest that cannot be walked"),
        (a_category, "a forest that cannot be walked"),
        (other_leaves, "trees and estimators differ"),
    ],
)
def test_forests_that_nobody_vouches_for_are_looked_at_before_they_are_walked(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Any], None], words: str
) -> None:
    """A forged forest is refused in words, and never walked: scikit-learn would read foreign memory."""
    from hashlib import sha256

    import msgspec

    from models.artifacts import Manifest
    from training.forest_checks import TRUSTED

    forged = tmp_path / "forged"
    forged.mkdir()
    for file in trained.artifact.iterdir():
        (forged / file.name).write_bytes(file.read_bytes())
    found = skops.io.load(forged / ESTIMATORS, trusted=TRUSTED)
    spoil(found["forests"][0])
    (forged / ESTIMATORS).write_bytes(skops.io.dumps(found))
    manifest = msgspec.json.decode((forged / MANIFEST).read_bytes(), type=Manifest)
    manifest.files[ESTIMATORS] = sha256((forged / ESTIMATORS).read_bytes()).hexdigest()
    assert version_of(manifest) == manifest.version
    (forged / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    assert main(["verify", str(forged)]) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "ends", "words"),
    [
        (["--log", "nowhere"], 1, "nowhere cannot be read"),
        ([], 2, "name what to learn from: --log, or --events and --decisions"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(
    trained: Trained, capsys: pytest.CaptureFixture[str], arguments: list[str], ends: int, words: str
) -> None:
    """Without a usable source training ends with 1, without any with 2, and says which to name."""
    assert main(["fit", *trained.files[:2], *arguments]) == ends
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--forests", "65"], ["--forests", "x"], ["--memory", "1"], ["--seed", "-1"]])
def test_wrong_numbers_are_refused(trained: Trained, arguments: list[str]) -> None:
    """Numbers out of range end with 2, before anything is read."""
    with pytest.raises(SystemExit) as ended:
        main(["fit", *trained.files, *arguments])
    assert ended.value.code == 2
