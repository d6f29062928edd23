"""What a strategy says about its predictions: which field, what it asks of the future, and what models may look at.

    predictions:
      - {field: predicted.churn, kind: chance, event: notice.given, within: 90d, once: true, features: [past.visits]}
      - {field: predicted.reason, kind: next, event: contact.ended, attribute: reason, within: 30d, features: [...]}
      - {field: predicted.also_bought, kind: bought_with, basket: past.bought_lately, keep: 3}

Training and the job that refreshes predictions read the same declarations.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from models.context import ContextSchema, Field, FoldKind, Source, ValueType
from models.documents import Documents, Problem
from models.records import Record, section_records
from models.schema import unread_fields
from models.shapes import Misfit, Reference, a
from models.trees import Node

MOST_KEPT = 64


class PredictionKind(StrEnum):
    """What a prediction asks of the future."""

    CHANCE = "chance"
    NEXT = "next"
    BOUGHT_WITH = "bought_with"


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one field of `source: model` predicts. Where `history_ms` is not 0, events are only known for so long.

    chance         how likely `event` happens within `within_ms`; with `once` nothing is learned from what a customer
                   did after the first one, though models still speak of those to whom it happened
    next           the value of `attribute` in the next `event`, if one comes within `within_ms`
    bought_with    up to `keep` texts that customers have together with those in the field `basket`, best first
    """

    field: str
    kind: PredictionKind
    event: str
    attribute: str
    within_ms: int
    history_ms: int
    once: bool
    basket: str
    keep: int
    features: tuple[str, ...]

    @property
    def seen(self) -> tuple[str, ...]:
        """The fields that it is computed from."""
        return (*self.features, *filter(None, (self.basket,)))


def parse_predictions(documents: Documents, schema: ContextSchema, problems: list[Problem]) -> tuple[Prediction, ...]:
    """Return the predictions that could be read; with new problems they must only serve to find more."""
    words = _Words(schema, unread_fields(documents, schema), purposes_of(documents))
    taken: dict[str, str] = {}
    found = [
        _prediction(record, words, taken)
        for record in section_records(documents, "predictions", "prediction", problems)
    ]
    return tuple(prediction for prediction in found if prediction is not None)


def purposes_of(documents: Documents) -> Mapping[str, frozenset[str]]:
    """Return what each consent level allows; levels are checked where strategies are loaded to serve."""
    unused: list[Problem] = []
    levels = section_records(documents, "consent", "consent level", unused)
    return {level.text("id"): frozenset(level.texts("purposes")) for level in levels}


@dataclass(frozen=True, slots=True)
class _Words:
    """What predictions may name. `unread` fields have problems of their own and are taken as they are.

    `purposes` maps each consent level to what it allows.
    """

    schema: ContextSchema
    unread: tuple[str, ...]
    purposes: Mapping[str, frozenset[str]]

    def field(self, name: str) -> Field | None:
        """Return a field that could be read."""
        index = self.schema.index.get(name)
        return None if index is None else self.schema.fields[index]

    @property
    def fields(self) -> Collection[str]:
        """All names that are fields, readable or not."""
        return [*self.schema.index, *self.unread]


def _prediction(record: Record, words: _Words, taken: dict[str, str]) -> Prediction | None:
    name = record.text("field", None, Reference(words.fields, "field"))
    if name in taken:
        record.refuse(f"`{name}` is predicted by {taken[name]} already; keep one of them", "field")
    taken.setdefault(name, record.place)
    kind = record.choice("kind", PredictionKind)
    if kind is None:
        record.allow("event", "attribute", "within", "history", "once", "basket", "keep", "features")
    read = _READ[kind](record, name, words) if kind else None
    record.rest_is_refused()
    target = words.field(name)
    if target is not None and kind is not None:
        _check_target(record, target, kind, read, words)
    return read


def _chance(record: Record, name: str, words: _Words) -> Prediction:
    event = record.reference("event", list(words.schema.events), "event")
    within, once = record.duration("within"), record.flag("once", False)
    return Prediction(
        name, PredictionKind.CHANCE, event, "", within, _history(record), once, "", 0, _features(record, words)
    )


def _next(record: Record, name: str, words: _Words) -> Prediction:
    event = record.reference("event", list(words.schema.events), "event")
    declared = words.schema.events.get(event)
    attributes = [one.name for one in declared.attributes if one.values] if declared else []
    shape = Reference(attributes, f"attribute of {event} with `values`") if declared else None
    attribute = record.text("attribute", None, shape)
    within = record.duration("within")
    return Prediction(
        name, PredictionKind.NEXT, event, attribute, within, _history(record), False, "", 0, _features(record, words)
    )


def _bought_with(record: Record, name: str, words: _Words) -> Prediction:
    basket = record.text("basket", None, _Basket(words))
    keep = record.whole("keep", 3, 1, MOST_KEPT)
    return Prediction(name, PredictionKind.BOUGHT_WITH, "", "", 0, 0, False, basket, keep, ())


_READ: dict[PredictionKind, Callable[[Record, str, _Words], Prediction]] = {
    PredictionKind.CHANCE: _chance,
    PredictionKind.NEXT: _next,
    PredictionKind.BOUGHT_WITH: _bought_with,
}
_GIVES = {
    PredictionKind.CHANCE: ValueType.DOUBLE,
    PredictionKind.NEXT: ValueType.STRING,
    PredictionKind.BOUGHT_WITH: ValueType.STRINGS,
}


def _history(record: Record) -> int:
    return record.duration("history") if record.has("history") else 0


def _features(record: Record, words: _Words) -> tuple[str, ...]:
    return record.values("features", _Feature(words), required=True)


def _check_target(record: Record, target: Field, kind: PredictionKind, read: Prediction | None, words: _Words) -> None:
    """See that the field is one that models write, of the type that this kind of prediction gives."""
    if target.source is not Source.MODEL:
        record.refuse(f"`{target.id}` comes from {target.source}; give it `source: model`", "field")
    if target.type is not _GIVES[kind]:
        remedy = f"write `type: {_GIVES[kind]}` there"
        record.refuse(
            f"a prediction of kind {kind} gives {_GIVES[kind]}, and `{target.id}` is {a(target.type)}; {remedy}",
            "field",
        )
    if read is not None:
        _check_consent(record, target, read, words)
    declared = words.schema.events.get(read.event) if read and kind is PredictionKind.NEXT else None
    known = (
        next((one.values for one in declared.attributes if one.name == read.attribute), ()) if declared and read else ()
    )
    missing = [value for value in known if value not in target.bounds.values]
    if missing:
        record.refuse(f"the `values` of `{target.id}` lack `{missing[0]}`, which can come; add it there", "field")


def _check_consent(record: Record, target: Field, read: Prediction, words: _Words) -> None:
    """See that whoever may know the prediction may know what it was computed from.

    Otherwise it would still tell what a withdrawn consent hides.
    """
    for source in filter(None, map(words.field, read.seen)):
        for level, allowed in words.purposes.items():
            if target.purpose in allowed and source.purpose not in allowed:
                record.refuse(
                    f"is computed from `{source.id}`, which is for {source.purpose}, and the consent level `{level}` "
                    f"allows {target.purpose} but not that; give `{target.id}` the purpose {source.purpose}, or leave "
                    f"`{source.id}` out",
                    "basket" if read.basket else "features",
                )
                return


@dataclass(frozen=True, slots=True)
class _Feature:
    """A field that a prediction can be computed from: folded from events, so that training can know it of the past."""

    words: _Words
    wanted: str = "name fields that are folded from events"

    def read(self, node: Node) -> str:
        """See Shape."""
        name = Reference(self.words.fields, "field").read(node)
        field = self.words.field(name)
        if field is None:
            return name
        if field.source is not Source.EVENTS:
            raise Misfit(f"names `{name}`, which comes from {field.source}; {self.wanted}")
        if field.type is ValueType.STRINGS:
            raise Misfit(f"names `{name}`, a list of texts, which no model can see; name a field of another type")
        if field.type is ValueType.STRING and not field.bounds.values:
            raise Misfit(f"names `{name}`, whose texts are not known; give the field `values`")
        return name


@dataclass(frozen=True, slots=True)
class _Basket:
    """A field that lists what a customer has."""

    words: _Words
    wanted: str = "name a field with a fold of kind recent, such as what was bought last"

    def read(self, node: Node) -> str:
        """See Shape."""
        name = Reference(self.words.fields, "field").read(node)
        field = self.words.field(name)
        if field is not None and (field.fold is None or field.fold.kind is not FoldKind.RECENT):
            raise Misfit(f"names `{name}`, which lists nothing; {self.wanted}")
        return name
