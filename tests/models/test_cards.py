"""A model card says what the manifest says, in plain text, whatever stands there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from models.artifacts import Manifest, read_artifact
from models.cards import card_of
from tests.models.forgery import artifact


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Return an honest manifest."""
    return read_artifact(artifact(tmp_path / "small")).manifest


def changed(manifest: Manifest, **facts: Any) -> str:  # noqa: ANN401 - any fact of a manifest
    """Return the card of a manifest with other facts."""
    return card_of(msgspec.structs.replace(manifest, **facts))


def test_a_card_tells_use_limits_data_quality_and_fairness(manifest: Manifest) -> None:
    """All that somebody who decides about a model must know stands there, with what is not known."""
    quality = {"said": {"all": {"rows": 50, "outcomes": 9, "auc": 0.81234567, "log_loss": 0.31}}}
    told = changed(
        manifest,
        format=2,
        metrics=quality,
        outcome="completed",
        influenced=True,
        left_out={"rare": "3 rows"},
        warnings=("past.duration is only known after the call",),
        fairness={"past.tier": {"gold": {"rows": 40, "rate": 0.25}}},
    )
    for words in (
        "Intended use", "must not decide about credit", "2026-11-01", "AUC 0.8123", "`completed`", "influence",
        "`rare`: 3 rows", "past.duration is only known after", "past.tier = gold: rows 40, rate 0.25", "scikit-learn",
    ):  # fmt: skip
        assert words in told
    assert "Not measured" in card_of(manifest)
    assert "Not looked at when it was made" in card_of(manifest)


def test_a_recalibrated_version_names_what_it_came_from(manifest: Manifest) -> None:
    """Whoever reads its card finds the model that was recalibrated."""
    assert "Recalibrated from `small@0123456789ab`" in changed(manifest, kind="recalibrated", of="small@0123456789ab")


def test_no_fact_can_break_out_of_its_place(manifest: Manifest) -> None:
    """Text from data neither ends its line nor begins markup: headings and links of a card are its own."""
    evil = "x\n# A heading\n<script>alert(1)</script> [link](http://evil) `code`"
    told = changed(manifest, left_out={evil: evil}, strategy=evil)
    assert "\n# A heading" not in told
    assert "<script>" not in told
    assert "[link]" not in told
    assert told.count("\n## ") == card_of(manifest).count("\n## ")


def test_metrics_of_any_shape_make_a_card(manifest: Manifest) -> None:
    """A trainer may write what it likes there; the card tells what it understands."""
    odds: list[dict[str, Any]] = [{"said": None}, {"said": 7}, {"said": {"all": None}}, {"said": {"all": {"auc": "?"}}}]
    for odd in odds:
        assert changed(manifest, metrics=odd).startswith("# Model card")
    assert changed(manifest, fairness={"f": 7, "g": {"a": "text"}}).startswith("# Model card")
