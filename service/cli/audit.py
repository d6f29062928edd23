"""`tact audit`: who changed which strategy, model, switch and consent, when and from where."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.options import DEFAULT_TARGET, Target, as_of_moment, example
from service.cli.output import Failed, note, say
from service.core.audit import What

if TYPE_CHECKING:
    from service.rpc.client import TactClient

EXAMPLE = example("tact audit --what switch --what consent --format csv > audit.csv")
COLUMNS = ("at", "kind", "subject", "before", "after", "by", "origin", "because", "position")


class AuditFormat(StrEnum):
    """How the record is written."""

    TEXT = "text"
    JSONL = "jsonl"
    CSV = "csv"


def audit(
    begin: Annotated[str | None, typer.Option("--from", metavar="TIME", help="Only from this moment on.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Only before this moment.")] = None,
    what: Annotated[
        list[What] | None, typer.Option("--what", help="Only this; can be repeated (all but consents).")
    ] = None,
    customer: Annotated[
        str, typer.Option(metavar="ID", help="Of consents and erasures only those of this customer.")
    ] = "",
    after: Annotated[str, typer.Option(metavar="POSITION", help="Go on after this position.")] = "",
    head: Annotated[
        str, typer.Option(metavar="LINK", help="What was noted as the head before: it must be there.")
    ] = "",
    form: Annotated[AuditFormat, typer.Option("--format", help="How it is written to stdout.")] = AuditFormat.TEXT,
    target: Target = DEFAULT_TARGET,
) -> None:
    """Tell who changed what, when and from where, and whether the record is as it was written.

    It ends with 1 where the record was changed afterwards. Note the head that it tells elsewhere: with `--head` a
    record that was written anew is found as well.
    """
    from service.cli.calls import call

    if customer and not {What.CONSENT, What.ERASURE} & {*(what or ())}:
        raise Failed("--customer chooses among consents and erasures; ask for them with --what", 2)
    write, moments = _writer(form), (as_of_moment(begin), as_of_moment(until))
    if moments[0] and moments[1] and moments[0] > moments[1]:
        raise Failed("--from is later than --to", 2)

    async def read(client: TactClient) -> dict[str, Any]:
        asked = client.audit.read(
            begin=moments[0], until=moments[1], kinds=[one.value for one in what or ()], customer_id=customer,
            after=after, head=head,
        )  # fmt: skip
        async for item in asked:
            if "record" in item:
                write(item["record"])
            elif "end" in item:
                return dict(item["end"])
        raise Failed("the record was not told to its end; begin again")

    _tell_end(call(target, read))


def _tell_end(end: dict[str, Any]) -> None:
    if end["unreadable"]:
        note(f"{end['unreadable']} entries cannot be read and are left out")
    for fault in end["faults"]:
        note(f"{fault['position']}: {fault['wrong']}")
    if end["faults"]:
        raise Failed(f"the record is not as it was written, in {len(end['faults'])} places")
    note(f"{end['entries']} entries, each vouched for by the one after it; head {end['head'] or '(none)'}")


def _writer(form: AuditFormat) -> Callable[[dict[str, Any]], None]:
    if form is AuditFormat.JSONL:
        return lambda record: say(json.dumps({name: record.get(name, "") for name in COLUMNS}, ensure_ascii=False))
    if form is AuditFormat.TEXT:
        return lambda record: say(_line(record))
    rows = csv.writer(sys.stdout)
    rows.writerow(COLUMNS)
    return lambda record: rows.writerow([_cell(record.get(name, "")) for name in COLUMNS])


def _cell(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") else text


def _line(record: dict[str, Any]) -> str:
    subject = f" {record['subject']}" if record["subject"] else ""
    before = f"{record['before'] or '(none)'} -> " if record["kind"] != "erasure" else ""
    change = f": {before}{record['after'] or '(none)'}"
    who = " ".join(filter(None, (f"by {record['by']}" if record["by"] else "", f"from {record['origin']}")))
    because = f" ({record['because']})" if record["because"] else ""
    return f"{record['at']}  {record['kind']}{subject}{change}  {who}{because}"
