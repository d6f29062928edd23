"""The JSON of a run has a stated schema, and the tables say what stands in it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from benchmarks import document, report, table
from benchmarks.bench import Plan
from benchmarks.document import Document, SaidSection
from benchmarks.plots import draw
from benchmarks.section import Bound, Figure, SectionResult

CASE = {"actions": 100, "in_flight": 8}
FLOOR = Figure("floor", CASE, "requests", "1/s", (1000.0, 500.0, 1000.0))
DECIDE = Figure("decide", CASE, "requests", "1/s", (600.0, 200.0, 500.0))
P99 = Figure("decide", CASE, "p99", "µs", (1500.0, 2500.0, 1800.0))
RESULT = SectionResult(
    figures=(FLOOR, DECIDE, P99, DECIDE.over(FLOOR)),
    bounds=(Bound("requests over the floor's", 0.5, at_least=0.6), Bound("p99 over the floor's", 1.2, at_most=1.9)),
    notes=("Of 100 looked at: offer 80%.",),
    left_out={"64 in flight": "too few cores"},
    details={"anything": [1, 2]},
)


@pytest.fixture
def said() -> Document:
    """Return a run of three sections: one measured, one that cannot be, one that failed."""
    sections = [
        document.section("decide", "Decide against the floor", 12.34, RESULT),
        SaidSection(name="peers", says="Peers", took_s=0.0, not_measured="Feast is not installed"),
        SaidSection(name="stream", says="Streams", took_s=0.0, failed="the service did not start"),
    ]
    return report.document(Plan(rounds=3), "load", sections, report.machine())


def test_what_is_written_can_be_read(said: Document) -> None:
    """The JSON gives the same document back, to the last figure."""
    text = document.written(said)
    again = document.read(text)
    assert document.written(again) == text
    assert again.sections == said.sections


def test_the_schema_beside_the_program_is_that_of_the_program() -> None:
    """`python -m benchmarks.document --write` makes it anew."""
    assert json.loads(document.FILE.read_text(encoding="utf-8")) == json.loads(json.dumps(document.schema()))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda plain: plain.update(schema=1),
        lambda plain: plain.pop("machine"),
        lambda plain: plain.update(date="yesterday"),
        lambda plain: plain.update(also=1),
        lambda plain: plain["sections"][0]["figures"][0].update(values=[]),
        lambda plain: plain["sections"][0]["figures"][0].update(median="fast"),
        lambda plain: plain["sections"][0].update(name="No Name"),
    ],
    ids=["schema", "lacking", "date", "more", "no values", "no number", "name"],
)
def test_what_is_not_of_the_schema_is_refused(said: Document, spoil) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """Another version, a missing or an unknown part, and values of another kind."""
    plain = json.loads(document.written(said))
    spoil(plain)
    with pytest.raises(msgspec.ValidationError):
        document.read(json.dumps(plain))


def test_every_part_of_the_schema_is_described() -> None:
    """Whoever reads the JSON finds what each property is; those that are lists of others say it there."""
    for name, part in document.schema()["$defs"].items():
        assert part["description"], name
        plain = {key for key, value in part["properties"].items() if not value.get("items", {}).get("$ref")}
        assert all(part["properties"][key].get("description") for key in plain), name


def test_a_figure_tells_its_rounds_and_their_spread(said: Document) -> None:
    """Median, smallest, largest, and one value a round."""
    figure = said.sections[0].figures[-1]
    assert (figure.subject, figure.median, figure.low, figure.high) == ("decide / floor", 0.5, 0.4, 0.6)
    assert figure.values == (0.6, 0.4, 0.5)


def test_the_tables_name_ratios_bounds_and_what_is_missing(said: Document) -> None:
    """Whoever reads the output sees ratios with spread, what was left out and why, what holds, machine and date."""
    text = io.StringIO()
    table.show(said, Console(file=text, width=160))
    for shown in (text.getvalue(), table.markdown(said)):
        for part in (
            "0.50 (0.40 to 0.60)", "1.80 ms", "1,000/s", "offer 80%", "64 in flight: too few cores",
            "Feast is not installed", "the service did not start", "at least 0.6", "at most 1.9", said.date[:10],
        ):  # fmt: skip
            assert part in shown, part
    rows = [line for line in table.promises(said).splitlines() if line.endswith(" no |")]
    assert rows == ["| requests over the floor's | at least 0.6 | 0.5 | no |"]


def test_a_readme_takes_the_table_between_its_marks(tmp_path: Path) -> None:
    """What stood between them is replaced, what stands around them stays; without marks nothing is written."""
    file = tmp_path / "README.md"
    file.write_text(f"a\n{table.BEGINS}\nold\n{table.ENDS}\nz\n")
    for text in ("new\n", "newer\n"):
        table.put_into(file, text)
    assert file.read_text() == f"a\n{table.BEGINS}\nnewer\n{table.ENDS}\nz\n"
    file.write_text("no marks")
    with pytest.raises(table.NoMarks, match="begins"):
        table.put_into(file, "new")
    assert file.read_text() == "no marks"


def test_pictures_are_drawn_of_what_there_is(tmp_path: Path) -> None:
    """Latency, stages and growth are drawn where a run has them, and nothing where it has not."""
    curve = [[0.0, 100.0], [0.9, 200.0], [0.99, 900.0]]
    stages = Figure("decide", {"stage": "read"}, "mean", "µs", (80.0,))
    grown = tuple(
        Figure(name, {"actions": n, "in_flight": 8}, "server CPU", "µs", (100.0 + n / 10,))
        for n in (10, 100) for name in ("floor", "decide")
    )  # fmt: skip
    found = {
        "latency": SectionResult((P99,), details={"curves": {"decide, 50%": curve}}),
        "telemetry": SectionResult((stages,)),
        "matrix": SectionResult(grown),
    }
    sections = [document.section(name, name, 1.0, result) for name, result in found.items()]
    made = draw(report.document(Plan(), "load", sections, report.machine()), tmp_path)
    assert sorted(file.name for file in made) == ["actions.svg", "latency.svg", "stages.svg"]
    assert all(b"<svg" in file.read_bytes() for file in made)
    empty = [document.section(name, name, 1.0, SectionResult((P99,))) for name in found]
    assert draw(report.document(Plan(), "load", empty, report.machine()), tmp_path) == ()
