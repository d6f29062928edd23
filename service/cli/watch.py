"""`tact watch`: what is to be said to a customer, told again each time that it changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.answers import NOTHING, sentences, words
from service.cli.options import DEFAULT_TARGET, Customer, Json, StrategyForTypes, Target, context_of, example, schema_of
from service.cli.output import say, say_json

if TYPE_CHECKING:
    from service.rpc.client import TactClient

EXAMPLE = example("tact watch carla-loyal --channel desk --placement greeting --placement offer")


def watch(
    customer: Customer,
    channel: Annotated[str, typer.Option(metavar="CHANNEL", help="Where it is said: web, desk …", show_default=False)],
    placement: Annotated[
        list[str], typer.Option(metavar="PLACEMENT", help="Where it shows; can be repeated.", show_default=False)
    ],
    context: Annotated[
        list[str] | None,
        typer.Option("--context", metavar="FIELD=VALUE", help="What is seen right now; can be repeated."),
    ] = None,
    cursor: Annotated[str, typer.Option(metavar="CURSOR", help="Go on after this message; without: begin.")] = "",
    every_cause: Annotated[
        bool, typer.Option("--every-cause", help="Tell as well what changes nothing of the answer.")
    ] = False,
    strategy: StrategyForTypes = None,
    target: Target = DEFAULT_TARGET,
    json: Json = False,
) -> None:
    """Tell what is to be said to a customer, and again each time that it changes, until Ctrl-C."""
    from service.cli.calls import call
    from service.rpc.client import Ask

    schema = schema_of(strategy)
    ask = Ask(customer, channel, tuple(placement), context_of(context or [], schema))

    async def listen(client: TactClient) -> None:
        async for message in client.watch(ask, cursor=cursor, every_cause=every_cause):
            _tell(message, json=json)

    call(target, listen, schema)


def _tell(message: dict[str, Any], *, json: bool) -> None:
    if json:
        say_json(message)
        return
    causes = ", ".join(filter(None, (_cause(one) for one in message["causes"])))
    because = f" ({causes})" if causes else ""
    match message["kind"]:
        case "answer":
            say(f"{message['told_at']}  to say now{because}:")
            for placed in message["answer"]["answers"]:
                say(f"  {placed['placement']}: {words(placed) or NOTHING}; {_on_one_line(placed['reasons'])}")
        case "withdrawn":
            for gone in message["withdrawn"]:
                why = f"{_on_one_line(gone['reasons'])}{because}"
                say(f"{message['told_at']}  no longer at {gone['placement']}: {gone['action_id']}; {why}")
        case "unchanged":
            say(f"{message['told_at']}  the answer stays{because}")


def _cause(cause: dict[str, Any]) -> str:
    return f"{cause['kind']} {cause['name']}".strip()


def _on_one_line(reasons: list[dict[str, Any]]) -> str:
    return sentences(reasons).replace("\n", " ")
