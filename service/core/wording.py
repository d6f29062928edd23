"""Wording: what an action says, its slots filled from what may be known and said, in the customer's language.

Words without slots in one language stay plain texts, and cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import TypeAlias
from unicodedata import category

from models.clock import zone_of
from models.context import ContextSchema, Purpose, Scalar, ValueType
from service.core.strategy import Strategy, Treatment, Worded
from service.core.templates import Slot, check_slot, pieces

LONGEST_VALUE = 64
LONGEST_TAG = 35

_Values: TypeAlias = Sequence[Scalar | None]
_Filler: TypeAlias = Callable[[_Values], str | None]
"""Returns the words for a value; None where it is unknown, or cannot be said."""

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0\u17b4\u17b5\U0001d159")
"""Letters and signs that look like nothing, though they are none of the unseen."""
_MARKS = frozenset({"Mn", "Me"})
_CALENDAR_ENDS = (OverflowError, ValueError, OSError)


@dataclass(frozen=True, slots=True)
class Template:
    """Words with slots: the pieces, and what is said `otherwise`."""

    parts: tuple[str | _Filler, ...]
    otherwise: str
    fields: tuple[str, ...]

    def said(self, values: _Values) -> str:
        """Return the words with all slots filled; where one cannot be, those without."""
        found = []
        for part in self.parts:
            text = part if isinstance(part, str) else part(values)
            if text is None:
                return self.otherwise
            found.append(text)
        return "".join(found)


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that depend on what is known: of one or several languages.

    `plain` is what is said of nobody in particular, in the default language. `fields` are those that fill slots.
    """

    plain: str
    fields: tuple[str, ...]
    _default: str | Template
    _languages: Mapping[str, str | Template]
    _prefers: int | None

    def said(self, values: _Values) -> str:
        """Return the words for a customer of whom these values are known and may be used."""
        words = self._default if self._prefers is None else self._spoken(values[self._prefers])
        return words if isinstance(words, str) else words.said(values)

    def _spoken(self, preferred: Scalar | None) -> str | Template:
        if isinstance(preferred, str) and (words := self._languages.get(preferred)) is not None:
            return words
        return spoken(self._languages, preferred) or self._default


def spoken(languages: Mapping[str, str | Template], preferred: Scalar | None) -> str | Template | None:
    """Return the words of the preferred language (BCP 47), or of a wider one that contains it: `de` for `de-AT`."""
    if not isinstance(preferred, str):
        return None
    tag = preferred[: LONGEST_TAG + 1].strip().lower().replace("_", "-")
    while tag and len(tag) <= LONGEST_TAG:
        if (words := languages.get(tag)) is not None:
            return words
        tag = tag.rpartition("-")[0]
    return None


class Phrasebook:
    """Compiles the words of one strategy. Raises BadWords for those that no loader should have let through."""

    def __init__(self, strategy: Strategy) -> None:
        self._schema = strategy.schema
        language = strategy.language
        self._default = language.default if language else ""
        self._prefers = strategy.schema.index[language.field] if language else None

    def phrase(self, treatment: Treatment) -> str | Phrase:
        """Return what a treatment says: a plain text where that depends on nothing."""
        written = treatment.languages or (Worded("", treatment.text, treatment.otherwise),)
        languages = {one.language: self._words(one) for one in written}
        first = languages[written[0].language]
        default = spoken(languages, self._default) or first
        texts = set(languages.values())
        if len(texts) == 1 and isinstance(default, str):
            return default
        named = [words.fields for words in languages.values() if isinstance(words, Template)]
        fields = tuple(sorted({name for names in named for name in names}))
        plain = default if isinstance(default, str) else default.otherwise
        return Phrase(plain, fields, default, languages, self._prefers if treatment.languages else None)

    def _words(self, worded: Worded) -> str | Template:
        found = pieces(worded.text)
        slots = [piece for piece in found if isinstance(piece, Slot)]
        if not slots:
            return "".join(piece for piece in found if isinstance(piece, str))
        for slot in slots:
            check_slot(slot, self._schema)
        parts = tuple(piece if isinstance(piece, str) else _filler(piece, self._schema) for piece in found)
        otherwise = "".join(piece for piece in pieces(worded.otherwise) if isinstance(piece, str))
        return Template(parts, otherwise, tuple(dict.fromkeys(slot.field for slot in slots)))


def purposes_of(phrase: str | Phrase, schema: ContextSchema) -> Mapping[str, Purpose]:
    """Return the purpose of each field that may stand in the words."""
    if isinstance(phrase, str):
        return {}
    return {name: schema.fields[schema.index[name]].purpose for name in phrase.fields}


# -------------------------------------------------------------------------------------------------------------- slots


def _filler(slot: Slot, schema: ContextSchema) -> _Filler:
    at = schema.index[slot.field]
    kind = schema.fields[at].type
    if kind is ValueType.STRING:
        return lambda values: cleaned(values[at])
    if kind is ValueType.DOUBLE:
        return lambda values: _decimal(values[at], slot.decimals or 0)
    if kind is ValueType.INT:
        return lambda values: _digits(values[at])
    return _date_in(schema, at)


def cleaned(value: Scalar | None) -> str | None:
    """Return a text as it may stand in a sentence: on one line, without what is not seen; None for nothing or too much.

    Control characters, marks of direction and other invisible ones are removed, white space becomes single spaces.
    """
    if not isinstance(value, str) or len(value) > 4 * LONGEST_VALUE:
        return None
    if not value.isprintable():  # it is, but for names that somebody made up
        value = "".join(letter for letter in value if letter.isspace() or category(letter) not in _UNSEEN)
    text = " ".join(value.split())
    return text if 0 < len(text) <= LONGEST_VALUE and (text.isascii() or _is_seen(text)) else None


def _is_seen(text: str) -> bool:
    """Tell whether there is a letter to see, and not only blanks, fillers of syllables and marks on nothing."""
    return any(not (letter.isspace() or letter in _BLANK or category(letter) in _MARKS) for letter in text)


def _digits(value: Scalar | None) -> str | None:
    return str(value) if type(value) is int else None


def _decimal(value: Scalar | None, decimals: int) -> str | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value):
        return None
    text = f"{value:z.{decimals}f}"
    return text if len(text) <= LONGEST_VALUE else None


def _date_in(schema: ContextSchema, at: int) -> _Filler:
    """Return what tells the date of a moment where the customer is, as 2026-12-01."""
    named = schema.time_zone
    zone_at = schema.index.get(named.field) if named else None
    default = zone_of(named.default) if named and named.default else None

    def date(values: _Values) -> str | None:
        name = None if zone_at is None else values[zone_at]
        zone = default if name is None else zone_of(str(name))
        moment = values[at]
        if type(moment) is not int or zone is None:
            return None
        try:
            return datetime.fromtimestamp(moment // 1000, zone).date().isoformat()
        except _CALENDAR_ENDS:
            return None

    return date
