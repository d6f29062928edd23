"""The words of one version of a strategy: what its decisions looked at and said, for when it is no longer in force."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import msgspec
from msgspec import Struct

from models.context import ValueType
from service.core.decision import Answer
from service.core.strategy import Strategy


class Spoken(Struct, frozen=True, array_like=True):
    """What an action is and says: its kind, its intents, its texts as (channel, placement, text), and its group, which
    is None in words that were kept before groups were.

    The texts are those of the default language as they are written, with their slots: nothing of a customer is in them.
    """

    kind: str
    intents: tuple[str, ...]
    texts: tuple[tuple[str, str, str], ...]
    group: str | None = None


class Words(Struct, frozen=True, array_like=True):
    """The fields of a strategy as (id, type), in the order of its logged values, and its actions by id.

    `purposes` has the letter of what each field is for; it is empty in words that were kept before these were.
    """

    fields: tuple[tuple[str, ValueType], ...]
    actions: Mapping[str, Spoken]
    purposes: str = ""

    @classmethod
    def of(cls, strategy: Strategy) -> Self:
        """Collect the words of a strategy."""
        return cls(
            tuple((field.id, field.type) for field in strategy.schema.fields),
            {
                action.id: Spoken(
                    action.kind.value,
                    action.intents,
                    tuple((one.channel, one.placement, one.text) for one in action.treatments),
                    action.group,
                )
                for action in strategy.actions
            },
            "".join(field.purpose.group for field in strategy.schema.fields),
        )

    def worded(self, answer: Answer, channel: str) -> Answer:
        """Return an answer on a channel in these words, whatever words it is in; a suppression stays as it is."""
        spoken = self.actions.get(answer.action)
        if spoken is None:
            return answer
        texts = {(on, placement): text for on, placement, text in spoken.texts}
        text = texts.get((channel, answer.placement), "")
        return msgspec.structs.replace(answer, kind=spoken.kind, intents=spoken.intents, text=text)
