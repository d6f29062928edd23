"""Options that several commands share, spelt once."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from models.context import ContextSchema, ValueType
from service.cli.output import Failed
from service.config import DEFAULT_PORT, DEFAULT_STRATEGY

CONTEXT = {"max_content_width": 110, "help_option_names": ["-h", "--help"]}

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else on stdout.")]
Target = Annotated[
    str,
    typer.Option(
        "--target", metavar="HOST:PORT", envvar="TACT_TARGET", show_envvar=True, help="Where the service serves."
    ),
]
StrategyForTypes = Annotated[
    Path | None,
    typer.Option(
        "--strategy",
        metavar="DIR",
        help=f"The strategy whose declarations type the values (default: {DEFAULT_STRATEGY}, where it is there).",
    ),
]
Customer = Annotated[str, typer.Argument(metavar="CUSTOMER", help="The customer's id.", show_default=False)]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="TIME",
        help="As of this moment, such as 2026-06-01T09:00:00Z; the service must run with --allow-as-of.",
    ),
]

DEFAULT_TARGET = f"127.0.0.1:{DEFAULT_PORT}"
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*")


def example(command: str) -> str:
    """Return the end of a help text: a command to copy, on a line of its own however narrow the terminal."""
    return f"\b\nExample:\n  {command}"


def schema_of(folder: Path | None) -> ContextSchema | None:
    """Return the declarations that type values; None where no strategy is named and the default one is not there."""
    if folder is None and not Path(DEFAULT_STRATEGY).is_dir():
        return None
    from models.documents import DocumentsRefused
    from models.schema import load_context

    try:
        return load_context(folder or Path(DEFAULT_STRATEGY))
    except DocumentsRefused as refused:
        raise Failed(f"--strategy {folder or DEFAULT_STRATEGY}: {refused}", 2) from None


def context_of(pairs: list[str], schema: ContextSchema | None) -> dict[str, Any]:
    """Read `field=value` pairs, typed by the schema where it knows the field and by their looks elsewhere."""
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise Failed(f"--context {pair!r}: write field=value, such as present.sentiment=0.4", 2)
        place = schema.index.get(name) if schema else None
        values[name] = typed(name, text, schema.fields[place].type if schema and place is not None else None)
    return values


def typed(name: str, text: str, wanted: ValueType | None) -> Any:  # noqa: ANN401 - any value of the contract
    """Return a text as a value of a type; without one as what it looks like."""
    try:
        match wanted or looks_like(text):
            case ValueType.BOOL:
                return {"true": True, "false": False}[text.lower()]
            case ValueType.INT:
                return int(text)
            case ValueType.DOUBLE:
                return float(text)
            case ValueType.STRINGS:
                return [part for part in text.split(",") if part]
            case ValueType.TIMESTAMP:
                return moment(text)
            case _:
                return text
    except (KeyError, ValueError):
        wanted_words = "true or false" if wanted is ValueType.BOOL else f"a value of type {wanted}"
        raise Failed(f"--context {name}={text}: {text!r} is not {wanted_words}", 2) from None


def moment(text: str) -> datetime:
    """Read a moment with its time zone."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return at


def as_of_moment(text: str | None) -> datetime | None:
    """Read what `--as-of` and its like say."""
    try:
        return None if text is None else moment(text)
    except ValueError:
        raise Failed(f"{text!r} is no moment; write it with its time zone, such as 2026-06-01T09:00:00Z", 2) from None


def looks_like(text: str) -> ValueType:
    """Guess the type of a text."""
    if text.lower() in ("true", "false"):
        return ValueType.BOOL
    for wanted, read in ((ValueType.INT, int), (ValueType.DOUBLE, float)):
        try:
            read(text)
        except ValueError:
            continue
        return wanted
    return ValueType.TIMESTAMP if _TIME.fullmatch(text) else ValueType.STRING
