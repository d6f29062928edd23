"""What a changed strategy lets through that the one before held back: rules of it that are gone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from service.core.strategy import Strategy

MOST_NAMED = 20


class _Rule(Protocol):
    @property
    def id(self) -> str: ...


class GuardrailsGone(Exception):
    """A changed strategy has no guardrail at all, and the one in force has some."""


def rules_gone(before: Strategy, after: Strategy) -> tuple[str, ...]:
    """Return the ids of the rules that hold something back in one strategy and are not in another, in their order."""
    kept = set(_restraints(after))
    return tuple(rule for rule in _restraints(before) if rule not in kept)


def listed(rules: Sequence[str]) -> str:
    """Name rules in a sentence, and of many the first."""
    more = f" and {len(rules) - MOST_NAMED} more" if len(rules) > MOST_NAMED else ""
    return f"{', '.join(rules[:MOST_NAMED])}{more}"


def check_guarded(before: Strategy, after: Strategy) -> None:
    """Raise `GuardrailsGone`, in words, where no guardrail is left: rather a file is missing than that is meant."""
    if before.guardrails and not after.guardrails:
        raise GuardrailsGone(
            f"There is no guardrail in the changed strategy, and the one in force has {len(before.guardrails)}: "
            f"{listed([rule.id for rule in before.guardrails])}. Bring back the file that holds them; if it is meant, "
            "start the service anew, which takes the strategy as it is."
        )


def check_still_guarded(guarded: Sequence[str], strategy: Strategy) -> None:
    """Raise `GuardrailsGone`, in words, where a worker is to begin with a strategy without any, and others had some."""
    if guarded and not strategy.guardrails:
        raise GuardrailsGone(
            f"There is no guardrail in the strategy's folder, and other workers serve one with {len(guarded)}: "
            f"{listed(guarded)}. Bring back the file that holds them; if it is meant, start the service anew, which "
            "takes the strategy as it is."
        )


def _restraints(strategy: Strategy) -> tuple[str, ...]:
    kinds: tuple[Sequence[_Rule], ...] = (
        strategy.guardrails,
        strategy.eligibility,
        strategy.caps,
        strategy.cool_offs,
        strategy.promises,
    )  # exemptions are no restraint: without one more is held back
    return tuple(rule.id for rules in kinds for rule in rules)
