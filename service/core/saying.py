"""What the usual decision says, in one step, and the sentences of what something is worth.

service/core/_saying.c is compiled when Tact is installed (models/kernel_build.py). It says what was planned just now or
before, under this strategy, and of which nothing was taken away. Its twin is `chosen_plainly` of answers.py: it serves
where there was no compiler, or with `TACT_KERNEL=python`, and for what the compiled one leaves to it (what a race took,
what is switched off, actions and places that the strategy lacks, sums from a million millions on).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from models.compiled import compiled
from models.context import Scalar
from service.core.decision import Answer, Committed, Reason, ReasonCode
from service.core.memory import NOTHING_OFF
from service.core.plan import Candidate, Entry, PlacementPlan
from service.core.strategy import Strategy
from service.core.wording import Phrase

_compiled = compiled("service.core._saying")

COMPILED: bool = _compiled is not None
"""Whether the usual decision is said in one step."""

Said: TypeAlias = tuple[str, str | Phrase, tuple[str, ...], bool]
"""What is said of an action at a place: its kind, its words, its intents, and whether a model scores it."""
Tells: TypeAlias = Callable[[Entry, Committed, Sequence[Scalar | None]], tuple[Answer, ...] | None]
"""Returns the answers that a commit chose from a plan, in words for these values; None for what is unusual."""

COSTS_ONLY = "after its costs (what happens anyway is not known)"
OVER_NOTHING = "over saying nothing"
AS_LEARNED = "over saying nothing, as learned from what saying it earned"
_STRUCTS = (Entry, PlacementPlan, Candidate, Committed, Reason, Answer)
_CODES = (ReasonCode.HIGHEST_NET_VALUE, ReasonCode.EXPLORATION, ReasonCode.INSTEAD, ReasonCode.PROMISED)
_HERE = "\0"
"""Stands for a number while a sentence is cut at its numbers."""


def best_sentence(worth: str, currency: str, over: str) -> str:
    """Say that something is the best, by what it is worth over something else."""
    return f"It brings {worth} {currency} {over}, the most of what may be said here."


def drawn_sentence(pool: str, worth: str, currency: str, over: str) -> str:
    """Say that something was drawn from a pool of so many, and what it is worth over something else."""
    return f"Drawn to learn from, out of {pool}. It brings {worth} {currency} {over}."


def saying(strategy: Strategy, greeted: Reason, words: Mapping[str, Mapping[str, Mapping[str, Said]]]) -> Tells:
    """Return what says usual decisions in one step; `words` are by channel, placement and action."""
    if not COMPILED:
        return _left_to_the_twin
    pieces: list[str] = []
    for over in (COSTS_ONLY, OVER_NOTHING, AS_LEARNED):
        pieces += best_sentence(_HERE, strategy.currency, over).split(_HERE)
        pieces += drawn_sentence(_HERE, _HERE, strategy.currency, over).split(_HERE)
    places = tuple(strategy.schema.index[name] for name in strategy.features)
    tells: Tells = _compiled.Saying(
        _STRUCTS, _CODES, greeted, NOTHING_OFF, strategy.version, strategy.safe_greeting, words, places,
        tuple(strategy.features), tuple(pieces),
    ).chosen  # fmt: skip
    return tells


def _left_to_the_twin(entry: Entry, committed: Committed, values: Sequence[Scalar | None]) -> None:
    return None
