"""The contact before this one: on which channel something was said, and how long ago.

These fields are there in every strategy whose documents name one of them. They come from the memory of what was said to
the person on any channel, so neither events nor requests tell them, and no history of events does.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableSequence
from dataclasses import dataclass

from models.context import Attribute, ContextSchema, Field, Purpose, Scalar, Source, ValueType, field_key
from models.documents import Documents
from models.trees import Items, Leaf, Node

LAST_CHANNEL, MINUTES_SINCE_LAST = "present.last_channel", "present.minutes_since_last"
OF_CONTACTS = (LAST_CHANNEL, MINUTES_SINCE_LAST)
REMEMBERED_MS = 86_400_000
"""How long a contact counts as the one before: a day."""
_MINUTE_MS = 60_000


def contact_fields() -> tuple[Field, ...]:
    """Return the fields of the contact before, in the order in which they stand at the end of a schema."""
    return (
        _field(LAST_CHANNEL, "The channel of the contact before this one, within a day.", ValueType.STRING),
        _field(MINUTES_SINCE_LAST, "The minutes since the contact before this one, within a day.", ValueType.DOUBLE),
    )


def _field(name: str, says: str, kind: ValueType) -> Field:
    key = field_key(name)  # never used: contacts are kept beside the fields
    return Field(name, kind, Purpose.SERVICE, says, None, None, Attribute(name, kind), key, Source.MEMORY)


def names_contacts(documents: Documents) -> bool:
    """Tell whether any text of the documents names a field of the contact before."""
    texts = (text for root in documents.roots for text in _texts(root))
    return any(name in text for text in texts for name in OF_CONTACTS)


def _texts(node: Node) -> Iterator[str]:
    if isinstance(node, Leaf):
        yield node.text
        return
    for part in node.nodes if isinstance(node, Items) else node.nodes.values():
        yield from _texts(part)


@dataclass(frozen=True, slots=True)
class ContactBefore:
    """Tells the contact before from when and where it was.

    >>> from models.context import ContextSchema
    >>> before, values = ContactBefore.of(ContextSchema.of((), contact_fields())), [None, None]
    >>> before.fill(values, "web", 1_790_000_000_000, 1_790_000_300_000)
    >>> values
    ['web', 5.0]
    """

    _channel: int
    _minutes: int

    @classmethod
    def of(cls, schema: ContextSchema) -> ContactBefore | None:
        """Return the teller of a schema, or None where its strategy asks for none of this."""
        known = LAST_CHANNEL in schema.index
        return cls(schema.index[LAST_CHANNEL], schema.index[MINUTES_SINCE_LAST]) if known else None

    def fill(self, values: MutableSequence[Scalar | None], channel: str, at_ms: int, now_ms: int) -> None:
        """Write the contact of `at_ms` into values that follow the schema's fields, if it was within a day of now.

        A contact that is still to come, as in a simulation of the past, is not known.
        """
        if 0 <= now_ms - at_ms < REMEMBERED_MS:
            values[self._channel] = channel
            values[self._minutes] = (now_ms - at_ms) / _MINUTE_MS
