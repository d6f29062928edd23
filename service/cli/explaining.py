"""`tact explain`: why a decision came out as it did, as deep as whoever asks may see."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from service.cli.answers import sentences, show_explanation, words
from service.cli.options import DEFAULT_TARGET, Json, Target, example
from service.cli.output import Failed, row, say, say_json, show, table

EXAMPLE = example("tact explain 0a3f29c1e58b7d6402aa91c3f5 --action fibre-upgrade --depth agent")
DEPTHS = ("customer", "agent", "auditor")

Answer = dict[str, Any]


def explain(
    decision: Annotated[str, typer.Argument(metavar="DECISION", help="The decision's id.", show_default=False)],
    depth: Annotated[
        str, typer.Option(metavar="DEPTH", help="customer, agent or auditor (as deep as you may see).")
    ] = "",
    action: Annotated[
        list[str] | None, typer.Option(metavar="ACTION", help="Tell of this action alone; can be repeated.")
    ] = None,
    target: Target = DEFAULT_TARGET,
    json: Json = False,
) -> None:
    """Say why a decision came out as it did: each stage, each action's fate, and what was known and used.

    Where the service knows its callers, the token in the file `TACT_TOKEN_FILE` says who asks.
    """
    from service.cli.calls import call

    checked_depth(depth)
    told = call(target, lambda client: client.explain_decision(decision, depth, actions=action or ()))
    say_json(told) if json else show_told(told)


def checked_depth(depth: str) -> str:
    """Return a depth, empty for as deep as one may see; raise `Failed` for what is none."""
    if depth and depth not in DEPTHS:
        raise Failed(f"--depth: there is no depth {depth[:40]!r}; write one of {', '.join(DEPTHS)}", 2)
    return depth


def show_told(told: Answer) -> None:
    """Print what is told of a decision as tables."""
    versions = told["versions"]
    made_by = f"strategy {versions['strategy']}, model {versions['model'] or '(priors)'}"
    made = table("Where", "What Tact said", "Why", title=f"{told['decided_at']} on {told['channel']}, by {made_by}")
    for placed in told["answers"]:
        row(made, placed["placement"], words(placed), sentences(placed["reasons"]))
    show(made)
    if told["incomplete"]:
        say(f"no more can be told: {told['incomplete']}")
    if told["withheld"]:
        say("what rests on data that the customer no longer agrees to is left out")
    if "explanation" in told:
        _show_stories(told["explanation"])


def _show_stories(explanation: Answer) -> None:
    for story in explanation["placements"]:
        stages = ", ".join(f"{one['stage']} {one['actions']}" for one in story["stages"])
        say(f"{story['placement']}: {story['sentence']}" + (f"  ({stages})" if stages else ""))
    for fate in explanation["actions"]:
        for check in fate["checks"]:
            _say_check(fate["action_id"], check)
    show_explanation(explanation)


def _say_check(action: str, check: Answer) -> None:
    seen = "; ".join(f"{one['expression']} with {one.get('observed', '(unknown)')}" for one in check["comparisons"])
    say(f"{action}: {check['rule_id']} holds it back: {seen}")
