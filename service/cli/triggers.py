"""`tact triggers subscribe`, `dead` and `release`: what is due of itself, and what nobody could finish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.options import DEFAULT_TARGET, Json, Target, example
from service.cli.output import Failed, say, say_json

if TYPE_CHECKING:
    from service.rpc.client import Answer, TactClient

SUBSCRIBE_EXAMPLE = example("tact triggers subscribe email --once")
DEAD_EXAMPLE = example("tact triggers dead email")
RELEASE_EXAMPLE = example("tact triggers release email --all")
MOST_RELEASED = 1_000

Channel = Annotated[str, typer.Argument(metavar="CHANNEL", help="The channel, such as email.", show_default=False)]


def subscribe(
    channel: Channel,
    once: Annotated[bool, typer.Option("--once", help="End when nothing more is due.")] = False,
    acknowledge: Annotated[
        bool, typer.Option("--acknowledge", help="Say of each that it was said, once it is printed.")
    ] = False,
    most: Annotated[int, typer.Option(metavar="N", min=1, max=1_000, help="How many to have at a time.")] = 100,
    lease: Annotated[
        int, typer.Option(metavar="SECONDS", min=1, max=3_600, help="How long each is lent before it comes again.")
    ] = 60,
    target: Target = DEFAULT_TARGET,
    json: Json = False,
) -> None:
    """Print what is due on a channel as it becomes due, decided at that moment, until Ctrl-C.

    Without --acknowledge every moment comes again when its loan ends: for looking.
    """
    from service.cli.calls import call

    async def listen(client: TactClient) -> None:
        async for moment in client.triggers.due(channel, most, lease, until_none=once):
            say_json(moment) if json else say(_in_words(moment))
            if acknowledge:
                await client.triggers.acknowledge(channel, [moment])

    call(target, listen)


def dead(channel: Channel, target: Target = DEFAULT_TARGET, json: Json = False) -> None:
    """List moments that were given out five times in a row and that nobody acknowledged."""
    from service.cli.calls import call

    told = call(target, lambda client: client.triggers.dead(channel, MOST_RELEASED))
    if json:
        say_json(told)
        return
    for one in told["moments"]:
        say(f"{one['since']}  {_named(one)}  {one['decision_id'] or '(never sent)'}")
    if not told["moments"]:
        say(f"nothing on {channel} waits for anybody to look after it")


def release(
    channel: Channel,
    customer: Annotated[str, typer.Option("--customer", metavar="ID", help="Only those of this id.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    give_up: Annotated[bool, typer.Option("--give-up", help="End them instead, without saying anything.")] = False,
    target: Target = DEFAULT_TARGET,
    json: Json = False,
) -> None:
    """Let moments that nobody acknowledged be due again, 1,000 at a time; or end them."""
    from service.cli.calls import call

    if bool(customer) is everything:
        raise Failed("name one customer with --customer, or write --all", 2)

    async def released(client: TactClient) -> Answer:
        chosen = (await client.triggers.dead(channel, MOST_RELEASED, customer=customer))["moments"]
        if not chosen:
            return {"released": 0}
        return await client.triggers.release(channel, chosen, give_up=give_up)

    told = call(target, released)
    say_json(told) if json else say(f"{told['released']} {'given up' if give_up else 'due again'}")


def _in_words(moment: dict[str, Any]) -> str:
    said = [one.get("offer") or one.get("greeting") for one in moment["decision"]["answers"]]
    words = "; ".join(f"{one['action_id']}: {one['text']}" for one in said if one)
    again = "" if moment["delivery"] == 1 else f" (delivery {moment['delivery']})"
    return f"{moment['due_at']}  {_named(moment)}{again}  {words}"


def _named(moment: dict[str, Any]) -> str:
    name = moment["name"]
    return " ".join(filter(None, (name["trigger_id"], name["customer_id"], name["key"])))
