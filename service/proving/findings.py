"""What is found in a strategy without being asked: dead rules, actions that nobody can get, contradictions, gaps."""

from __future__ import annotations

from service.core.strategy import Strategy
from service.proving.finding import Finding, FindingKind, Gravity
from service.proving.found_actions import odd_actions
from service.proving.found_caps import odd_caps
from service.proving.found_ends import endless
from service.proving.found_gaps import gaps, unsafe_greeting
from service.proving.found_rules import odd_rules
from service.proving.found_triggers import idle_triggers
from service.proving.prover import Prover

__all__ = ["Finding", "FindingKind", "Gravity", "findings"]


def findings(strategy: Strategy, prover: Prover | None = None) -> tuple[Finding, ...]:
    """Return everything that is found in a strategy; with a `prover` of the same strategy its work is used again."""
    prover = prover or Prover(strategy)
    looks = (odd_rules, endless, odd_actions, gaps, unsafe_greeting, idle_triggers)
    return (*(finding for look in looks for finding in look(prover)), *odd_caps(strategy))
