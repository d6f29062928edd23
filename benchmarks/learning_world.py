"""The demo world, lived through: who is there when, what they would like, and what comes of what they are told."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import yaml

from training.worlds.demo import World
from training.worlds.files import moment_ms
from training.worlds.people import DAY_MS, Happening, Person
from training.worlds.tastes import STRATEGY, Worth, true_worth

MOMENT = "2026-06-01T09:00:00Z"
DAYS = 60
"""How many days before `MOMENT` the decisions are spread over."""

LEARNING = """\
events:
  - {id: taken, says: "The customer took something, shown or not.", attributes: {action: string}}
outcomes:
  - id: taken
    says: The customer took it within the hour, said or not.
    of: {kinds: [offer, message]}
    event: taken
    match: action
    within: 1h
    anyway: true
"""
"""What the strategy is told besides: by what it is seen that somebody took something."""


@dataclass(frozen=True, slots=True)
class Trying:
    """How much a round tries that ends before a day: the share of decisions that explore, the shares of people who get
    anything that may be said, and who are told nothing.
    """

    until: int
    rate: float
    random: float
    holdout: float


@dataclass(frozen=True, slots=True)
class Visit:
    """One customer who is there at a moment (ms)."""

    customer: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Value:
    """What one decision was worth by the truth: what was said; and what would have been the first choice by what had
    been learned, the one by the strategy's own guesses, a random choice and the best.
    """

    said: float
    first: float
    guess: float
    random: float
    best: float


class Life:
    """The days of a world in order, with the truth about everyone in it."""

    def __init__(self, customers: int, decisions: int, seed: int) -> None:
        self._world = World(customers, seed, moment_ms(MOMENT), STRATEGY)
        self._people = {one.id: (one, happened) for one, happened in self._world.people()}
        self._sayables = {sayable.id: sayable for sayable in self._world.sayables()}
        self._decisions = decisions
        self._worths: dict[tuple[str, str], Worth] = {}
        self._dice = Random(f"{seed} life")

    def begin_ms(self, day: int) -> int:
        """Return when a day begins."""
        return self._world.moment_ms - (DAYS - day) * DAY_MS

    def people(self) -> Iterator[Person]:
        """Yield everyone."""
        return (one for one, _ in self._people.values())

    def happenings(self, after_ms: int, before_ms: int) -> Iterator[tuple[str, int, Happening]]:
        """Yield what happens in a span: the customer, the event's number among theirs, and the event."""
        for name, (_, story) in self._people.items():
            for number, happening in enumerate(story):
                if after_ms <= happening.at_ms < before_ms:
                    yield name, number, happening

    def visits(self, day: int) -> list[Visit]:
        """Draw who is there on a day, in order of time, nobody twice."""
        begins, ends = self._decisions * day // DAYS, self._decisions * (day + 1) // DAYS
        there = [one.id for one in self.people() if one.tenure_days > DAYS + 15 - day]
        moments = sorted(self.begin_ms(day) + self._dice.randrange(DAY_MS) for _ in range(ends - begins))
        who = self._dice.sample(there, min(len(moments), len(there)))
        return [Visit(name, at_ms) for name, at_ms in zip(who, moments, strict=False)]

    def value(self, customer: str, said: str, first: str, guess: str, allowed: Sequence[str]) -> Value:
        """Return what a decision was worth, in euros against saying nothing; empty names say nothing."""
        named = {*allowed, said, first, guess} - {""}
        nets = {"": 0.0} | {action: self._worth(customer, action).net for action in named}
        open_to = [0.0, *(nets[action] for action in allowed)]
        return Value(nets[said], nets[first], nets[guess], sum(open_to) / len(open_to), max(open_to))

    def guessed(self, declared: Mapping[str, float]) -> dict[str, float]:
        """Return what saying each action is worth by the formula, given its declared propensity alone."""
        return {
            name: one.lever * declared.get(name, 0.0) * (one.value - one.reward) - one.cost
            for name, one in self._sayables.items()
        }

    def happens(self, customer: str, said: str) -> float | None:
        """Draw whether what was said is taken; return what that earns, or None."""
        sayable = self._sayables[said]
        if self._dice.random() >= self._worth(customer, said).p:
            return None
        return sayable.value - sayable.reward

    def happens_anyway(self, customer: str, actions: Sequence[str]) -> list[str]:
        """Draw which of these somebody takes who was told nothing."""
        return [action for action in actions if self._dice.random() < self._worth(customer, action).p0]

    def _worth(self, customer: str, action: str) -> Worth:
        key = customer, action
        if key not in self._worths:
            self._worths[key] = true_worth(self._sayables[action], self._people[customer][0].traits)
        return self._worths[key]


def write_strategy(folder: Path) -> Path:
    """Copy the demo strategy, with what tells that something was taken, and without its own exploration."""
    shutil.copytree(STRATEGY, folder, ignore=shutil.ignore_patterns("cases"))
    (folder / "learning.yaml").write_text(LEARNING, "utf-8")
    _replaced(folder / "strategy.yaml", r"(?m)^  explore: .*\n", "")
    return folder


def explores(strategy: Path, trying: Trying) -> None:
    """Let a strategy explore as a round asks for."""
    policy = f"policy: epsilon_greedy, rate: {trying.rate}" if trying.rate else "policy: none"
    words = f"exploration: {{{policy}}}\n"
    if trying.random or trying.holdout:
        words += f"control: {{random: {trying.random}, holdout: {trying.holdout}}}\n"
    (strategy / "exploring.yaml").write_text(words, "utf-8")


def asked_instead(strategy: Path) -> dict[str, frozenset[str]]:
    """Return, by the id of each rule that asks for something instead of what it forbids, the actions it asks for."""
    documents = [yaml.safe_load(path.read_text("utf-8")) for path in sorted(strategy.glob("*.yaml"))]
    sections = [section for one in documents for section in one.values() if isinstance(section, list)]
    rules = [rule for section in sections for rule in section if "instead" in rule]
    actions = [action for one in documents for action in one.get("actions", ())]
    return {
        rule["id"]: frozenset(
            action["id"]
            for action in actions
            if action["id"] in rule["instead"].get("ids", ())
            or set(action.get("intents", ())) & set(rule["instead"].get("intents", ()))
        )
        for rule in rules
    }


def _replaced(file: Path, pattern: str, by: str) -> None:
    text, count = re.subn(pattern, by, file.read_text("utf-8"))
    assert count, f"{file.name} has {pattern}"
    file.write_text(text, "utf-8")
