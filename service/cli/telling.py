"""The telling customers of the demo: who they are, what is asked about them, and a table of what Tact says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table
from rich.text import Text

from service.cli.answers import NOTHING, action_of
from service.cli.output import table
from service.rpc.questions import Outcome

Answer = dict[str, Any]

HELD_BACK = frozenset(
    {
        "guardrail",
        "guardrail_unknown",
        "no_consent",
        "no_contact_permission",
        "cap_reached",
        "cooling_off",
        "never_again",
        "promised_otherwise",
    }
)
"""The reasons that hold back what might have been said; the others say that it would not fit anyway."""


@dataclass(frozen=True, slots=True)
class Telling:
    """One customer, the story in one line, and the question that is asked; a customer may be asked about again.

    `replies` is what becomes of the offer, as an outcome: that counts for what is asked after it.
    """

    customer: str
    story: str
    channel: str
    placements: tuple[str, ...]
    context: Mapping[str, Any] = field(default_factory=dict)
    replies: str = ""


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
        "frank-leaving",
        "His contract ends in three weeks. He looks at his account.",
        "web",
        ("greeting", "hero"),
        {"present.page": "account", "present.device": "phone"},
    ),
    Telling(
        "frank-leaving",
        "He calls a minute later, and hears the same story.",
        "desk",
        ("greeting", "offer"),
        {"present.sentiment": 0.2, "present.contact_reason": "leaving", "present.queue_minutes": 1.0},
    ),
    Telling(
        "gina-refused",
        "Calls, and says no to what she is offered.",
        "desk",
        ("greeting", "offer"),
        {"present.sentiment": 0.4, "present.contact_reason": "other", "present.queue_minutes": 1.0},
        replies="refused",
    ),
    Telling(
        "gina-refused",
        "Opens the web shop: her no counts here too.",
        "web",
        ("greeting", "hero"),
        {"present.page": "internet", "present.device": "computer"},
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
    def outcome(self) -> Outcome | None:
        """What becomes of what was said last, where the story tells."""
        said = action_of(self.answer["answers"][-1]) if self.telling.replies else None
        return Outcome(self.answer["decision_id"], said, self.telling.replies) if said else None

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
    told = {"action_id": named, "count": len(held), "rule_id": why["rule_id"], "sentence": why["sentence"]}
    return {**told, "until": why["until"]} if "until" in why else told


def _promise(fate: Answer) -> Answer | None:
    return next((veto for veto in fate["vetoes"] if veto["code"] in HELD_BACK), None)


def telling_table(told: tuple[Told, ...]) -> Table:
    """Return a table that a manager understands."""
    made = table("Who", "Where", "What Tact says", "Why", "What it held back, and why")
    made.show_lines = True
    for one in told:
        placed = one.answer["answers"]
        who = Text.assemble((one.telling.customer, "bold"), f"\n{one.telling.story}")
        made.add_row(who, Text(one.telling.channel), _said(placed), _why(placed), Text(_back(one.answer)))
    return made


def _back(answer: Answer) -> str:
    """Return what was held back, why, and until when if it ends by itself."""
    held = held_back(answer)
    if held is None:
        return ""
    ends = f" Until {held['until'][:16].replace('T', ' ')} UTC." if "until" in held else ""
    return f"{held['action_id'] or 'offers'} ({held['count']} in all): {held['sentence']}{ends}"


def _said(placed: Sequence[Answer]) -> Text:
    said = [(each["placement"], each.get("greeting") or each.get("offer")) for each in placed]
    return Text("\n".join(f"{where}: " + (f"“{action['text']}”" if action else NOTHING) for where, action in said))


def _why(placed: Sequence[Answer]) -> Text:
    """Return the first reason of each placement, once where they share it."""
    first = [(each["placement"], each["reasons"][0]["sentence"]) for each in placed]
    if len({sentence for _, sentence in first}) == 1:
        return Text(first[0][1])
    return Text("\n".join(f"{where}: {sentence}" for where, sentence in first))
