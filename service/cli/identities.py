"""`tact identity link`, `unlink` and `show`: who is one person with whom."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from service.cli.options import DEFAULT_TARGET, Customer, Json, Target, example
from service.cli.output import row, say, say_json, show, table

LINK_EXAMPLE = example("tact identity link visitor-7f3a carla-loyal")
UNLINK_EXAMPLE = example("tact identity unlink visitor-7f3a")
SHOW_EXAMPLE = example("tact identity show carla-loyal")

Alias = Annotated[str, typer.Argument(metavar="ALIAS", help="The id that stands for another.", show_default=False)]


def link(alias: Alias, customer: Customer, target: Target = DEFAULT_TARGET, json: Json = False) -> None:
    """Make an id an alias of a customer, such as a visitor's who has logged in."""
    from service.cli.calls import call

    answer = call(target, lambda client: client.identities.link(alias, customer))
    if json:
        say_json(answer)
        return
    say("linked" if answer["newly_linked"] else "linked before; nothing changed")
    _show_person(answer["person"])


def unlink(
    alias: Alias,
    customer: Annotated[
        str, typer.Option("--from", metavar="CUSTOMER", help="Only if it is linked to this customer.")
    ] = "",
    target: Target = DEFAULT_TARGET,
    json: Json = False,
) -> None:
    """Undo the link of an alias, which is a customer of its own again."""
    from service.cli.calls import call

    answer = call(target, lambda client: client.identities.unlink(alias, customer))
    say_json(answer) if json else say("unlinked" if answer["newly_unlinked"] else "was not linked; nothing changed")


def show_identities(customer: Customer, target: Target = DEFAULT_TARGET, json: Json = False) -> None:
    """Show which ids are one person's."""
    from service.cli.calls import call

    answer = call(target, lambda client: client.identities.of(customer))
    if json:
        say_json(answer)
    else:
        _show_person(answer["person"])


def _show_person(person: dict[str, Any]) -> None:
    if not person["aliases"]:
        say(f"{person['customer_id']} has no other id")
        return
    made = table("Alias", "Linked", title=f"Everything is decided for {person['customer_id']}")
    for alias in person["aliases"]:
        row(made, alias["alias_id"], alias["linked_at"])
    show(made)
