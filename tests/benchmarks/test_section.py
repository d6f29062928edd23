"""Figures, bounds and interleaving: what every section is made of."""

from __future__ import annotations

import math
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.__main__ import chosen, measured, numbers
from benchmarks.bench import LEAST_S, Plan, Workbench
from benchmarks.evidence import NotDecided
from benchmarks.section import Bench, Bound, Figure, NotMeasured, SectionResult, turned
from benchmarks.sections import MODULES, sections

CASE = {"in_flight": 8}


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    """A round in which the machine was slow for both weighs no more than another: 0.6, 0.4, 0.5 give 0.5."""
    floor = Figure("floor", CASE, "requests", "1/s", (1000.0, 500.0, 1000.0))
    decide = Figure("decide", CASE, "requests", "1/s", (600.0, 200.0, 500.0))
    ratio = decide.over(floor)
    assert (ratio.subject, ratio.unit, ratio.values) == ("decide / floor", "x", (0.6, 0.4, 0.5))
    assert ratio.median == 0.5


@pytest.mark.parametrize("values", [(), (1.0, math.nan), (math.inf,)], ids=["none", "nan", "endless"])
def test_what_is_no_number_is_no_figure(values: tuple[float, ...]) -> None:
    """Nothing measured, or divided by nothing, cannot be told as a figure."""
    with pytest.raises(ValueError, match="no figures"):
        Figure("decide", CASE, "requests", "1/s", values)


def test_rounds_of_another_number_are_not_compared() -> None:
    """A ratio pairs rounds: where one subject has more of them, that is a mistake and no ratio."""
    one, two = Figure("a", CASE, "p99", "µs", (1.0,)), Figure("b", CASE, "p99", "µs", (1.0, 2.0))
    with pytest.raises(ValueError, match=r"shorter|longer"):
        two.over(one)


@pytest.mark.parametrize(("measured", "holds"), [(0.6, True), (0.59, False), (math.inf, True)])
def test_a_lower_bound_holds_from_its_value_on(measured: float, holds: bool) -> None:
    """At least 0.6 is 0.6, too."""
    assert Bound("requests", measured, at_least=0.6).holds is holds


@pytest.mark.parametrize(("measured", "holds"), [(1.9, True), (1.91, False), (0.0, True)])
def test_an_upper_bound_holds_up_to_its_value(measured: float, holds: bool) -> None:
    """At most 1.9 is 1.9, too."""
    assert Bound("p99", measured, at_most=1.9).holds is holds


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5, unique=True), st.integers(1, 7))
def test_every_round_has_each_subject_once(subjects: list[str], rounds: int) -> None:
    """Whatever drifts weighs on each alike: of two neighbouring rounds one is the other backwards."""
    order = list(turned(subjects, rounds))
    each = [[name for number, name in order if number == place] for place in range(rounds)]
    assert all(names == (subjects if place % 2 == 0 else subjects[::-1]) for place, names in enumerate(each))


def test_interleaved_values_stand_in_the_order_of_rounds(tmp_path: Path) -> None:
    """Values of a subject come round by round, though every second round is measured backwards."""
    count = iter(range(100))
    with Workbench(tmp_path, Plan(rounds=3)) as bench:
        found = bench.interleaved({"a": lambda: next(count), "b": lambda: next(count)})
    assert found == {"a": (0, 3, 4), "b": (1, 2, 5)}


def test_no_section_begins_when_the_time_is_up(tmp_path: Path) -> None:
    """A quick run that has taken too long leaves out what is left, in words; another run takes its time."""
    with (
        Workbench(tmp_path, Plan(within_s=LEAST_S / 2)) as bench,
        pytest.raises(NotMeasured, match="quick run"),
        bench.in_time(),
    ):
        pytest.fail("it began")
    with Workbench(tmp_path, Plan()) as bench, bench.in_time():
        pass


def test_a_section_is_stopped_when_the_time_is_up(tmp_path: Path) -> None:
    """What takes too long ends as not measured in the middle, and what comes after it is not disturbed."""
    before = signal.getsignal(signal.SIGALRM)
    began = time.monotonic()
    with Workbench(tmp_path, Plan(within_s=LEAST_S + 0.4)) as bench:
        with pytest.raises(NotMeasured, match="quick run"), bench.in_time():
            time.sleep(30)  # it is woken
        assert time.monotonic() - began < 15
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_every_section_has_a_name_of_its_own() -> None:
    """`--only` chooses by it; each says what it measures."""
    there = sections()
    assert len({section.name for section in there}) == len(there) == len(MODULES)
    assert all(section.says and re.fullmatch("[a-z][a-z_-]*", section.name) for section in there)


@dataclass
class Ends:
    """A section that ends in a given way."""

    name: str
    by: Exception | None = None
    says: str = "Ends in a given way"

    def run(self, bench: Bench) -> SectionResult:
        """End."""
        if self.by:
            raise self.by
        return SectionResult((Figure("decide", CASE, "p99", "µs", (1.0,)),))


def test_a_section_that_fails_takes_nobody_along() -> None:
    """One that cannot run says why, one that fails what was wrong, also by mistake; the last has its figures."""
    run = [
        Ends("a", NotMeasured("no peer here")), Ends("b", NotDecided("an empty answer")),
        Ends("c", ZeroDivisionError("oops")), Ends("d"),
    ]  # fmt: skip
    said: list[str] = []
    one, two, three, four = measured(Plan(), run, said.append).sections
    assert (one.not_measured, one.failed) == ("no peer here", "")
    assert (two.not_measured, two.failed) == ("", "an empty answer")
    assert "ZeroDivisionError: oops" in three.failed
    assert "Traceback" in three.failed  # a mistake of ours is told in full
    assert (one.figures, two.figures, three.figures) == ((), (), ())
    assert (four.failed, len(four.figures)) == ("", 1)


def test_sections_are_chosen_by_name() -> None:
    """In the order in which they run; a soak only where it is asked for; a name that there is not is refused."""
    there = [Ends("decide"), Ends("matrix"), Ends("soak")]
    assert [section.name for section in chosen(None, there, 0.0)] == ["decide", "matrix"]
    assert [section.name for section in chosen(None, there, 60.0)] == ["decide", "matrix", "soak"]
    assert [section.name for section in chosen("matrix,decide", there, 0.0)] == ["decide", "matrix"]
    with pytest.raises(typer.BadParameter, match="no section speed; there are decide, matrix, soak"):
        chosen("decide,speed", there, 0.0)


@pytest.mark.parametrize("text", ["", "8,", "eight", "0", "8,-1", "8.5"])
def test_calls_in_flight_are_whole_numbers(text: str) -> None:
    """Anything else is refused with what was written."""
    with pytest.raises(typer.BadParameter, match=f"'{text}'"):
        numbers(text)
    assert numbers("8,64") == (8, 64)
