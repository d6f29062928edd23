"""The dashboard asks for numbers that there are, by labels that they have, and leaves none of them out."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from service.rpc.admission.admission import Admission
from service.rpc.admission.told import families
from service.telemetry.counts import COUNTED, Counts
from service.telemetry.families import Kind
from service.telemetry.openmetrics import metric_name
from service.telemetry.reading import Readings, Versions
from service.telemetry.spreads import Durations, Lags
from service.telemetry.timeline import STAGES, Timeline
from tests.project.tree import ROOT

DASHBOARD = json.loads((ROOT / "docs" / "grafana" / "tact.json").read_text())
GUIDE = (ROOT / "docs" / "telemetry.md").read_text()
PLACES = {"job", "instance"}
"""Labels that Prometheus adds itself: where a number was read."""

WORDS = {
    "by", "count", "group_left", "histogram_quantile", "ignoring", "increase", "label_values", "le", "or", "rate",
    "sum", "topk", "vector",
}  # fmt: skip


def samples() -> dict[str, set[str]]:
    """Return every sample that a process tells, by name, with its labels; everything happened once."""
    counts, durations = Counts(), Durations()
    for count in COUNTED:
        counts.add(count.name, "once" if count.label else "")
    line = Timeline(1)
    line.channel, line.admitted, line.serialised = "web", 2, 3
    durations.add(line)
    durations.settle()
    readings = Readings(counts, durations, Lags(), Versions, lambda: False)
    found: dict[str, set[str]] = {}
    for family in (*readings.families(), *families(Admission())):
        name = metric_name(family)
        for point in family.points:
            suffix = {Kind.COUNTER: "_total", Kind.INFO: "_info"}.get(family.kind, "")
            found[name + suffix] = {label for label, _ in point.labels}
        for spreading in family.spreads:
            labels = {label for label, _ in spreading.labels}
            found |= {f"{name}_bucket": labels | {"le"}, f"{name}_count": labels, f"{name}_sum": labels}
    return found


SAMPLES = samples()


def questions() -> Iterator[tuple[str, str]]:
    """Yield every panel's title with each of its questions, and those of the variables."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"]


QUESTIONS = tuple(questions())


def asked_for(question: str) -> set[str]:
    """Return the names of the numbers that a question is about: whatever is no word of the language and no label."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^]]*\]|(?:by|ignoring) \([^)]*\)', "", question)
    return set(re.findall(r"[a-z][a-z_]+", bare)) - WORDS - PLACES


@pytest.mark.parametrize(
    ("title", "question"), QUESTIONS, ids=[f"{at}-{title}" for at, (title, _) in enumerate(QUESTIONS)]
)
def test_a_panel_asks_for_what_there_is(title: str, question: str) -> None:
    """Each name in a question is told by a process, and each label stands on that number."""
    names = asked_for(question)
    assert names, question
    assert names <= SAMPLES.keys()
    known = PLACES.union(*(SAMPLES[name] for name in names))
    labels = set(re.findall(r"(\w+)\s*=~?\"", question))
    labels |= {
        label.strip() for inner in re.findall(r"(?:by|ignoring) \(([^)]*)\)", question) for label in inner.split(",")
    }
    assert labels <= known


def test_the_search_finds_a_name_that_there_is_not() -> None:
    """A number that is misspelt in a question would be noticed."""
    assert asked_for('sum by (le) (rate(tact_decide_durations_bucket{job="x"}[5m]))') == {
        "tact_decide_durations_bucket"
    }


def test_nothing_that_is_told_is_missing_from_the_dashboard() -> None:
    """Every family has a place on the dashboard, so that a new one is not forgotten."""
    shown = set().union(*(asked_for(question) for _, question in QUESTIONS))
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in SAMPLES}
    assert families - {re.sub(r"_(bucket|count|sum)$", "", name) for name in shown} == set()


def test_legends_name_labels_that_are_left() -> None:
    """A legend speaks of labels that the question keeps."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            kept = {
                label.strip() for inner in re.findall(r"by \(([^)]*)\)", target["expr"]) for label in inner.split(",")
            }
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= kept


def test_the_dashboard_can_be_imported() -> None:
    """Panels have ids of their own, stand side by side, and ask the data source that is chosen."""
    panels: list[dict[str, Any]] = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        taken |= cells
        assert panel["type"] == "row" or panel["datasource"]["uid"] == "${datasource}"


def test_the_guide_explains_every_number() -> None:
    """Who sees a number finds in the guide what it says, and every stage."""
    for name in SAMPLES:
        assert f"`{re.sub(r'_(bucket|count|sum)$', '', name)}`" in GUIDE, name
    for stage in STAGES:
        assert f"| {stage} |" in GUIDE, stage
