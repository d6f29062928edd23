"""The contact before this one: known for a day, in strategies that ask for it, and to nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.contact import LAST_CHANNEL, MINUTES_SINCE_LAST, ContactBefore, contact_fields
from models.context import ContextSchema, Purpose, Scalar, Source
from models.documents import DocumentsRefused
from models.schema import load_context
from service.core.loader import load_strategy
from service.core.strategy import Strategy
from tests.strategies import edited, write_strategy

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000
ASKED = edited(
    "weights", "present.cart_value > 50.0", "present.last_channel == 'web' && present.minutes_since_last < 30.0"
)


@pytest.mark.parametrize(
    ("ago_ms", "known"),
    [
        (0, ("web", 0.0)),
        (90_000, ("web", 1.5)),
        (DAY_MS - 60_000, ("web", 1439.0)),
        (DAY_MS, (None, None)),
        (-1, (None, None)),
    ],
    ids=["now", "90-seconds", "nearly-a-day", "a-day", "to-come"],
)
def test_a_contact_is_the_one_before_for_a_day(ago_ms: int, known: tuple[Scalar | None, ...]) -> None:
    """Older ones are not, and what a simulation of the past has still before it is not known."""
    before = ContactBefore.of(ContextSchema.of((), contact_fields()))
    assert before is not None
    values: list[Scalar | None] = [None, None]
    before.fill(values, "web", NOW_MS - ago_ms, NOW_MS)
    assert tuple(values) == known


def test_the_fields_are_there_where_a_document_names_one(tmp_path: Path) -> None:
    """Nobody declares them, and a strategy that asks for none of them has none: it pays nothing."""
    plain = load_strategy(write_strategy(tmp_path / "plain")).schema
    assert LAST_CHANNEL not in plain.index
    assert ContactBefore.of(plain) is None
    asked = load_context(write_strategy(tmp_path / "asked", weights=ASKED))
    assert [field.id for field in asked.fields[-2:]] == [LAST_CHANNEL, MINUTES_SINCE_LAST]
    assert {(field.source, field.purpose) for field in asked.fields[-2:]} == {(Source.MEMORY, Purpose.SERVICE)}
    assert [field.id for field in asked.fields[:-2]] == [field.id for field in plain.fields]


BAD = {
    "declared": (
        "fields",
        "  - {id: present.last_channel, says: X., type: string, purpose: service, source: request}\n",
        "is built in, wherever a document names it; remove it here",
    ),
    "seen-by-models": ("model", "", "which the past that is learned from does not tell; take it out"),
    "material": ("consistency", "", "comes from the memory and would change with every contact"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_it_is_not_for_is_refused_with_a_remedy(tmp_path: Path, case: str) -> None:
    """Nobody declares it, no model learns from it, and no promise depends on it."""
    section, more, told = BAD[case]
    texts = {
        "fields": edited("fields", "fields:\n", f"fields:\n{more}"),
        "model": "model:\n  features: [present.minutes_since_last]\n",
        "consistency": (
            "consistency:\n  - {id: story, says: X., keep: {kinds: [offer]}, for: 7d,"
            " until_changes: [present.last_channel]}\n"
        ),
    }
    with pytest.raises(DocumentsRefused, match=told):
        load_strategy(write_strategy(tmp_path / "strategy", **{section: texts[section]}))


def test_conditions_over_it_are_typed(tmp_path: Path) -> None:
    """A channel is a text and minutes are a double: a number in the place of the channel is refused."""
    wrong = edited("weights", "present.cart_value > 50.0", "present.last_channel == 5")
    with pytest.raises(DocumentsRefused, match=r"weights\.yaml:6"):
        load_strategy(write_strategy(tmp_path / "strategy", weights=wrong))
    right: Strategy = load_strategy(write_strategy(tmp_path / "right", weights=ASKED))
    assert right.schema.fields[-1].type.value == "double"
