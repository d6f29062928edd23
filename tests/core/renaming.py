"""Other names for everything in a strategy, in what is known of a customer, and in what is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from random import Random
from typing import Any

from msgspec import Struct, structs

from models.context import ContextSchema
from service.core.strategy import Strategy

_RULES = ("guardrails", "eligibility", "caps", "weights", "cool_offs", "promises", "exemptions")
_IN_CONDITIONS = re.compile(r"(?<![\w.'])(?:past|present)\.\w+")
_IN_TEXTS = re.compile(r"(?<=\{)(?:past|present)\.\w+")
_WORDS = ("text", "otherwise", "says", "sentence")


@dataclass(frozen=True, slots=True)
class Renaming:
    """Gives new names, those of fields apart; the words of texts and the types of values stay."""

    fresh: Mapping[str, str]
    called: Mapping[str, str]

    @classmethod
    def of(cls, strategy: Strategy, random: Random, *others: str) -> Renaming:
        """Collect all names of a strategy, and `others` that may be remembered; new ones sort the other way round, and
        are of random lengths.
        """
        named: list[Any] = [*strategy.actions, *strategy.channels, *strategy.levels]
        named += [rule for kind in _RULES for rule in getattr(strategy, kind)]
        names = {one.id for one in named} | set(others)
        names |= {placement for channel in strategy.channels for placement in channel.placements}
        names |= {word for action in strategy.actions for word in (action.group, *action.intents)}
        fresh = {
            name: f"z{place:03d}-{name[::-1]}{'y' * random.randrange(20)}"
            for place, name in enumerate(sorted(names, reverse=True))
        }
        ids = [field.id for field in strategy.schema.fields]
        return cls(fresh, {name: ".q_".join((name.partition(".")[0], name.partition(".")[2][::-1])) for name in ids})

    def __call__(self, value: Any, name: str = "") -> Any:  # noqa: ANN401  whatever stands in a strategy
        """Return a value under new names; `name` is that of the attribute in which it stands."""
        if type(value) is str:
            return self._text(value, name)
        if isinstance(value, tuple):
            return tuple(self(one, name) for one in value)
        if isinstance(value, Mapping):
            return {self(key): one for key, one in value.items()}
        if isinstance(value, ContextSchema):
            return ContextSchema.of((), tuple(replace(one, id=self.called[one.id]) for one in value.fields))
        if is_dataclass(value) and not isinstance(value, type):
            return replace(value, **{one.name: self(getattr(value, one.name), one.name) for one in fields(value)})
        if isinstance(value, Struct):
            changed = {one.name: self(getattr(value, one.name), one.name) for one in structs.fields(value)}
            return structs.replace(value, **changed)
        return value

    def _text(self, value: str, name: str) -> str:
        if name in _WORDS:
            return _IN_TEXTS.sub(lambda found: self.called[found[0]], value)
        if name == "source":
            return _IN_CONDITIONS.sub(lambda found: self.called[found[0]], value)
        if "|" in value:  # the key of a cap or a promise
            head, *tails = value.split("|")
            return "|".join((self.name(head), *(tail[:2] + self.name(tail[2:]) for tail in tails)))
        return self.name(value)

    def name(self, name: str) -> str:
        """Return the new name of something; what has none keeps its own."""
        return self.fresh.get(name, self.called.get(name, name))
