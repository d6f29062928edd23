"""A report is one file that needs nothing else, says everything twice, and shows what it is given as it is."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.training.report.figures import HOSTILE, NAMES, every, none
from training.errors import TrainingRefused
from training.report.page import Report, Section, Table, page, write_report

_VOID = {"meta", "path", "use", "rect", "line", "circle", "br"}


class _Reader(HTMLParser):
    """Follows the elements of a page: its texts, ids, references and addresses, and whether every one is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.pointed: set[str] = set()
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag != "meta":
            self.open.append(tag)
        self._attributes(attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._attributes(attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def _attributes(self, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "action", "data", "poster"):
                (self.pointed.add if (value or "").startswith("#") else self.addresses.append)((value or "")[1:])
            self.pointed |= set(re.findall(r"url\(#([^)]+)\)", value or ""))


@pytest.fixture(scope="module")
def text() -> str:
    """A page with one of each figure."""
    table = Table("Rows", ("name", "number"), ((HOSTILE, 1234567), ("b", None)))
    sections = (Section("All", (HOSTILE,), tuple(every().values()), (table,)), Section("None"))
    return page(Report("Everything", sections, ("made by a test",)))


@pytest.fixture(scope="module")
def read(text: str) -> _Reader:
    """The page, followed element by element."""
    reader = _Reader()
    reader.feed(text)
    return reader


def test_a_report_needs_nothing_from_outside(text: str, read: _Reader) -> None:
    """No script, no style sheet, image or font is fetched: the only addresses are those inside the page itself."""
    assert read.addresses == []
    assert not read.tags & {"script", "link", "img", "iframe", "object", "embed"}
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []


def test_every_element_is_closed_and_every_reference_leads_somewhere(read: _Reader) -> None:
    """The page is well formed, no id occurs twice, and each reference inside a drawing finds its own drawing's part."""
    assert read.open == []
    assert len(set(read.ids)) == len(read.ids)
    assert read.pointed
    assert read.pointed <= set(read.ids)


def test_what_is_given_is_shown_and_never_run(text: str, read: _Reader) -> None:
    """A name that looks like a script is text, in words, tables, drawings and what is read aloud."""
    assert "<script" not in text
    assert read.text.count(HOSTILE) >= 4


def test_colours_follow_the_reader(text: str) -> None:
    """Nothing is painted in a colour of its own: drawings take the page's, which has a light and a dark form."""
    drawings = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert re.findall(r"#[0-9a-f]{6}\b", drawings) == []
    used = set(re.findall(r"var\((--\w+)\)", drawings))
    light, dark = text.split("@media (prefers-color-scheme: dark)")[:2]
    for name in used:
        assert f"{name}:" in light
        assert f"{name}:" in dark.split("body {")[0]


@pytest.mark.parametrize("name", NAMES)
def test_what_a_figure_shows_is_also_said(name: str) -> None:
    """Each figure has a sentence with its gist for those who cannot see it, and its numbers as a table."""
    figure = every()[name]
    assert len(figure.alt) > 30
    assert figure.alt.endswith(".")
    assert figure.table is not None
    assert figure.table.rows
    assert all(len(row) == len(figure.table.head) for row in figure.table.rows)


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_of_nothing_says_so(name: str) -> None:
    """Without data a figure says that there is nothing to draw, and nothing fails."""
    assert "nothing to draw" in none()[name].alt


def test_a_refused_arm_is_named_without_a_value() -> None:
    """An arm without support stands in the drawing and the table as refused, with the reason and no number."""
    figure = every()["arms"]
    assert "none (refused)" in figure.svg
    assert figure.table is not None
    assert figure.table.rows[1] == ("none", None, None, None, "no support")


def test_equal_reports_are_equal_bytes_in_another_process(text: str) -> None:
    """The same numbers give the same file tomorrow and elsewhere: no date, no random name."""
    script = (
        "import sys; from tests.training.report.figures import *; from training.report.page import *\n"
        "table = Table('Rows', ('name', 'number'), ((HOSTILE, 1234567), ('b', None)))\n"
        "sections = (Section('All', (HOSTILE,), tuple(every().values()), (table,)), Section('None'))\n"
        "sys.stdout.write(page(Report('Everything', sections, ('made by a test',))))"
    )
    made = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    assert made.stdout == text


def test_a_report_that_cannot_be_written_is_refused_in_words(tmp_path: Path) -> None:
    """A folder that is not there costs one sentence, and no half of a file stays."""
    write_report(tmp_path / "a.html", Report("A", ()))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.html"]
    with pytest.raises(TrainingRefused, match="cannot be written"):
        write_report(tmp_path / "none" / "a.html", Report("A", ()))
