"""`tact supply report` and `tact supply demand`: what there is goes in, what is wanted comes out."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.options import DEFAULT_TARGET, Json, Target, as_of_moment, example
from service.cli.output import Failed, say, say_json

if TYPE_CHECKING:
    from service.rpc.client import TactClient

REPORT_EXAMPLE = example("tact supply report truck hamburg 12 --for 4h")
DEMAND_EXAMPLE = example("tact supply demand --item truck")
_SPAN = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def report(
    item: Annotated[str, typer.Argument(metavar="ITEM", help="The item, such as truck.", show_default=False)],
    place: Annotated[str, typer.Argument(metavar="PLACE", help="The place, such as hamburg.", show_default=False)],
    available: Annotated[int, typer.Argument(metavar="UNITS", help="Units that can be promised.", show_default=False)],
    span: Annotated[
        str, typer.Option("--for", metavar="SPAN", help="How long it holds, such as 30m, 4h or 2d.")
    ] = "1h",
    observed_at: Annotated[
        str | None, typer.Option("--observed-at", metavar="TIME", help="When they were counted, if not now.")
    ] = None,
    target: Target = DEFAULT_TARGET,
    json: Json = False,
) -> None:
    """Report how many units of an item there are at a place."""
    from service.cli.calls import call
    from service.rpc.client import Report

    now_ms = time.time_ns() // 1_000_000
    observed = as_of_moment(observed_at) or now_ms
    told = Report(item, place, available, observed, now_ms + _span_ms(span))
    (result,) = call(target, lambda client: client.report_supply([told]))["results"]
    if result["status"] == "refused":
        raise Failed("; ".join(f"{bad['field']} {bad['description']}" for bad in result["violations"]))
    say_json(result) if json else say(f"{item} at {place}: {_in_words(result)}")


def demand(
    cursor: Annotated[str, typer.Option(metavar="CURSOR", help="Go on after this message; without: the oldest.")] = "",
    item: Annotated[list[str] | None, typer.Option(metavar="ITEM", help="Only this item; can be repeated.")] = None,
    once: Annotated[bool, typer.Option("--once", help="End when there is no more to tell.")] = False,
    target: Target = DEFAULT_TARGET,
    json: Json = False,
) -> None:
    """Tell what is wanted where, until Ctrl-C; each line names the cursor to go on from."""
    from service.cli.calls import call

    async def listen(client: TactClient) -> None:
        async for message in client.watch_demand(cursor, tuple(item or ()), until_none=once):
            _tell(message, json)

    call(target, listen)


def _tell(message: dict[str, Any], json: bool) -> None:
    if json:
        say_json(message)
        return
    if message["gap"]:
        say("(what was told before this is no longer kept)")
    for one in message["demands"]:
        where = f"{one['item']} at {one['place'] or '(somewhere)'}"
        say(f"{message['cursor']}  {where}: {one['kind']}, {one['count']} times, {one['units']} units")


def _in_words(result: dict[str, Any]) -> str:
    again = " (the same report is in force)" if result["status"] == "repeated" else ""
    return f"{result['free']} free, {result['held']} held, {result['accepted_since']} accepted since{again}"


def _span_ms(text: str) -> int:
    found = _SPAN.fullmatch(text)
    if not found:
        raise Failed(f"--for {text!r}: write a number and s, m, h or d, such as 4h", 2)
    return int(found[1]) * _UNIT_MS[found[2]]
