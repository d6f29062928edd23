"""`tact export` and `tact erase`: what a person may ask for."""

from __future__ import annotations

import json as json_format
import os
from base64 import b64encode
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.options import DEFAULT_TARGET, Customer, Json, Target, example
from service.cli.output import Failed, note, row, say, say_json, table
from service.cli.output import show as show_table

EXPORT_EXAMPLE = example("tact export anna-ticket --out anna.json")
ERASE_EXAMPLE = example("tact erase anna-ticket --yes --rewrite")
_LISTS = {
    "identity": "identities",
    "consent": "consents",
    "field": "fields",
    "cap_uses": "cap_uses",
    "refusal": "refusals",
    "promise": "promises",
    "reservation": "reservations",
    "moment": "moments",
    "contact": "contacts",
    "event": "journey",
    "decision": "decisions",
    "outcome": "outcomes",
    "remnant": "remnants",
}
_COUNTED = {
    "fields": "fields",
    "consents": "consents and changes of them",
    "cap_counters": "counters of caps",
    "event_ids": "digests of event ids",
    "change_marks": "marks that predictions are due",
    "decisions": "decisions",
    "idempotency_records": "records to repeat decisions",
    "outcomes": "outcomes",
    "outcome_records": "records to know repeated outcomes",
    "links": "links between ids",
    "supply_holds": "holds of supply",
    "remembered": "refusals, promises, reserved contacts and the latest contact",
    "moments": "carts and the like that triggers knew of",
    "events": "events of the journey",
}


def export(
    customer: Customer,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write into this file, which only you can read; not to stdout.")
    ] = None,
    target: Target = DEFAULT_TARGET,
) -> None:
    """Write everything that is kept about a person as one JSON document, whatever their consent allows."""
    from service.cli.calls import call
    from service.rpc.client import TactClient

    async def exported(client: TactClient) -> dict[str, Any]:
        found: dict[str, Any] = {"customer_id": customer, **{name: [] for name in _LISTS.values()}}
        async for kind, item in client.rights.export(customer):
            if kind == "end":
                found |= item
            else:
                found.setdefault(_LISTS.get(kind, kind), []).append(item)
        return found

    document = json_format.dumps(call(target, exported), ensure_ascii=False, indent=2, default=_in_base64)
    if out is None:
        say(document)
        return
    with open(out, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(document + "\n")
    note(f"written to {out}")


def _in_base64(content: bytes) -> str:
    return b64encode(content).decode()


def erase(
    customer: Customer,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether this is meant.")] = False,
    rewrite: Annotated[
        bool, typer.Option("--rewrite", help="Also have the store write its append-only file anew, without the person.")
    ] = False,
    target: Target = DEFAULT_TARGET,
    json: Json = False,
) -> None:
    """Erase everything that is kept about a person, under all linked ids, and keep it from coming back."""
    from service.cli.calls import call

    if not yes and _typed_again(customer) != customer:
        raise Failed("that is another id; nothing was erased", 2)
    answer = call(target, lambda client: client.rights.erase(customer, rewrite=rewrite))
    if json:
        say_json(answer)
    else:
        _tell(answer)
    if rewrite and not answer["rewrite_started"]:
        raise Failed("erased, but the store does not rewrite its append-only file now; have it done (BGREWRITEAOF)")


def _typed_again(customer: str) -> str:
    try:
        return str(typer.prompt(f"This cannot be undone. Type {customer} to erase", err=True))
    except typer.Abort:
        note("")
        raise Failed("nobody typed the id again; nothing was erased (--yes erases without asking)", 2) from None


def _tell(answer: dict[str, Any]) -> None:
    made = table("Erased", "How many", title=f"{', '.join(answer['customer_ids'])}, erased at {answer['erased_at']}")
    for name, words in _COUNTED.items():
        row(made, words, answer[name])
    show_table(made)
    if not answer["rewrite_started"]:
        note("the store's append-only file has the old writes until it is rewritten (--rewrite, or BGREWRITEAOF)")
