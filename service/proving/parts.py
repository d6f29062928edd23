"""Which parts of a strategy a promise depends on, as a digest: a change of anything else proves nothing anew.

Words, sentences, owners, places in files, weights and propensities are no such part. Neither are rules that are about
nothing of what a promise is about, fields that none of its rules reads, and what actions say of themselves unasked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from service.core.cel import Checked, check_condition
from service.core.cel.attributes import row
from service.core.invariants import AtMost, Ends, Invariant, Named, Never, Rests
from service.core.rules import CONTACT_PERMISSION, Eligibility, Per, Selector
from service.core.ruling import judging
from service.core.selection import bits, mask
from service.core.strategy import Action, Strategy

_SOURCES = ("service/proving", "service/core", "models")
_WORDS = (
    "says", "owner", "file", "line", "text", "otherwise", "languages", "language", "version", "known_as", "told",
    "told_to", "invariants", "actionable",
)  # fmt: skip
"""What is written in documents, of which nothing that is found depends: what is called how, and where it stands."""
_ROOT = Path(__file__).parents[2]


class Parts:
    """Tells what each promise of one strategy depends on."""

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy
        self._conditions: dict[str, Checked] = {}

    def digest(self, promise: Invariant | None) -> str:
        """Return what changes with anything that a promise depends on; None stands for everything that can be found."""
        found = [_wordless(self._strategy)] if promise is None else [_promised(promise), *self._parts(promise)]
        return hashlib.sha256(msgspec.json.encode([program(), *found])).hexdigest()

    def _parts(self, promise: Invariant) -> Iterator[object]:
        strategy = self._strategy
        channels = tuple(channel.id for channel in strategy.channels)
        if isinstance(promise, Never | Named):
            channels = promise.channels or channels
        own = (promise.never.source, promise.when.source) if isinstance(promise, Never) else ()
        yield self._judged(channels, [self._checked(source) for source in own])
        yield [_about(strategy, one, channels) for one in _selectors(promise)]
        if isinstance(promise, AtMost):
            yield from _counted(strategy, [(cap, cap.count) for cap in strategy.caps])
        if isinstance(promise, Rests):
            yield from _counted(strategy, [(rule, rule.about) for rule in strategy.cool_offs])
        if isinstance(promise, Ends):  # it names rules
            yield [(rule.id, rule.when.source) for rule in judging(strategy)]

    def _judged(self, channels: Sequence[str], own: Sequence[Checked]) -> tuple[object, ...]:
        """Return what the rules of some channels depend on, together with the conditions of a promise."""
        strategy = self._strategy
        judged = [(rule, _about(strategy, _selector(rule), channels)) for rule in judging(strategy)]
        judged = [(rule, about) for rule, about in judged if any(about.values())]
        read = [*own, *(self._checked(rule.when.source) for rule, _ in judged)]
        rules = [
            (isinstance(rule, Eligibility), rule.when.source, rule.valid, about, _exempt(strategy, [rule.id]))
            for rule, about in judged
        ]
        places = [one for one in strategy.channels if one.id in channels]
        levels = [(level.id, level.purposes) for level in strategy.levels]
        asked = frozenset(name for condition in read for name in condition.attributes)
        actions = [told for action in strategy.actions if (told := _told(action, channels, asked))]
        fields, unasked = _fields(strategy, read), _exempt(strategy, [CONTACT_PERMISSION])
        return rules, places, levels, actions, unasked, fields, strategy.schema.time_zone, strategy.safe_greeting

    def _checked(self, source: str) -> Checked:
        if source not in self._conditions:
            found = check_condition(source, self._strategy.schema, self._strategy.attributes)
            self._conditions[source] = found
        return self._conditions[source]


@lru_cache(maxsize=1)
def program() -> str:
    """Return what changes with the program that proves, and with the solver."""
    found = hashlib.sha256(metadata.version("z3-solver").encode())
    for folder in _SOURCES:
        for path in sorted((_ROOT / folder).rglob("*.py")):
            found.update(path.read_bytes())
    return found.hexdigest()


def _promised(promise: Invariant) -> object:
    """Return a promise without its words; what every strategy promises is told apart by its id alone."""
    plain, written = msgspec.to_builtins(promise), promise.written
    plain["written"] = msgspec.to_builtins(written.valid), "" if written.file else written.id
    for key in ("never", "when"):
        if key in plain:
            plain[key] = plain[key]["source"]
    return type(promise).__name__, plain


def _selectors(promise: Invariant) -> tuple[Selector, ...]:
    """Return how a promise selects actions, apart from its conditions."""
    if isinstance(promise, AtMost):
        return (promise.count,)
    if isinstance(promise, Rests):
        return (promise.about,)
    return (promise.but,) if isinstance(promise, Named) and promise.but is not None else ()


def _told(action: Action, channels: Sequence[str], asked: frozenset[str]) -> object:
    """Return what matters of an action that has words on these channels."""
    places = [(one.channel, one.placement) for one in action.treatments if one.channel in channels]
    told = {name: value for name, value in row(action).items() if name in asked}
    return (action.id, action.kind, action.consumes, places, told) if places else None


def _fields(strategy: Strategy, read: Iterable[Checked]) -> list[object]:
    schema = strategy.schema
    names = {name for condition in read for name in condition.fields}
    names |= {action.consumes.supply for action in strategy.actions if action.consumes}
    names |= {schema.time_zone.field} if schema.time_zone else set()
    found = [schema.fields[schema.index[name]] for name in sorted(names & set(schema.index))]
    events = {event for field in found if field.fold for event in (field.fold.event, field.fold.closed_by)}
    return [
        _wordless(found),
        [(name, schema.events[name].attributes) for name in sorted(filter(None, events)) if name in schema.events],
    ]


def _counted(strategy: Strategy, rules: Sequence[tuple[Any, Selector]]) -> Iterator[object]:
    channels = [channel.id for channel in strategy.channels]
    yield [(_wordless(rule), _about(strategy, selector, channels)) for rule, selector in rules]
    yield _exempt(strategy, [rule.id for rule, _ in rules])
    if any({Per.GROUP, Per.INTENT} & set(rule.per) for rule, _ in rules):
        yield [(action.id, action.group, action.intents) for action in strategy.actions]


def _selector(rule: Any) -> Selector:  # noqa: ANN401 - a guardrail or a rule that permits
    return rule.permit if isinstance(rule, Eligibility) else rule.forbid


def _about(strategy: Strategy, selector: Selector, channels: Sequence[str]) -> dict[str, list[str]]:
    """Return the ids of the actions that a selector means on each channel."""
    return {on: [strategy.actions[i].id for i in bits(mask(selector, strategy.actions, on))] for on in channels}


def _exempt(strategy: Strategy, names: Sequence[str]) -> list[object]:
    channels = [channel.id for channel in strategy.channels]
    return [
        (name, one.valid, _about(strategy, one.actions, channels))
        for one in strategy.exemptions
        for name in one.exempt_from
        if name in names
    ]


def _wordless(whole: object) -> object:
    """Return documents as plain values, without words, places in files, and what decides nothing."""
    if is_dataclass(whole):
        own = [one.name for one in fields(whole) if one.name not in _WORDS]
        return {name: _wordless(getattr(whole, name)) for name in own}
    if isinstance(whole, Mapping):
        return {key: _wordless(value) for key, value in whole.items()}
    return [_wordless(one) for one in whole] if isinstance(whole, tuple | list) else whole
