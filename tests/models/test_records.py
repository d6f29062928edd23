from __future__ import annotations

from enum import StrEnum

import pytest

from models.documents import Problem
from models.records import Record
from models.shapes import CATEGORY, NAME, Reference
from models.trees import Budget, grow


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def record(text: str) -> Record:
    """Return a document as a record; what is wrong gathers in its `problems`."""
    problems: list[Problem] = []
    root = grow("x.yaml", text, Budget(1_000), problems)
    assert root is not None, problems
    return Record(root, "order", problems)


def named(text: str, taken: dict[str, str]) -> Record:
    """Return a record whose id was read."""
    read = record(text)
    read.id(taken)
    return read


def said(record: Record) -> list[str]:
    """Return the messages that have gathered."""
    return [problem.message for problem in record.problems]


TRAPS = "no Yes off true 010 1e3 1E3 0x1F 0o17 1_000 12:30 1.5 .5 .inf -.INF .nan ~ null 2026-11-21 << = -1 +1 1."


@pytest.mark.parametrize("text", [*TRAPS.split(), "", "2026-11-21 10:00:00"])
def test_what_yaml_reads_as_something_else_is_no_text(text: str) -> None:
    """Words that YAML or one of its versions reads as a truth, a number, a date or nothing are refused as texts."""
    read = record(f"k: {text}")
    assert read.text("k") == ""
    assert len(read.problems) == 1
    assert "; " in said(read)[0]


@pytest.mark.parametrize("text", ["no", "010", "1e3", "2026-11-21", "null"])
def test_quotes_make_a_text(text: str) -> None:
    """What stands in quotes is a text, and the refusal without them says so."""
    assert record(f"k: '{text}'").text("k") == text
    unquoted = record(f"k: {text}")
    unquoted.text("k")
    assert text == "null" or f'put it in quotes: "{text}"' in said(unquoted)[0]


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("-1", -1), ("+2.50", 2.5), ("1e3", 1000), ("1.5E-3", 0.0015)])
def test_decimal_numbers_are_read(text: str, number: float) -> None:
    """Plain decimal numbers are read as what they look like."""
    read = record(f"k: {text}")
    assert read.number("k") == number
    assert not read.problems


@pytest.mark.parametrize(
    "text", ["010", "0x1F", "1_000", "12:30", ".inf", ".nan", "1e999", "'1'", "[1]", "one", "1,5", ""]
)
def test_what_is_no_decimal_number_is_refused(text: str) -> None:
    """Octal, sexagesimal, infinite, quoted and other writings of numbers are refused."""
    read = record(f"k: {text}")
    read.number("k")
    assert said(read)[0].endswith("; write a number")


@pytest.mark.parametrize(("text", "fits"), [("0", True), ("9", True), ("10", False), ("-1", False), ("1.0", False)])
def test_whole_numbers_keep_to_their_bounds(text: str, fits: bool) -> None:
    """Bounds are part of what is allowed, and are named."""
    read = record(f"k: {text}")
    read.whole("k", low=0, high=9)
    assert said(read) == ([] if fits else [f"`k` is `{text}`; write a whole number from 0 to 9"])


def test_whole_numbers_have_64_bits() -> None:
    """A number that needs more than 64 bits is refused."""
    for number, fits in ((2**63 - 1, True), (2**63, False), (-(2**63), True), (-(2**63) - 1, False)):
        read = record(f"k: {number}")
        assert (read.whole("k") == number and not read.problems) is fits


@pytest.mark.parametrize(
    ("text", "ms"), [("45s", 45_000), ("30m", 1_800_000), ("12h", 43_200_000), ("7d", 604_800_000)]
)
def test_durations_have_a_unit(text: str, ms: int) -> None:
    """Seconds, minutes, hours and days become milliseconds."""
    assert record(f"k: {text}").duration("k") == ms


@pytest.mark.parametrize("text", ["7", "0s", "1.5h", "7 d", "7w", "-7d", "9999d", "7D", "[7d]"])
def test_other_durations_are_refused(text: str) -> None:
    """A duration without a known unit, of no length or beyond ten years is refused."""
    read = record(f"k: {text}")
    assert read.duration("k") == 0
    assert len(read.problems) == 1


def test_a_flag_is_true_or_false() -> None:
    """Only `true` and `false` are flags, not YAML's other words for them."""
    assert record("k: true").flag("k")
    for text in ("yes", "on", "True", "1", "'true'"):
        read = record(f"k: {text}")
        read.flag("k")
        assert said(read)[0].endswith("; write true or false")


def test_a_choice_names_what_there_is() -> None:
    """A word that is no choice is answered with the choices."""
    assert record("k: blue").choice("k", Colour) is Colour.BLUE
    read = record("k: green")
    assert read.choice("k", Colour) is None
    assert said(read) == ["`k` is `green`; write red or blue"]


def test_a_missing_value_is_asked_for_where_it_belongs() -> None:
    """What is missing is reported at the record, in words that say what to write; a default makes it optional."""
    read = record("\n\nother: 1")
    assert read.number("k", low=0, high=1) == 0
    assert [(p.line, p.message) for p in read.problems] == [(3, "the order has no `k`; write a number from 0 to 1")]
    assert read.number("k", 0.5) == 0.5
    assert read.flag("k", False) is False
    assert len(read.problems) == 1


def test_lists_are_read_item_by_item() -> None:
    """Each bad item of a list is reported at its own line, repeated ones too, and the good ones are kept."""
    read = record("k:\n  - one\n  - Two\n  - three\n  - one\n")
    assert read.texts("k") == ("one", "three")
    assert [problem.line for problem in read.problems] == [3, 5]


def test_a_reference_names_the_nearest_word() -> None:
    """A slip in a name is answered with the name that was meant; a strange one with what there is."""
    slip = record("k: gerting")
    slip.value("k", Reference(("greeting", "offer"), "kind"), None, "")
    strange = record("k: zzz")
    strange.value("k", Reference(("greeting", "offer"), "kind"), None, "")
    assert said(slip) == ["`k` names `gerting`, which is no known kind; did you mean `greeting`?"]
    assert said(strange) == ["`k` names `zzz`, which is no known kind; known are `greeting`, `offer`"]


def test_an_unknown_key_is_refused_with_the_nearest_that_was_asked_for() -> None:
    """Whatever nobody asked for is refused at its own line, and what was asked for is not."""
    read = record("id: x\npropensty: 1\n")
    read.text("id")
    read.number("propensity", 0)
    read.rest_is_refused()
    assert [str(p) for p in read.problems] == ["x.yaml:2: an order has no key `propensty`; did you mean `propensity`?"]


def test_ids_are_taken_once() -> None:
    """The second record of an id is refused and told where the first one stands."""
    taken: dict[str, str] = {}
    for text in ("id: no", "id: no"):
        assert not any("taken" in message for message in said(named(text, taken)))
    first, second = record("id: x"), record("\nid: x")
    assert (first.id(taken), second.id(taken)) == ("x", "x")
    assert [str(p) for p in second.problems] == ["x.yaml:2: the id `x` is taken by x.yaml:1; give this order another"]


@pytest.mark.parametrize("text", ["a" * 65, "-a", "A", "a b", "a|b", "ä", "'a\n\n  b'"])
def test_names_are_plain(text: str) -> None:
    """Names are small letters, digits and a few signs, so that they can stand in keys, logs and links."""
    read = record(f"k: {text}")
    assert read.text("k", shape=NAME) == ""
    assert len(read.problems) == 1


def test_long_texts_are_refused_by_length() -> None:
    """A text beyond its longest length is refused without being repeated in the message."""
    read = record("k: " + "x" * 129)
    read.text("k", shape=CATEGORY)
    assert said(read) == ["`k` has 129 characters; write at most 128"]


def test_messages_show_strange_values_safely() -> None:
    """A value in a message is short, on one line and without signs that a terminal obeys."""
    read = record('k: "\\e[31m' + "x" * 100 + '\\nred"')
    read.choice("k", Colour)
    (message,) = said(read)
    assert message.isprintable()
    assert len(message) < 120


def test_a_list_or_mapping_in_place_of_a_text_is_named() -> None:
    """What stands in the wrong place is called what it is."""
    for text, name in (("[a]", "a list"), ("{a: b}", "a mapping"), ("", "empty")):
        read = record(f"k: {text}")
        read.text("k")
        assert said(read) == [f"`k` is {name}; write a text"]
