"""`tact what-if`: the smallest change of facts that would have made an action win, or lose."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from service.cli.options import DEFAULT_TARGET, Json, Target, example
from service.cli.output import Failed, row, say, say_json, show, table

EXAMPLE = example("tact what-if 0a3f29c1e58b7d6402aa91c3f5 --action fibre-upgrade")
MOST = 4

Answer = dict[str, Any]
_DONE = {"win": "is said", "lose": "is not said"}


def what_if(
    decision: Annotated[str, typer.Argument(metavar="DECISION", help="The decision's id.", show_default=False)],
    action: Annotated[str, typer.Option(metavar="ACTION", help="The action that is meant.", show_default=False)],
    win: Annotated[bool, typer.Option("--win", help="What makes it win (also: if it was not said).")] = False,
    lose: Annotated[bool, typer.Option("--lose", help="What makes it lose (also: if it was said).")] = False,
    placement: Annotated[str, typer.Option(metavar="PLACEMENT", help="Where (the first with words for it).")] = "",
    most: Annotated[int, typer.Option(metavar="N", min=1, max=MOST, help="How many changes together, at most.")] = 3,
    target: Target = DEFAULT_TARGET,
    json: Json = False,
) -> None:
    """Say which smallest change of facts would have changed an answer; each is checked by deciding again.

    Facts are those that the strategy calls actionable; waiting, consent and permission are, unless it rules them out.
    """
    from service.cli.calls import call
    from service.rpc.questions import WhatIf

    if win and lose:
        raise Failed("--win and --lose exclude each other; write one, or none for what it did not do", 2)
    asked = WhatIf(action, "win" if win else "lose" if lose else "", placement, most)
    told = call(target, lambda client: client.explain_decision(decision, "", asked, actions=(action,)))
    if told["incomplete"]:
        raise Failed(f"it cannot be told: {told['incomplete']}", 3)
    if "what_would_change" not in told:
        raise Failed("it is not told to this caller what would change an answer; an agent or auditor may ask", 3)
    would = told["what_would_change"]
    say_json(would) if json else show_would(would)


def show_would(would: Answer) -> None:
    """Print what would have changed an answer, or how far was looked in vain."""
    action, done = would["action_id"], _DONE[would["goal"]]
    if would["verdict"] == "found":
        _show_changes(would, f"{action} {done} where")
    elif would["verdict"] == "already":
        say(f"{action} {done} as it is; nothing needs to change")
    elif would["verdict"] == "withheld":
        say("what would change it must not be told to this caller, or rests on what is consented to no more")
    else:
        _show_nothing(would)


def _show_changes(would: Answer, title: str) -> None:
    changes = table("What changes", "Which fact", "From", "To", title=title)
    for change in would["changes"]:
        row(changes, change["sentence"], *_of(change))
    show(changes)
    say(f"then it says: {would['then_action_id'] or 'nothing'}")
    if would["assumes"]:
        say(f"if these are as they were, which the log does not tell: {', '.join(would['assumes'])}")


def _of(change: Answer) -> tuple[str, object, object]:
    """Return which fact a change changes, from what and to what."""
    if change["kind"] == "wait":
        return "the moment", None, change["wait_until"]
    if change["kind"] == "consent":
        return "the consent level", None, change["consent_level"]
    if change["kind"] == "permission":
        return "permission to contact", "no", "yes"
    return change["field_id"], change.get("before", "(unknown)"), change.get("after")


def _show_nothing(would: Answer) -> None:
    reach = would["reach"]
    gave_up = would["verdict"] == "gave_up"
    say("none was found before the search was ended" if gave_up else "none is within reach")
    for reason in would["stands"]:
        say(f"against it stands: {reason['sentence']}" + (f"  [{reason['rule']}]" if reason.get("rule") else ""))
    if would["ahead_action_ids"]:
        say(f"before it come: {', '.join(would['ahead_action_ids'])}")
    tried = [*reach["field_ids"], *(f"consent {level}" for level in reach["consent_levels"])]
    tried += ["permission"] if reach["permission"] else []
    tried += [f"waiting until {reach['wait_until']}"] if "wait_until" in reach else []
    together = f"up to {reach['most_changes']} together, {would['tries']:,} decisions"
    say(f"tried ({together}): {', '.join(tried) or 'nothing, for nothing here can be changed'}")
