"""Read what actions say: words with slots, in one language or several, and the section `language`."""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass

from models.context import ContextSchema, Field, Purpose, Source, ValueType
from models.documents import Documents, Problem
from models.records import Record, record_of
from models.schema import unread_fields
from models.shapes import NAME, Misfit, Reference, Text, a, nearest
from models.trees import Leaf, Mapping, Node, shown
from service.core.strategy import Channel, Language, Treatment, Worded
from service.core.templates import BadWords, check_slot, slots_of, told_by
from service.core.wording import LONGEST_TAG, spoken

MOST_SLOTS = 16

_TAG = re.compile(r"[a-z]{2,3}(-[a-z0-9]{1,8})*")
_LANGUAGE = "write a language as BCP 47 names it, such as en, de or pt-br"
_SECTION = "write `language: {field: past.language, default: en}`"
_OTHERWISE = "write `otherwise`, the words without slots, for whom a slot cannot be filled"
_OF_A_CUSTOMER = (Source.EVENTS, Source.REQUEST)


@dataclass(frozen=True, slots=True)
class _Tag:
    """A language tag, in small letters."""

    wanted: str = _LANGUAGE

    def read(self, node: Node) -> str:
        """Return the tag. Raises Misfit."""
        tag = Text(_LANGUAGE, longest=LONGEST_TAG).read(node).lower()
        if not _TAG.fullmatch(tag):
            raise Misfit(f"is `{shown(tag)}`; {_LANGUAGE}")
        return tag


@dataclass(frozen=True, slots=True)
class WordsReader:
    """Reads the words of treatments. `unread` names fields with problems of their own, `language` is unset where no
    document has that section.
    """

    schema: ContextSchema
    unread: tuple[str, ...]
    language: Language | None

    @classmethod
    def of(cls, documents: Documents, schema: ContextSchema, problems: list[Problem]) -> WordsReader:
        """Read the section `language`, by which words are chosen."""
        unread = unread_fields(documents, schema)
        return cls(schema, unread, _language(documents, schema, unread, problems))

    def treatments(self, record: Record, channels: tuple[Channel, ...]) -> tuple[Treatment, ...]:
        """Return what an action says, one treatment a channel and placement."""
        known = {channel.id: channel for channel in channels if channel.id}
        wanted = "write a list of treatments, each with channel, placements and text"
        found: dict[tuple[str, str], Treatment] = {}
        for treatment in record.records("treatments", "treatment", wanted):
            for one in self._treatment(treatment, known):
                place = (one.channel, one.placement)
                if place in found:
                    treatment.refuse(
                        f"there are words for {one.channel}/{one.placement} already; keep one treatment of them"
                    )
                found.setdefault(place, one)
        return tuple(found.values())

    def _treatment(self, record: Record, channels: MappingOf[str, Channel]) -> tuple[Treatment, ...]:
        channel = channels.get(record.reference("channel", list(channels), "channel"))
        found = self._words(record)
        what = f"placement of {channel.id}" if channel else ""
        shape = Reference(channel.placements, what) if channel and channel.placements else NAME
        placements = record.values("placements", shape, required=True)
        record.rest_is_refused()
        by_tag = {one.language: one for one in found}
        first = by_tag.get(_nearest_tag(by_tag, self.language.default if self.language else ""), found[0])
        several = found if first.language else ()
        said = first.text, first.otherwise, several
        return tuple(Treatment(channel.id, placement, *said) for placement in placements) if channel else ()

    def _words(self, record: Record) -> tuple[Worded, ...]:
        """Return the words of every language that is written; one without a language where there is but a text."""
        if not isinstance(record.node.nodes.get("text"), Mapping):
            text = record.text("text")
            otherwise = record.text("otherwise") if record.has("otherwise") else ""
            self._check(record, "", text, otherwise)
            return (Worded("", text, otherwise),)
        if self.language is None:
            record.refuse(f"`text` is in several languages, and no document says who gets which; {_SECTION}", "text")
        texts = _by_language(record, "text")
        others = _by_language(record, "otherwise") if record.has("otherwise") else {}
        for tag in others:
            if tag not in texts:
                record.refuse(f"`otherwise` has words in {tag}, in which there is no `text`; add it there", "otherwise")
        for tag, text in texts.items():
            self._check(record, tag, text, others.get(tag, ""))
        return tuple(Worded(tag, text, others.get(tag, "")) for tag, text in texts.items()) or (Worded("", ""),)

    def _check(self, record: Record, tag: str, text: str, otherwise: str) -> None:
        where = f" in {tag}" if tag else ""
        slots = self._slots(record, "text", text)
        if slots is None or self._slots(record, "otherwise", otherwise) is None:
            return
        if slots and not otherwise and (tag or not record.has("otherwise")):
            record.refuse(f"`text`{where} has slots; {_OTHERWISE}", "text")
        if otherwise and not slots:
            record.refuse(f"`otherwise`{where} is never said, for `text`{where} has no slots; remove it", "otherwise")

    def _slots(self, record: Record, key: str, text: str) -> int | None:
        """Return how many slots a text has; None, with a problem, where it cannot be said."""
        try:
            slots = slots_of(text)
            if slots and key == "otherwise":
                raise BadWords("has slots, and is said where slots cannot be filled; write it without")
            if len(slots) > MOST_SLOTS:
                raise BadWords(f"has {len(slots)} slots; write at most {MOST_SLOTS}")
            for slot in slots:
                self._known(slot.field)
                if slot.field not in self.unread:
                    check_slot(slot, self.schema)
        except BadWords as bad:
            record.refuse(f"`{key}` {bad}", key)
            return None
        return len(slots)

    def _known(self, name: str) -> None:
        known = (*self.schema.index, *self.unread)
        if name not in known:
            raise BadWords(f"names `{shown(name)}`, which is no known field; {nearest(name, known)}")


def _by_language(record: Record, key: str) -> dict[str, str]:
    """Return the words under a key by language; those that cannot be read are left out, with a problem each."""
    written = record.record(key, f"`{key}` by language", "")
    if written is None:
        return {}
    if not written.node.nodes:
        record.refuse(f"`{key}` has words in no language; {_LANGUAGE}, and the words behind it", key)
    found: dict[str, str] = {}
    for name in written.node.nodes:
        line = written.node.key_lines[name]
        try:
            tag = _Tag().read(Leaf(written.node.file, line, name, False, ""))
        except Misfit as misfit:
            record.problems.append(Problem(written.node.file, line, f"a language {misfit}"))
            written.allow(name)
            continue
        if tag in found:
            again = f"the language {tag} has words already; remove one"
            record.problems.append(Problem(written.node.file, line, again))
        found.setdefault(tag, written.text(name))
    return {tag: text for tag, text in found.items() if text}


def _nearest_tag(by_tag: MappingOf[str, Worded], default: str) -> str:
    """Return the language of the words that are said in a language; empty where there are none."""
    found = spoken({tag: tag for tag in by_tag if tag}, default)
    return found if isinstance(found, str) else ""


# ----------------------------------------------------------------------------------------------------------- language


def _language(
    documents: Documents, schema: ContextSchema, unread: tuple[str, ...], problems: list[Problem]
) -> Language | None:
    sections = list(documents.section("language"))
    for again in sections[1:]:
        message = f"the section `language` stands in {sections[0].file}:{sections[0].line} already; keep one of them"
        problems.append(Problem(again.file, again.line, message))
    record = record_of(sections[0], "language", problems) if sections else None
    if record is None:
        return Language("", "") if sections else None
    name = record.text("field", None, Reference([*schema.index, *unread], "field"))
    if name in schema.index:
        _check_language_field(record, schema.fields[schema.index[name]], schema)
    default = record.value("default", _Tag(), None, "")
    record.rest_is_refused()
    return Language(name, default)


def _check_language_field(record: Record, field: Field, schema: ContextSchema) -> None:
    if field.type is not ValueType.STRING:
        record.refuse(f"`{field.id}` is {a(field.type)}; name a field of type string that holds a language", "field")
    elif told := told_by(field, schema):
        name, why = told
        record.refuse(f"`{name}` is {why}, and the language would tell it; name a field that may be said", "field")
    elif field.source not in _OF_A_CUSTOMER:
        record.refuse(f"`{field.id}` comes from {field.source}; name a field from events or from the request", "field")
    elif field.purpose is not Purpose.SERVICE:
        record.refuse(
            f"`{field.id}` is for {field.purpose}; name a field of purpose service, for to be understood is service",
            "field",
        )
