"""Medians and ratios are those of the rounds."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from benchmarks import report
from benchmarks.compare import Plan, Window
from benchmarks.evidence import Evidence
from benchmarks.loadgen import Measured
from benchmarks.stage import Size


def window(subject: str, number: int, throughput: float, p50: float) -> Window:
    """Return a window with these figures."""
    latencies = {"mean": p50, "p50": p50, "p90": p50, "p99": 3 * p50, "p99.9": 4 * p50, "max": 5 * p50}
    sizes = {"min": 90, "mean": 100.0, "max": 110}
    seen = Measured(10, 10, 10, {}, {}, 0, 2.0, throughput, latencies, 1000, sizes, 0.5, {1: 1.0, 2: 0.5})
    return Window(subject, 8, number, seen, 500_000 / throughput, 20.0)


ROUNDS = [(1000.0, 600.0), (500.0, 200.0), (1000.0, 500.0)]
WINDOWS = tuple(
    window(subject, number, throughput, 1e6 / throughput)
    for number, pair in enumerate(ROUNDS)
    for subject, throughput in zip(("floor", "decide"), pair, strict=True)
)
EVIDENCE = Evidence(10, {"offer": 0.8, "greeting": 0.2}, {"exploration": 1.0}, 7, 30, 31)


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    """A round in which the machine was slow for both weighs no more than another: 0.6, 0.4, 0.5 give 0.5."""
    (level,) = report.summary(WINDOWS)
    assert level["in_flight"] == 8
    assert level["floor"]["requests_per_s"] == {"median": 1000.0, "min": 500.0, "max": 1000.0}
    assert level["decide"]["requests_per_s"]["median"] == 500.0
    assert level["ratios"]["requests_per_s"] == {"median": 0.5, "min": 0.4, "max": 0.6}
    assert level["ratios"]["p99_us"]["median"] == pytest.approx(2.0)
    assert level["floor"]["server_core_share"]["median"] == pytest.approx(0.5)
    assert level["floor"]["client_core_share"]["median"] == pytest.approx(0.25)


def test_the_order_of_the_rounds_does_not_matter() -> None:
    """Windows of one round belong together, in whatever order they were measured."""
    assert report.summary(WINDOWS) == report.summary(tuple(reversed(WINDOWS)))


def test_the_json_has_what_the_readme_says() -> None:
    """The document is plain JSON with the parts of its stated schema."""
    said = json.loads(json.dumps(report.document(Plan(rounds=3), Size(), WINDOWS, EVIDENCE, report.machine())))
    assert said["schema"] == 1
    assert set(said) == {"schema", "date", "machine", "plan", "summary", "evidence", "windows"}
    assert set(said["summary"][0]) == {"in_flight", "floor", "decide", "ratios"}
    assert {"requests_per_s", "p50_us", "p99_us", "p99.9_us", "server_cpu_us"} <= set(said["summary"][0]["ratios"])
    assert {"processor", "cores", "python", "versions", "load_average"} <= set(said["machine"])
    assert len(said["windows"]) == 6
    assert said["plan"]["actions"] == 100


def test_the_table_names_the_ratio_the_evidence_and_the_machine() -> None:
    """Whoever reads the output sees ratio, shares, log, machine, date, and that the server had half a core only."""
    text = io.StringIO()
    said = report.document(Plan(rounds=3), Size(), WINDOWS, EVIDENCE, report.machine())
    report.show(said, Console(file=text, width=120))
    shown = text.getvalue()
    assert "only 50% of its core" in shown
    for part in ("0.50 (0.40 to 0.60)", "offer 80%", "31 of them in the decision log", said["date"]):
        assert part in shown
