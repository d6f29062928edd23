from __future__ import annotations

from pathlib import Path

import pytest

from models.context import Attribute, ContextSchema, Fold, FoldKind, Purpose, ValueType, field_key
from models.documents import DocumentsRefused, Problem, read_folder
from models.folds import operations
from models.schema import load_context, parse_context
from tests.strategies import SECTIONS, edited, write_strategy

EVENTS = """\
events:
  - id: thing.happened
    says: Something happened.
    attributes:
      flag: bool
      number: int
      amount: double
      word: string
      at: timestamp
      words: strings
  - id: thing.ended
    says: Something ended.
    attributes: {word: string, number: int}
"""
DAY_MS = 86_400_000


def with_field(folder: Path, declared: str, events: str = EVENTS) -> ContextSchema:
    """Return the context of `events` and one field, whose id and sentence are given."""
    folder.mkdir(exist_ok=True)
    (folder / "e.yaml").write_text(events, encoding="utf-8")
    (folder / "f.yaml").write_text("fields:\n  - {id: past.f, says: A field., purpose: service, " + declared + "}\n")
    return load_context(folder)


def refused(folder: Path, declared: str, events: str = EVENTS) -> list[str]:
    """Return why a field is refused."""
    with pytest.raises(DocumentsRefused) as caught:
        with_field(folder, declared, events)
    return [str(problem) for problem in caught.value.problems]


@pytest.fixture
def small(tmp_path: Path) -> ContextSchema:
    """Return the context of the small strategy."""
    return load_context(write_strategy(tmp_path))


def test_events_keep_their_typed_attributes(small: ContextSchema) -> None:
    """Attributes may be written short or long; bounds, values and optional ones are kept."""
    assert small.events["purchase"].attributes == (
        Attribute("amount", ValueType.DOUBLE, False, 0, 100_000),
        Attribute("product", ValueType.STRING),
        Attribute("category", ValueType.STRING, True, values=("phone", "internet", "tv")),
        Attribute("pieces", ValueType.INT, True),
        Attribute("paid_at", ValueType.TIMESTAMP, True),
    )


def test_fields_keep_their_folds(small: ContextSchema) -> None:
    """A fold knows its events, attribute, restriction, time spans in milliseconds and how much it keeps."""
    folds = {field.id: field.fold for field in small.fields}
    assert folds["past.open_tickets"] == Fold(
        FoldKind.OPEN, "ticket.opened", "ticket", closed_by="ticket.closed", closed_key="ticket"
    )
    assert folds["past.phones"] == Fold(FoldKind.COUNT, "purchase", where=(("category", "phone"),))
    assert folds["past.spend_7d"] == Fold(FoldKind.WINDOW_SUM, "purchase", "amount", window_ms=7 * DAY_MS, keep=256)
    assert folds["past.interest"] == Fold(FoldKind.DECAY, "purchase", "amount", half_life_ms=30 * DAY_MS)
    assert folds["past.recent_products"] == Fold(FoldKind.RECENT, "purchase", "product", keep=5)
    assert folds["present.sentiment"] is None


def test_request_fields_keep_their_bounds(small: ContextSchema) -> None:
    """Bounds and values of a field that comes with the request are there to check it."""
    bounds = {field.id: field.bounds for field in small.fields}
    assert (bounds["present.sentiment"].low, bounds["present.sentiment"].high) == (-1, 1)
    assert (bounds["present.cart_value"].low, bounds["present.cart_value"].high) == (0, None)
    assert bounds["present.reason"].values == ("bill", "move")


def test_fields_keep_their_order_and_purpose(small: ContextSchema) -> None:
    """A field's index is its place in the documents, and its purpose the consent that it needs."""
    assert [small.index[field.id] for field in small.fields] == list(range(len(small.fields)))
    assert small.fields[small.index["past.interest"]].purpose is Purpose.PROFILING


def test_the_schema_is_what_the_folds_take(small: ContextSchema) -> None:
    """An event of the schema folds into exactly the fields that declare it."""
    found = operations(small, "purchase", {"amount": 5.0, "product": "x", "category": "phone"})
    keys = {field.key: field.id for field in small.fields}
    declared = {field.id for field in small.fields if field.fold and field.fold.event == "purchase"}
    assert {keys[operation.key] for operation in found} == declared - {"past.paid_at"}


def test_values_are_taken_from_the_attribute(tmp_path: Path) -> None:
    """A text that is folded from an attribute with values has the same values without repeating them."""
    text = edited("fields", "    values: [basic, silver, gold, platinum]\n", "")
    schema = load_context(write_strategy(tmp_path, fields=text))
    assert schema.fields[schema.index["past.tier"]].bounds.values == ("basic", "silver", "gold", "platinum")


def test_a_field_may_have_a_key_of_its_own(tmp_path: Path) -> None:
    """Without `key` a field has the key of its id, with `key` the one that is written."""
    assert with_field(tmp_path, "type: double, fold: {kind: since, event: thing.ended}").fields[0].key == field_key(
        "past.f"
    )
    with_key = with_field(tmp_path, "key: 65535, type: double, fold: {kind: since, event: thing.ended}")
    assert with_key.fields[0].key == 65_535


def test_colliding_keys_are_refused_until_one_is_moved(tmp_path: Path) -> None:
    """Two ids with the same 16-bit key are refused, and the remedy that is named works."""
    taken = f"key: {field_key('past.tier')}"
    colliding = edited("fields", "max_age: 90d", taken)
    with pytest.raises(DocumentsRefused, match="has the store key") as caught:
        load_context(write_strategy(tmp_path, fields=colliding))
    remedy = caught.value.problems[0].message.split("`")[-2]
    moved = load_context(write_strategy(tmp_path, fields=colliding.replace(taken, remedy)))
    assert len({field.key for field in moved.fields}) == len(moved.fields)


GIVES = {
    "last": {"bool": "bool", "int": "int", "double": "double", "string": "string", "timestamp": "timestamp"},
    "first": {"bool": "bool", "int": "int", "double": "double", "string": "string", "timestamp": "timestamp"},
    "min": {"int": "int", "double": "double", "timestamp": "timestamp"},
    "max": {"int": "int", "double": "double", "timestamp": "timestamp"},
    "sum": {"int": "double", "double": "double"},
    "window_sum": {"int": "double", "double": "double"},
    "decay": {"int": "double", "double": "double"},
    "distinct": {"int": "int", "string": "int"},
    "open": {"int": "int", "string": "int"},
    "recent": {"string": "strings"},
    "count": {"": "int"},
    "window_count": {"": "int"},
    "rate": {"": "double"},
    "since": {"": "double"},
}
ATTRIBUTES = {"": "", "bool": "flag", "int": "number", "double": "amount", "string": "word", "timestamp": "at"} | {
    "strings": "words"
}
MORE = {
    "window_sum": ", window: 7d",
    "window_count": ", window: 7d",
    "rate": ", window: 1h, per: 1m",
    "decay": ", half_life: 7d",
}


def fold(kind: str, attribute: str) -> str:
    """Write a complete fold of a kind over an attribute of a type."""
    name = ATTRIBUTES[attribute]
    more = MORE.get(kind, "")
    if kind == "open":
        more = f", closed_by: thing.ended, closed_key: {name if name in ('word', 'number') else 'word'}"
    return f"fold: {{kind: {kind}, event: thing.happened" + (f", attribute: {name}" if name else "") + more + "}"


def test_every_kind_of_fold_has_its_row() -> None:
    """No kind of fold is left out of the table; what a model says is no fold of events."""
    assert {*GIVES, "model"} == {kind.value for kind in FoldKind}


def test_no_events_fold_into_what_a_model_says(tmp_path: Path) -> None:
    """A fold of kind model is refused, and the remedy is named."""
    (problem,) = refused(tmp_path, "type: bool, fold: {kind: model, event: thing.happened}")
    assert "`source: model`" in problem


@pytest.mark.parametrize("kind", GIVES)
def test_a_fold_fits_its_attribute_and_its_field(kind: str, tmp_path: Path) -> None:
    """Of all attributes and types exactly those of the table are accepted for a kind of fold."""
    for attribute in ATTRIBUTES:
        for gives in ValueType:
            declared = f"type: {gives}, {fold(kind, attribute)}"
            if GIVES[kind].get(attribute) == gives:
                found = with_field(tmp_path, declared).fields[0].fold
                assert found is not None
                assert found.kind == kind
            else:
                assert refused(tmp_path, declared)


@pytest.mark.parametrize("kind", [kind for kind in GIVES if kind not in MORE and kind != "open"])
def test_other_kinds_have_no_windows(kind: str, tmp_path: Path) -> None:
    """A window, a half-life or a closing event at a fold that has none is refused, not ignored."""
    attribute = next(iter(GIVES[kind]))
    for key in ("window: 7d", "half_life: 7d", "closed_by: thing.ended", "closed_key: word"):
        declared = f"type: {GIVES[kind][attribute]}, {fold(kind, attribute)}".replace("{kind", f"{{{key}, kind")
        (line,) = refused(tmp_path, declared)
        assert line == f"f.yaml:2: a fold of kind {kind} has no `{key.split(':')[0]}`; remove it"


@pytest.mark.parametrize(
    ("where", "value"),
    [("flag: true", True), ("number: 3", 3), ("amount: 3", 3.0), ("word: three", "three"), ("word: '3'", "3")],
)
def test_what_an_attribute_must_equal_has_its_type(where: str, value: object, tmp_path: Path) -> None:
    """A restriction is read as the attribute's type: a 3 is a whole number, a double or a text."""
    declared = f"type: int, fold: {{kind: count, event: thing.happened, where: {{{where}}}}}"
    found = with_field(tmp_path, declared).fields[0].fold
    assert found is not None
    assert found.where == ((where.partition(":")[0], value),)
    assert type(found.where[0][1]) is type(value)


@pytest.mark.parametrize(
    "where", ["flag: yes", "number: 3.5", "amount: many", "word: 3", "at: 3", "words: [a]", "x: 1"]
)
def test_a_restriction_of_another_type_is_refused(where: str, tmp_path: Path) -> None:
    """A value that an attribute can never equal is refused, and so is an attribute that there is not."""
    declared = f"type: int, fold: {{kind: count, event: thing.happened, where: {{{where}}}}}"
    assert len(refused(tmp_path, declared)) == 1


def test_slips_are_answered_with_what_was_meant(tmp_path: Path) -> None:
    """Slips in the names of events, attributes and keys are answered with the nearest name."""
    declared = "type: int, fold: {kind: count, event: thing.hapened, wher: {}}"
    assert refused(tmp_path, declared) == [
        "f.yaml:2: `event` names `thing.hapened`, which is no known event; did you mean `thing.happened`?",
        "f.yaml:2: a fold has no key `wher`; did you mean `where`?",
    ]


def test_training_sees_the_problems_of_the_context_alone(tmp_path: Path) -> None:
    """Problems of actions and rules are no concern of who reads events and fields."""
    folder = write_strategy(tmp_path, actions="actions: nonsense\n", fields=SECTIONS["fields"] + "  - {id: past.x}\n")
    with pytest.raises(DocumentsRefused) as caught:
        load_context(folder)
    assert {problem.file for problem in caught.value.problems} == {"fields.yaml"}


def test_what_can_be_read_is_returned_beside_the_problems(tmp_path: Path) -> None:
    """A bad field does not hide the good ones, so that conditions over them can still be checked."""
    text = edited("fields", "type: int\n    purpose: service\n    max_age: 400d", "type: int\n    purpose: x")
    problems: list[Problem] = []
    schema = parse_context(read_folder(write_strategy(tmp_path, fields=text)), problems)
    assert len(problems) == 1
    assert "past.tier" in schema.index
    assert "past.open_tickets" not in schema.index
