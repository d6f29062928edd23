"""What a strategy says about outcomes: what counts as one, within what time, and what a decision earned.

    outcomes:
      - id: completed
        says: The member spent enough for the offer and got its reward.
        of: {kinds: [offer]}
        event: offer.completed
        match: offer
        within: 10d
        influenced_by: {event: offer.viewed, match: offer}
      - {id: spend, says: Dollars spent within a week., event: transaction, amount: amount, within: 7d, at_most: 100}
    worth: {spend: 0.3, reward: -1}
    model: {features: [...], outcome: completed, influenced: true}

Without the section, the outcome of an action is that it was reported as accepted with the decision's id. Training reads
the same declarations that the service checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from models.context import Attribute, ContextSchema, EventType, Scalar, ValueType
from models.documents import Documents, Problem
from models.records import Record, section_records
from models.sayables import Sayable, read_chosen, sayables
from models.schema_folds import NUMBERS, read_where
from models.shapes import NAME, Misfit, Number, Reference, listed, nearest
from models.trees import Mapping as Tree
from models.trees import Node, shown

MOST_FACTOR = 1e6
MOST_AMOUNT = 1e9


class Reported(StrEnum):
    """The kinds of outcomes that are reported with a decision's id, as the public contract names them."""

    SHOWN = "shown"
    CLICKED = "clicked"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_NOW = "not_now"
    NEVER = "never"


class Term(StrEnum):
    """What a worth may count besides the declared outcomes: the money of the action that was said.

    value, reward   the declared value and reward, whenever the outcome that models predict happened
    cost            the declared cost, whenever it was said
    """

    VALUE = "value"
    REWARD = "reward"
    COST = "cost"


RESERVED = (*Reported, *Term)
"""Names that no declared outcome may have, for a worth or a log means something else by them."""


@dataclass(frozen=True, slots=True)
class Sign:
    """What tells that something happened: an event, or what was reported with the decision's id (then `kinds`).

    `match` is the attribute of the event that must equal the action's id, empty where events name no action. `where`
    restricts to events whose attributes equal these values.
    """

    event: str = ""
    kinds: tuple[Reported, ...] = ()
    match: str = ""
    where: tuple[tuple[str, Scalar], ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """One thing that can come of a decision that said one of the actions `of`.

    `within_ms` is the attribution window: it counts from the decision on for so long; None has no end, which only what
    is reported with the decision's id may have. `amount` is the attribute of the event that is added up, or `reported`
    for the amounts that were reported; empty means that each counts 1. `at_most` bounds the sum, None does not.
    `influenced_by` is what must have happened between the decision and the outcome for it to count as influenced.
    `anyway` says that events which name the action come without its being said, too: after nothing was said, each of
    `of` is known to have happened anyway or not.
    """

    id: str
    says: str
    of: tuple[str, ...]
    sign: Sign
    within_ms: int | None
    amount: str = ""
    at_most: float | None = None
    influenced_by: Sign | None = None
    anyway: bool = False


@dataclass(frozen=True, slots=True)
class Outcomes:
    """All outcomes of a strategy, the one that models predict, and what a decision earns by which factors.

    `worth` maps ids of outcomes and `Term`s to factors. `influenced` says that of the predicted outcome only what was
    influenced counts. `implied` says that the strategy declares none, so that accepted is the only outcome.
    """

    declared: tuple[Outcome, ...]
    worth: Mapping[str, float]
    predicted: str
    influenced: bool = False
    implied: bool = False
    actions: tuple[Sayable, ...] = field(default=(), repr=False)

    @property
    def target(self) -> Outcome:
        """The outcome that models predict."""
        return next(outcome for outcome in self.declared if outcome.id == self.predicted)

    @property
    def events(self) -> tuple[str, ...]:
        """The types of events that tell of outcomes, or of what influenced them; empty where none does."""
        signs = [s for outcome in self.declared for s in (outcome.sign, outcome.influenced_by) if s and s.event]
        return tuple(dict.fromkeys(sign.event for sign in signs))

    def worth_by(self, factors: Mapping[str, float]) -> Outcomes:
        """Return the same outcomes under another worth; raise `ValueError` in words for a name that there is not."""
        known = (*(outcome.id for outcome in self.declared), *Term)
        for name, factor in factors.items():
            if name not in known:
                raise ValueError(f"the worth names `{shown(name)}`, which is no outcome; {nearest(name, known)}")
            if not abs(factor) <= MOST_FACTOR:
                raise ValueError(f"the worth of `{name}` is no number from {-MOST_FACTOR:,.0f} to {MOST_FACTOR:,.0f}")
        return replace(self, worth=dict(factors))


def implied(actions: tuple[Sayable, ...]) -> Outcomes:
    """Return what holds where a strategy declares no outcomes: accepted with the decision's id, whenever it is told.

    A decision then earns the amount that was reported (the declared value where none was), less reward and cost.
    """
    sign = Sign(kinds=(Reported.ACCEPTED,))
    ids = tuple(action.id for action in actions)
    only = Outcome(Reported.ACCEPTED, "The customer took it.", ids, sign, None, "reported")
    worth = {Reported.ACCEPTED.value: 1.0, Term.REWARD.value: -1.0, Term.COST.value: -1.0}
    return Outcomes((only,), worth, only.id, implied=True, actions=actions)


def parse_outcomes(documents: Documents, schema: ContextSchema, problems: list[Problem]) -> Outcomes:
    """Return the outcomes that could be read; with new problems they must only serve to find more."""
    actions = sayables(documents)
    taken: dict[str, str] = {}
    records = section_records(documents, "outcomes", "outcome", problems)
    found = [outcome for record in records if (outcome := _outcome(record, taken, schema, actions))]
    unread = bool(records) and not found
    outcomes = _declared(tuple(found), actions) if found else implied(actions)
    for section in documents.section("worth"):
        outcomes = _worth(section, outcomes, problems, unread)
    for section in documents.section("model"):
        if isinstance(section, Tree):
            outcomes = _of_model(Record(section, "model", problems), outcomes, unread)
    return outcomes


def _declared(found: tuple[Outcome, ...], actions: tuple[Sayable, ...]) -> Outcomes:
    worth = {Term.VALUE.value: 1.0, Term.REWARD.value: -1.0, Term.COST.value: -1.0}
    return Outcomes(found, worth, found[0].id, actions=actions)


def _outcome(
    record: Record, taken: dict[str, str], schema: ContextSchema, actions: tuple[Sayable, ...]
) -> Outcome | None:
    outcome_id, says = record.id(taken), record.text("says")
    if outcome_id in RESERVED:
        record.refuse(f"`{outcome_id}` has a meaning of its own in every strategy; write another id", "id")
    of = read_chosen(record, "of", actions)
    sign = _sign(record, schema)
    # What is told by an event would otherwise be told by all that ever comes.
    within = record.duration("within") if sign.event or record.has("within") else None
    amount = _amount(record, sign, schema)
    at_most = record.number("at_most", None, 0.0, MOST_AMOUNT) if record.has("at_most") else None
    if at_most is not None and not record.has("amount"):
        record.refuse("`at_most` bounds a sum, and there is no `amount`; name one or remove it", "at_most")
    anyway = _anyway(record, sign)
    influence = record.record("influenced_by", "`influenced_by`", "")
    influenced_by = _sign(influence, schema) if influence else None
    if influence:
        influence.rest_is_refused()
    record.rest_is_refused()
    ids = tuple(action.id for action in actions if of.means(action))
    found = Outcome(outcome_id, says, ids, sign, within, amount, at_most, influenced_by, anyway)
    return found if outcome_id else None


def _sign(record: Record, schema: ContextSchema) -> Sign:
    """Read an event or the kinds that are reported, of which there is one."""
    by_event, by_report = record.has("event"), record.has("kinds")
    if by_event == by_report:
        wrong = "both `event` and `kinds`" if by_event else "neither `event` nor `kinds`"
        wanted = f"write `event` for what events tell or `kinds` for what is reported, of {listed(list(Reported))}"
        record.refuse(f"the {record.what} has {wrong}; {wanted}", "kinds" if by_event else "")
    kinds = record.choices("kinds", Reported, required=False)
    if by_report and not by_event:
        if not record.items("kinds", "", False) and not kinds:
            record.refuse(f"`kinds` names nothing that is reported; name one of {listed(list(Reported))}", "kinds")
        for key in ("match", "where"):
            if record.has(key):
                record.refuse(f"`{key}` is about events, and this is reported with the decision; remove it", key)
        return Sign(kinds=kinds)
    event = schema.events.get(record.reference("event", list(schema.events), "event")) if by_event else None
    match = _attribute(record, "match", event, (ValueType.STRING,))
    return Sign(event.id if event else "", (), match, read_where(record, event))


def _anyway(record: Record, sign: Sign) -> bool:
    """Read whether an event that names the action also comes where it was not said."""
    anyway = record.flag("anyway", False)
    if anyway and not record.has("match"):
        why = "an event that names no action tells it already" if sign.event else "what is reported names a decision"
        record.refuse(f"`anyway` is about an event that names the action by `match`, and {why}; remove it", "anyway")
    return anyway


def _amount(record: Record, sign: Sign, schema: ContextSchema) -> str:
    if sign.kinds:
        return record.text("amount", None, Reference(("reported",), "amount")) if record.has("amount") else ""
    return _attribute(record, "amount", schema.events.get(sign.event), NUMBERS)


def _attribute(record: Record, key: str, event: EventType | None, types: tuple[ValueType, ...]) -> str:
    """Return the name of an attribute of an event, of one of the types; empty where there is none."""
    if not record.has(key) or event is None:
        return ""
    known: dict[str, Attribute] = {attribute.name: attribute for attribute in event.attributes}
    name = record.reference(key, list(known), f"attribute of {event.id}")
    if name in known and known[name].type not in types:
        record.refuse(f"`{key}` names `{name}`, which is {known[name].type}; name one of type {listed(types)}", key)
    return name


def _worth(section: Node, outcomes: Outcomes, problems: list[Problem], unread: bool) -> Outcomes:
    known = (*(outcome.id for outcome in outcomes.declared), *Term)
    factors: dict[str, float] = {}
    if not isinstance(section, Tree) or not section.nodes:
        message = "the section `worth` is no mapping; write what counts how much, such as {spend: 0.3, reward: -1}"
        problems.append(Problem(section.file, section.line, message))
        return outcomes
    for name, node in section.nodes.items():
        if name not in known and not unread:
            message = f"`worth` names `{shown(name)}`, which is no outcome; {nearest(name, known)}"
            problems.append(Problem(node.file, section.key_lines[name], message))
        try:
            factors[name] = Number(-MOST_FACTOR, MOST_FACTOR).read(node)
        except Misfit as misfit:
            problems.append(Problem(node.file, node.line, f"`{shown(name)}` {misfit}"))
    return replace(outcomes, worth=factors)


def _of_model(record: Record, outcomes: Outcomes, unread: bool) -> Outcomes:
    """Read which outcome models predict."""
    known = [outcome.id for outcome in outcomes.declared]
    predicted = outcomes.predicted
    if record.has("outcome"):
        named = record.text("outcome", None, NAME if unread else Reference(known, "outcome"))
        predicted = named if named in known else predicted
    influenced = record.flag("influenced", False)
    told = replace(outcomes, predicted=predicted, influenced=influenced)
    if influenced and told.target.influenced_by is None and not unread:
        record.refuse(f"`{predicted}` does not say what influences it; give it `influenced_by`", "influenced")
    return told
