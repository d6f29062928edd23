"""Read what can be said: actions with their money, and their words on each channel."""

from __future__ import annotations

from collections.abc import Sequence

from models.context import ContextSchema
from models.records import Record
from models.shapes import NAME
from service.core.loader_attributes import Attributes, read_values
from service.core.loader_supply import read_consumes
from service.core.loader_wording import WordsReader
from service.core.rules import Kind
from service.core.strategy import Action, Channel

MOST_MONEY = 1e9
SILENCE = "nothing"


def read_actions(
    records: Sequence[Record],
    channels: tuple[Channel, ...],
    schema: ContextSchema,
    attributes: Attributes,
    words: WordsReader,
) -> tuple[Action, ...]:
    """Return the actions that could be read, each with its treatments on the channels that there are."""
    taken: dict[str, str] = {}
    found = (_action(index, record, taken, channels, schema, attributes, words) for index, record in enumerate(records))
    return tuple(found)


def _action(
    index: int,
    record: Record,
    taken: dict[str, str],
    channels: tuple[Channel, ...],
    schema: ContextSchema,
    attributes: Attributes,
    words: WordsReader,
) -> Action:
    action = Action(
        index=index,
        id=record.id(taken),
        kind=record.choice("kind", Kind) or Kind.MESSAGE,
        intents=record.texts("intents"),
        group=record.text("group", "", NAME),
        tags=record.texts("tags"),
        says=record.text("says"),
        treatments=words.treatments(record, channels),
        value=record.number("value", 0.0, 0.0, MOST_MONEY),
        reward=record.number("reward", 0.0, 0.0, MOST_MONEY),
        cost=record.number("cost", 0.0, 0.0, MOST_MONEY),
        lever=record.number("lever", 1.0, 0.0, 1e6),
        propensity=record.number("propensity", None, 0.0, 1.0),
        consumes=read_consumes(record, schema),
        attributes=read_values(record, attributes),
    )
    if action.kind is Kind.OFFER and not record.has("intents"):
        record.refuse("an offer says what it is for; give it intents, such as [upsell], so that rules can name it")
    if action.id == SILENCE:
        record.refuse(f"`{SILENCE}` is the name of saying nothing; give the action another id", "id")
    record.rest_is_refused()
    return action
