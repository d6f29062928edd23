"""`tact status` and `tact switch`: what a service says of itself, and the kill switch."""

from __future__ import annotations

import getpass
from typing import Annotated, Any

import typer

from service.cli.options import DEFAULT_TARGET, Json, Target, example
from service.cli.output import Failed, say, say_json

STATUS_EXAMPLE = example("tact status --json")
OFF_EXAMPLE = example('tact switch off fibre-upgrade --because "The price is wrong."')
ON_EXAMPLE = example("tact switch on fibre-upgrade")
LIST_EXAMPLE = example("tact switch list")
_SHOWN_PROBLEMS = 10

_Action = Annotated[
    str | None, typer.Argument(metavar="[ACTION]", help="The action's id, unless --all.", show_default=False)
]


def status(target: Target = DEFAULT_TARGET, json: Json = False) -> None:
    """Show which strategy and model decide, what was refused and why, what was counted, and what is switched off."""
    from service.cli.calls import call

    told = call(target, lambda client: client.control.status())
    if json:
        say_json(told)
        return
    say(f"strategy  {told['strategy']}")
    say(f"model     {told['model'] or '(priors)'}")
    if told["challenger"]:
        say(f"beside    {told['challenger']} (a challenger: logged, without a say)")
    say(f"since     {told['since']}")
    say(f"store     {told['store']}")
    if "worker" in told:  # a service of an earlier version does not tell
        _say_worker(told["worker"])
    _say_refused(told.get("refused"))
    _say_off(told["switched_off"])
    for one in told["counts"]:
        say(f"count     {' '.join(filter(None, (one['name'], one['label'])))}: {one['value']}")


def switch_off(
    action: _Action = None,
    because: Annotated[
        str, typer.Option("--because", metavar="TEXT", help="Why, for whoever finds it so. Required.")
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="Everything that is said, greetings too.")] = False,
    even_unknown: Annotated[
        bool, typer.Option("--even-unknown", help="Also an action that the strategy in force does not have (any more).")
    ] = False,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who does it (your login name).")] = None,
    target: Target = DEFAULT_TARGET,
    json: Json = False,
) -> None:
    """Switch an action off, or everything: once this ends, no process says it any more."""
    from service.cli.calls import call

    name = _one(action, everything)
    if not because.strip():
        raise Failed("--because is missing; say why it is switched off, for whoever finds it so", 2)
    who = login() if by is None else by
    told = call(target, lambda client: client.control.switch_off(name, because, who, even_unknown=even_unknown))
    say_json(told) if json else say(f"{_what(name)} is off{'' if told['changed'] else ', as it was'}")


def switch_on(
    action: _Action = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Take `off --all` back; what is off by itself stays off.")
    ] = False,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who does it (your login name).")] = None,
    target: Target = DEFAULT_TARGET,
    json: Json = False,
) -> None:
    """Switch an action on again, or take `off --all` back."""
    from service.cli.calls import call

    name, who = _one(action, everything), login() if by is None else by
    told = call(target, lambda client: client.control.switch_on(name, who))
    if json:
        say_json(told)
        return
    say(f"{_what(name)} is on{'' if told['changed'] else ', as it was'}")
    _say_off(told["switched_off"])


def list_switches(target: Target = DEFAULT_TARGET, json: Json = False) -> None:
    """List what is switched off, since when, by whom and why."""
    from service.cli.calls import call

    told = call(target, lambda client: client.control.switches())
    if json:
        say_json(told)
    else:
        _say_off(told["switched_off"])


def _one(action: str | None, everything: bool) -> str | None:
    if (action is None) is not everything:
        raise Failed("name one action, or write --all for everything", 2)
    return action


def _what(name: str | None) -> str:
    return "everything" if name is None else name


def _say_worker(worker: dict[str, Any]) -> None:
    again = f", started {worker['starts']} times" if worker["starts"] > 1 else ""
    memory = f", {worker['memory_bytes'] / 1e6:.0f} MB" if worker["memory_bytes"] else ""
    say(f"worker    {worker['number']} of {worker['of']} (process {worker['process_id']}{memory}{again})")


def _say_refused(refused: dict[str, Any] | None) -> None:
    if refused is None:
        return
    over = "" if refused["stands"] else " (over: what the folders hold is in force)"
    say(f"refused   a changed {refused['what']}, {refused['refused_at']}{over}")
    for problem in refused["problems"][:_SHOWN_PROBLEMS]:
        say(f"          {problem}")
    if (more := len(refused["problems"]) - _SHOWN_PROBLEMS) > 0:
        say(f"          and {more} more")


def _say_off(switched_off: list[dict[str, Any]]) -> None:
    if not switched_off:
        say("off       nothing")
    for one in switched_off:
        by = f" by {one['by']}" if one["by"] else ""
        since = f" since {one['since']}" if "since" in one else ""
        say(f"off       {one['action_id'] or 'everything'}{since}{by}: {one['because']}")


def login() -> str:
    """Return the name of whoever types, empty where there is none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return ""
