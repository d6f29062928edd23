"""Answers of the service in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.cli.output import row, say, show, table

Answer = dict[str, Any]
NOTHING = "(nothing)"


def words(placed: Answer) -> str:
    """Return what is said at one placement, with the action's name; or that nothing is said."""
    for kind in ("greeting", "offer"):
        if kind in placed:
            said = placed[kind]
            return f"{said['text']}  [{said['action_id']}]"
    held_back = placed["suppression"]["held_back_action_id"]
    until = placed["suppression"].get("until")
    return NOTHING + (f", {held_back} is held back" if held_back else "") + (f" until {until}" if until else "")


def action_of(placed: Answer) -> str | None:
    """Return the action that is said at one placement; None when nothing is said."""
    said = placed.get("greeting") or placed.get("offer")
    return said["action_id"] if said else None


def sentences(reasons: Sequence[Answer], most: int = 3) -> str:
    """Return the first reasons, a line each."""
    more = [f"(and {len(reasons) - most} more)"] if len(reasons) > most else []
    return "\n".join([*(reason["sentence"] for reason in reasons[:most]), *more])


def show_explanation(explanation: Answer) -> None:
    """Print the fate of every action and what was known."""
    say("")
    fates = table("Action", "Chance", "If nothing is said", "Net value", "What forbids it")
    for fate in explanation["actions"]:
        scores = (fate.get(name) for name in ("propensity", "baseline_propensity", "net_value"))
        row(fates, fate["action_id"], *scores, sentences(fate["vetoes"], 2))
    show(fates)
    known = table("Known of the customer", "Value", "Age in days", title=f"Consent: {explanation['consent_level']}")
    for field in explanation["fields"]:
        age = field.get("age_seconds")
        row(known, field["field_id"], field.get("value", "(unknown)"), None if age is None else age / 86_400)
    show(known)
