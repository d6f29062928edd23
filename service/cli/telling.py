"""The telling customers of the demo: who they are, what is asked about them, and a table of what Tact says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table
from rich.text import Text

from service.cli.answers import NOTHING, action_of
from service.cli.output import table

Answer = dict[str, Any]

HELD_BACK = frozenset({"guardrail", "guardrail_unknown", "no_consent", "no_contact_permission", "cap_reached"})
"""The reasons that hold back what might have been said; the others say that it would not fit anyway."""


@dataclass(frozen=True, slots=True)
class Telling:
    """One customer, the story in one line, and the question that is asked."""

    customer: str
    story: str
    channel: str
    placements: tuple[str, ...]
    context: Mapping[str, Any] = field(default_factory=dict)


TELLING = (
    Telling(
        "anna-ticket",
        "Would love fibre, but her line has been down for two days. She calls.",
        "desk",
        ("greeting", "offer"),
        {"present.sentiment": 0.1, "present.contact_reason": "network", "present.queue_minutes": 2.0},
    ),
    Telling(
        "ben-noconsent",
        "Looks like the best customer to sell to, and has not agreed that we look.",
        "web",
        ("greeting", "hero"),
        {"present.page": "internet", "present.device": "computer"},
    ),
    Telling(
        "carla-loyal",
        "Happy, and one flight away from platinum. She calls.",
        "desk",
        ("greeting", "offer"),
        {"present.sentiment": 0.7, "present.contact_reason": "roaming", "present.queue_minutes": 1.0},
    ),
    Telling(
        "dave-cart",
        "Filled a cart half an hour ago and went for lunch.",
        "web",
        ("greeting", "cart"),
        {"present.page": "home", "present.device": "phone"},
    ),
    Telling(
        "eve-late-delivery",
        "Her router was promised for yesterday. An e-mail is due.",
        "email",
        ("greeting", "body"),
    ),
    Telling(
        "unknown-visitor",
        "Nobody knows who this is.",
        "web",
        ("greeting", "hero"),
        {"present.page": "home", "present.device": "phone"},
    ),
)


@dataclass(frozen=True, slots=True)
class Told:
    """What was decided about one telling customer; `took_ms` is how long the caller waited."""

    telling: Telling
    answer: Answer
    took_ms: float

    @property
    def sells(self) -> bool:
        """Whether anything that was said sells."""
        return any(placed.get("offer", {}).get("sells", False) for placed in self.answer["answers"])

    def plain(self) -> Answer:
        """Return it as JSON holds it, the fate of every action left out."""
        rest = {name: value for name, value in self.answer.items() if name != "explanation"}
        asked = {"channel": self.telling.channel, "placements": self.telling.placements, **self._context()}
        actions = {placed["placement"]: action_of(placed) for placed in self.answer["answers"]}
        return {
            "customer_id": self.telling.customer, "story": self.telling.story, "asked": asked, "says": actions,
            "sells": self.sells, "held_back": held_back(self.answer), "took_ms": round(self.took_ms, 3),
            "answer": rest,
        }  # fmt: skip

    def _context(self) -> Answer:
        return {"context": dict(self.telling.context)} if self.telling.context else {}


def held_back(answer: Answer) -> Answer | None:
    """Return what is worth most of all that only a promise holds back, and which promise; None where nothing is.

    `action_id` is empty where each would not fit anyway, or it is not known whether it would.
    """
    fates = answer.get("explanation", {}).get("actions", ())
    held = [(fate, why) for fate in fates if (why := _promise(fate)) is not None]
    if not held:
        return None
    only = [(fate, why) for fate, why in held if all(veto["code"] in HELD_BACK for veto in fate["vetoes"])]
    best, why = max(only or held, key=lambda pair: pair[0].get("net_value") or 0.0)
    named = best["action_id"] if only else ""
    return {"action_id": named, "count": len(held), "rule_id": why["rule_id"], "sentence": why["sentence"]}


def _promise(fate: Answer) -> Answer | None:
    return next((veto for veto in fate["vetoes"] if veto["code"] in HELD_BACK), None)


def telling_table(told: tuple[Told, ...]) -> Table:
    """Return a table that a manager understands."""
    made = table("Who", "Where", "What Tact says", "Why", "What it held back, and why")
    made.show_lines = True
    for one in told:
        placed = one.answer["answers"]
        who = Text.assemble((one.telling.customer, "bold"), f"\n{one.telling.story}")
        held = held_back(one.answer)
        back = f"{held['action_id'] or 'offers'} ({held['count']} in all): {held['sentence']}" if held else ""
        made.add_row(who, Text(one.telling.channel), _said(placed), _why(placed), Text(back))
    return made


def _said(placed: Sequence[Answer]) -> Text:
    said = [(each["placement"], each.get("greeting") or each.get("offer")) for each in placed]
    return Text("\n".join(f"{where}: " + (f"“{action['text']}”" if action else NOTHING) for where, action in said))


def _why(placed: Sequence[Answer]) -> Text:
    """Return the first reason of each placement, once where they share it."""
    first = [(each["placement"], each["reasons"][0]["sentence"]) for each in placed]
    if len({sentence for _, sentence in first}) == 1:
        return Text(first[0][1])
    return Text("\n".join(f"{where}: {sentence}" for where, sentence in first))
