"""`tact decide` and `tact outcome`: ask what to say, and tell what came of it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from service.cli.answers import NOTHING, sentences, show_explanation, words
from service.cli.explaining import checked_depth
from service.cli.options import (
    DEFAULT_TARGET,
    AsOf,
    Customer,
    Json,
    StrategyForTypes,
    Target,
    as_of_moment,
    context_of,
    example,
    schema_of,
)
from service.cli.output import Failed, row, say, say_json, show, table

DECIDE_EXAMPLE = example("tact decide carla-loyal --channel desk --placement offer --context present.sentiment=0.6")
VALIDATE_EXAMPLE = example("tact validate 0a3f29c1e58b7d6402aa91c3f5")
OUTCOME_EXAMPLE = example("tact outcome 0a3k2v6zq7m4n5c2wxy3abcdef fibre-upgrade accepted --amount 60")

Answer = dict[str, Any]


def decide(
    customer: Customer,
    channel: Annotated[str, typer.Option(metavar="CHANNEL", help="Where it is said: web, desk …", show_default=False)],
    placement: Annotated[
        list[str], typer.Option(metavar="PLACEMENT", help="Where it shows; can be repeated.", show_default=False)
    ],
    context: Annotated[
        list[str] | None,
        typer.Option("--context", metavar="FIELD=VALUE", help="What is seen right now; can be repeated."),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show the fate of every action.")] = False,
    depth: Annotated[str, typer.Option(metavar="DEPTH", help="How deep: customer, agent or auditor.")] = "",
    key: Annotated[str, typer.Option(metavar="KEY", help="Makes the call safe to repeat; counts once.")] = "",
    as_of: AsOf = None,
    strategy: StrategyForTypes = None,
    target: Target = DEFAULT_TARGET,
    json: Json = False,
) -> None:
    """Ask what to say to a customer, here and now: for each placement a greeting, an offer, or nothing, and why."""
    from service.cli.calls import call
    from service.rpc.client import Ask

    schema = schema_of(strategy)
    ask = Ask(
        customer, channel, tuple(placement), context_of(context or [], schema), explain, key,
        as_of=as_of_moment(as_of), depth=checked_depth(depth),
    )  # fmt: skip
    answer = call(target, lambda client: client.decide(ask), schema)
    say_json(answer) if json else show_answer(answer)


def show_answer(answer: Answer) -> None:
    """Print an answer as a table, and under it what made it."""
    made = table("Where", "What Tact says", "Why")
    for placed in answer["answers"]:
        row(made, placed["placement"], words(placed), sentences(placed["reasons"]))
    show(made)
    for reason in answer["degraded_reasons"]:
        say(f"more careful than usual: {reason['sentence']}")
    versions = answer["versions"]
    made_by = f"strategy {versions['strategy']}, model {versions['model'] or '(priors)'}"
    say(f"decision {answer['decision_id'] or '(not recorded)'}, {made_by}")
    if "explanation" in answer:
        show_explanation(answer["explanation"])


def validate(
    decision: Annotated[str, typer.Argument(metavar="DECISION", help="The decision's id.", show_default=False)],
    as_of: AsOf = None,
    target: Target = DEFAULT_TARGET,
    json: Json = False,
) -> int:
    """Ask whether what was decided may still be said, just before it is; ends with 1 where it may not."""
    from service.cli.calls import call

    moment = as_of_moment(as_of)
    answer = call(target, lambda client: client.validate_decision(decision, moment))
    if json:
        say_json(answer)
    else:
        made = table("Where", "What was decided", "May it be said?", "Why not", title=f"As of {answer['judged_at']}")
        for placed in answer["placements"]:
            said = placed["action_id"] or NOTHING
            row(made, placed["placement"], said, placed["valid"], sentences(placed["reasons"]))
        show(made)
    return 0 if answer["valid"] else 1


def outcome(
    decision: Annotated[str, typer.Argument(metavar="DECISION", help="The decision's id.", show_default=False)],
    action: Annotated[str, typer.Argument(metavar="ACTION", help="The action that was said.", show_default=False)],
    kind: Annotated[
        str,
        typer.Argument(metavar="KIND", help="shown, clicked, accepted, refused, not_now or never.", show_default=False),
    ],
    amount: Annotated[float, typer.Option(metavar="N", help="What it was worth, in the strategy's currency.")] = 0.0,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="When it happened, if not now.")] = None,
    target: Target = DEFAULT_TARGET,
    json: Json = False,
) -> int:
    """Tell what came of an action of a decision; telling the same again changes nothing."""
    from service.cli.calls import call
    from service.rpc.client import Outcome

    told = Outcome(decision, action, kind, amount, as_of_moment(at))
    result = call(target, lambda client: client.record_outcomes([told]))["results"][0]
    status = result["status"]
    good = status in ("stored", "repeated")
    if json:
        say_json({"decision_id": decision, "action_id": action, "kind": kind, **result})
    elif good:
        say("stored" if status == "stored" else "stored before; nothing changed")
    if not good:
        raise Failed(_why_not(result))
    return 0


def _why_not(result: Answer) -> str:
    match result["status"]:
        case "refused":
            return "; ".join(f"{bad['field']} {bad['description']}" for bad in result["violations"])
        case "unknown_decision":
            return "there is no such decision with this action; it may be older than decisions are kept"
        case "conflict":
            return "this outcome is recorded with another time or amount; the first one holds"
        case status:
            return f"not recorded: {status}"
