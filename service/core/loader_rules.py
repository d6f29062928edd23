"""Read the rules of a strategy: who is meant, when it holds, and what then follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from models.documents import Documents, Problem
from models.records import Record, section_records
from service.core.loader_caps import read_cap
from service.core.loader_memory import read_cool_off, read_exemption, read_promise
from service.core.loader_quiet import read_quiet_hours, read_recovery
from service.core.loader_selectors import RuleReader
from service.core.rules import Cap, CoolOff, Eligibility, Exemption, Guardrail, Layer, Promise, Selector, Weight

T = TypeVar("T")

HIGHEST_FACTOR = 1e6


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of a strategy, each kind in the order of the documents.

    Quiet hours and recovery stand among the guardrails, and all layers in `eligibility`.
    """

    guardrails: tuple[Guardrail, ...]
    eligibility: tuple[Eligibility, ...]
    caps: tuple[Cap, ...]
    weights: tuple[Weight, ...]
    cool_offs: tuple[CoolOff, ...]
    promises: tuple[Promise, ...]
    exemptions: tuple[Exemption, ...]


def read_rules(documents: Documents, reader: RuleReader, problems: list[Problem]) -> Rules:
    """Return the rules that could be read, each checked against the actions, channels and fields that there are."""

    def read(section: str, what: str, one: Callable[[RuleReader, Record], T]) -> tuple[T, ...]:
        return tuple(one(reader, record) for record in section_records(documents, section, what, problems))

    guardrails = read("guardrails", "guardrail", _guardrail)
    guardrails += read("recovery", "recovery rule", read_recovery)
    guardrails += read("quiet_hours", "section of quiet hours", read_quiet_hours)
    permitting = tuple(rule for layer in Layer for rule in read(layer, f"{layer} rule", partial(_permit, layer=layer)))
    caps = read("caps", "cap", partial(read_cap, households=any(documents.section("household"))))
    weights = read("weights", "weight", _weight)
    cool_offs = read("cool_offs", "cool-off", read_cool_off)
    promises = read("consistency", "consistency rule", read_promise)
    about: dict[str, Selector] = {rule.id: rule.forbid for rule in guardrails}
    about |= {rule.id: rule.permit for rule in permitting}
    about |= {rule.id: rule.count for rule in caps} | {rule.id: rule.about for rule in cool_offs}
    about |= {rule.id: rule.keep for rule in promises}
    exemptions = read("exemptions", "exemption", partial(read_exemption, about=about))
    return Rules(guardrails, permitting, caps, weights, cool_offs, promises, exemptions)


def _guardrail(reader: RuleReader, record: Record) -> Guardrail:
    """Read a rule that forbids."""
    head, forbid, when = reader.said(record), reader.selector(record, "forbid"), reader.when(record, forbids=True)
    rule = Guardrail(*head, forbid, when, reader.instead(record, "forbid", forbid), *reader.terms(record))
    record.rest_is_refused()
    return rule


def _permit(reader: RuleReader, record: Record, layer: Layer) -> Eligibility:
    """Read a rule that permits."""
    head, permit, when = reader.said(record), reader.selector(record, "permit"), reader.when(record)
    instead = reader.instead(record, "permit", permit)
    rule = Eligibility(*head, permit, when, layer, instead, *reader.terms(record))
    if not record.has("when"):
        record.refuse(f"the {layer} rule has no `when`; write the condition under which it permits")
    record.rest_is_refused()
    return rule


def _weight(reader: RuleReader, record: Record) -> Weight:
    """Read a rule that weighs."""
    head, boost = reader.said(record), reader.selector(record, "boost")
    factor = record.number("factor", None, 0.0, HIGHEST_FACTOR)
    when, (owner, valid) = reader.when(record, of_actions=False), reader.terms(record)
    rule = Weight(*head, boost, factor, reader.in_force(record, when, valid), owner, valid)
    record.rest_is_refused()
    return rule
