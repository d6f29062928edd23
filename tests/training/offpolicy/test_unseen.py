"""No model is judged on what it learned from, unless somebody asks for it; and then nothing is claimed of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from rich.progress import Progress

from models.artifacts import Rows
from service.core.loader import load_strategy
from service.evaluating.policies import Writer
from service.evaluating.rows import TableLog, files_of
from tests.service.evaluating.world import Pilot, make_pilot
from training.errors import TrainingRefused
from training.log.build import Built, build
from training.log.build import Order as LogOrder
from training.offpolicy import evaluating
from training.offpolicy.evaluating import Order, evaluated
from training.offpolicy.telling import in_words
from training.strategy import read_strategy
from training.worlds.tastes import STRATEGY


class _Manifest(msgspec.Struct):
    rows: Rows


@pytest.fixture(scope="module")
def pilot(tmp_path_factory: pytest.TempPathFactory) -> Pilot:
    """Make the pilot of a demo world with the policies on it."""
    made = make_pilot(tmp_path_factory.mktemp("pilot"), 60, cells=False)
    out = made.folder / "policies.parquet"
    Writer(load_strategy(STRATEGY), None, None).write(TableLog(files_of(made.table)), out, lambda done, more: None)
    return made


@pytest.fixture(scope="module")
def built(pilot: Pilot) -> Built:
    """Read its log."""
    return build(LogOrder(read_strategy(STRATEGY), pilot.table), Progress(disable=True))


def _told(pilot: Pilot, last_ms: int, *, also: bool, at: pytest.MonkeyPatch, report: Path | None = None) -> Any:  # noqa: ANN401  a document
    """Evaluate with a model that learned from the decisions up to a moment."""
    last = datetime.fromtimestamp(last_ms / 1000, UTC).isoformat(timespec="milliseconds")
    zeros = {name: 0 for name in Rows.__struct_fields__ if name not in ("first", "last")}
    artifact = type("Artifact", (), {"manifest": _Manifest(Rows(**zeros, first=last, last=last))})
    at.setattr(evaluating, "read_artifact", lambda folder: artifact)
    order = Order(
        STRATEGY, pilot.table, None, None, pilot.folder / "policies.parquet",
        models=(Path("model"),), also_learned_from=also, report=report,
    )  # fmt: skip
    return evaluated(order, Progress(disable=True))


def _verdicts(told: Mapping[str, Any]) -> set[str]:
    over = [arm["over_log"] for arm in told["arms"].values() if arm["over_log"]]
    return {one["verdict"] for one in (*told["differences"], *over)}


def test_what_a_model_learned_from_is_left_out(pilot: Pilot, built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only decisions after the last one that it learned from are valued, and it is said how many were left out."""
    at_ms = np.sort(built.decisions.at_ms)
    last = int(at_ms[len(at_ms) // 3])
    later = int((at_ms > last).sum())
    told = _told(pilot, last, also=False, at=monkeypatch)
    assert (told["rows"], told["left_out"], told["in_sample"]) == (later, len(at_ms) - later, False)
    assert f"{len(at_ms) - later:,} decisions up to {told['since']} are left out" in in_words(told)
    assert "in-sample" not in in_words(told)
    assert 0 < later < len(pilot.rows)


def test_where_nothing_is_left_it_is_refused(pilot: Pilot, built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that ends with what the model learned from tells nothing of it, and the words say what to do."""
    with pytest.raises(TrainingRefused, match="no model is judged on what it learned from"):
        _told(pilot, int(built.decisions.at_ms.max()), also=False, at=monkeypatch)


def test_in_sample_nothing_is_claimed(
    pilot: Pilot, built: Built, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Who wants them all gets values that are marked on every page, and no sentence of better."""
    page = tmp_path / "page.html"
    last = int(built.decisions.at_ms.max())
    told = _told(pilot, last, also=True, at=monkeypatch, report=page)
    assert (told["rows"], told["left_out"], told["in_sample"]) == (len(built.decisions), 0, True)
    assert _verdicts(told) <= {"in-sample"}
    words, html = in_words(told), page.read_text("utf-8")
    assert " better than" not in words + html
    assert "uplift (in-sample)" in words
    assert "propensities (in-sample): AUC" in words
    assert "How true the propensities are (in-sample)" in html


def test_a_model_that_learned_before_the_log_is_judged_on_all_of_it(
    pilot: Pilot, built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for or not, nothing is in-sample where the log begins after what the model has seen."""
    told = _told(pilot, int(built.decisions.at_ms.min()) - 1, also=True, at=monkeypatch)
    assert (told["left_out"], told["in_sample"]) == (0, False)
    assert "in-sample" not in _verdicts(told)
