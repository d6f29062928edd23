"""What a process counts is read by OpenTelemetry and by operators, stays small, and tells nothing of customers."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Sum

from service.telemetry import COUNTED, MOST_LABELS, OTHER, Counts


def read(counts: Counts) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Return what the real SDK collects: by metric, the numbers by attributes."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    counts.observe(provider.get_meter("tact"))
    data = reader.get_metrics_data()
    provider.shutdown()
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for resource in data.resource_metrics if data else ():
        for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
            assert isinstance(metric.data, Sum)
            assert metric.data.is_monotonic
            found[metric.name] = {
                tuple((name, str(label)) for name, label in (point.attributes or {}).items()): point.value
                for point in metric.data.data_points
            }
    return found


def test_what_was_counted_is_read_by_the_opentelemetry_sdk() -> None:
    """Each count is a growing sum named `tact.…`, with one number a label."""
    counts = Counts()
    counts.add("check.disagreed", "no-selling-over-a-ticket")
    counts.add("check.disagreed", "no-selling-over-a-ticket")
    counts.add("check.disagreed", "consent")
    counts.add("memory.conflicts", times=4)
    assert read(counts) == {
        "tact.check.disagreed": {(("rule", "no-selling-over-a-ticket"),): 2, (("rule", "consent"),): 1},
        "tact.memory.conflicts": {(): 4},
    }


def test_a_meter_reads_the_numbers_of_the_moment_it_collects() -> None:
    """What is counted after a meter began to look is in its next collection."""
    counts, reader = Counts(), InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    counts.observe(provider.get_meter("tact"))
    numbers = []
    for _ in range(2):
        counts.add("decisions", "said")
        data = reader.get_metrics_data()
        assert data is not None
        metric = data.resource_metrics[0].scope_metrics[0].metrics[0].data
        assert isinstance(metric, Sum)
        numbers.append([point.value for point in metric.data_points])
    provider.shutdown()
    assert numbers == [[1], [2]]


def test_an_operator_reads_a_copy() -> None:
    """What was told is not changed by what happens later, and names every count, also those at nought."""
    counts = Counts()
    before = counts.told()
    counts.add("switch.off", "fibre-upgrade")
    assert set(before) == {count.name for count in COUNTED}
    assert before["switch.off"] == {}
    assert counts.told()["switch.off"] == {"fibre-upgrade": 1}


def test_the_number_of_labels_is_bounded() -> None:
    """However many labels come, a count tells a fixed number apart, and loses none of what was counted."""
    counts = Counts()
    for number in range(3 * MOST_LABELS):
        counts.add("caps.bound", f"cap-{number}")
    told = counts.told()["caps.bound"]
    assert len(told) == MOST_LABELS + 1
    assert told[OTHER] == 2 * MOST_LABELS
    counts.add("caps.bound", "cap-0")
    assert counts.told()["caps.bound"]["cap-0"] == 2


@pytest.mark.parametrize("label", ["anna@example.org", "Anna Example", "+49 170 1234567", "x" * 65, "a\nb"])
def test_what_does_not_look_like_an_id_is_no_label(label: str) -> None:
    """A label that no strategy could hold, such as an address, is counted without its words."""
    counts = Counts()
    counts.add("caps.bound", label)
    assert counts.told()["caps.bound"] == {OTHER: 1}


def test_a_count_that_there_is_not_is_refused() -> None:
    """A name that is misspelt fails where it is written, and makes no new metric."""
    with pytest.raises(KeyError):
        Counts().add("caps.bund")


def test_the_guide_names_every_count() -> None:
    """Who reads a metric finds in the guide what it counts."""
    guide = (Path(__file__).parents[3] / "docs" / "policy.md").read_text()
    for count in COUNTED:
        assert f"`{count.name}`" in guide
        assert not count.label or f"`{count.label}`" in guide
