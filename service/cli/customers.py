"""`tact context show` and `tact context consent`: what is known of a customer, and what the customer agreed to."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from service.cli.options import DEFAULT_TARGET, AsOf, Customer, Json, Target, as_of_moment, example
from service.cli.output import Failed, row, say, say_json, table
from service.cli.output import show as show_table

SHOW_EXAMPLE = example("tact context show anna-ticket")
CONSENT_EXAMPLE = example("tact context consent anna-ticket --level personal --contact email")
_STATES = {
    "never_seen": "(never seen)",
    "stale": "(too old)",
    "hidden": "(hidden: no consent)",
    "not_stored": "(not stored)",
    "too_many": "(more than is kept)",
    "unreadable": "(kept by another fold)",
}


def show(customer: Customer, as_of: AsOf = None, target: Target = DEFAULT_TARGET, json: Json = False) -> None:
    """Show what is known of a customer, as far as the consent allows."""
    from service.cli.calls import call

    moment = as_of_moment(as_of)
    answer = call(target, lambda client: client.get_context(customer, moment))
    if json:
        say_json(answer)
        return
    title = f"{customer} at {answer['as_of']}, consent: {answer['consent_level']}"
    made = table("Field", "Value", "Age in days", "Purpose", "From", title=title)
    for field in answer["fields"]:
        age = field.get("age_seconds")
        value = field["value"] if field["state"] == "known" else _STATES.get(field["state"], field["state"])
        days = None if age is None else age / 86_400
        row(made, field["field_id"], value, days, field["purpose"], _origin(field))
    show_table(made)


def _origin(field: dict[str, Any]) -> str:
    match field["source"]:
        case "events":
            return ", ".join(field["source_events"])
        case "model":
            return f"model {field['model_version']}".strip()
        case other:
            return str(other)


def consent(
    customer: Customer,
    level: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="The level, as the strategy spells it; without: show it.")
    ] = None,
    contact: Annotated[
        list[str] | None,
        typer.Option(metavar="CHANNEL", help="A channel on which contact unasked is permitted; can be repeated."),
    ] = None,
    given_at: Annotated[str | None, typer.Option(metavar="TIME", help="When it was given, if not now.")] = None,
    source: Annotated[str, typer.Option(metavar="TEXT", help="Where it was given, for the record.")] = "",
    history: Annotated[bool, typer.Option("--history", help="Show every change too.")] = False,
    target: Target = DEFAULT_TARGET,
    json: Json = False,
) -> None:
    """Set the consent of a customer, all of it; without --level show it."""
    if level is None:
        if contact or given_at or source:
            raise Failed("--contact, --given-at and --source need --level: a consent is replaced as a whole", 2)
        return _show_consent(customer, history, target, json)
    if history:
        raise Failed("--history shows what was; leave --level out", 2)
    from service.cli.calls import call

    moment, wanted = as_of_moment(given_at), level
    answer = call(
        target,
        lambda client: client.set_consent(customer, wanted, tuple(contact or ()), given_at=moment, source=source),
    )
    say_json(answer) if json else say(f"{customer}: {_in_words(answer['consent'])}")
    return None


def _show_consent(customer: str, history: bool, target: str, json: bool) -> None:
    from service.cli.calls import call

    answer = call(target, lambda client: client.get_consent(customer, history=history))
    if json:
        say_json(answer)
        return
    recorded = "" if answer["recorded"] else " (none was ever given)"
    purposes = ", ".join(answer["purposes"]) or "nothing"
    say(f"{customer}: {_in_words(answer['consent'])}{recorded}; allows {purposes}")
    if history:
        made = table("Given", "Arrived", "Level", "Contact", "Where")
        for change in answer["history"]:
            moments = (change.get(name, "") for name in ("given_at", "arrived_at"))
            row(made, *moments, change["level"], change["contact_channels"], change["source"])
        show_table(made)


def _in_words(consent: dict[str, Any]) -> str:
    channels = ", ".join(consent["contact_channels"]) or "no channel"
    return f"level {consent['level']}, may be contacted unasked on {channels}"
