"""The JSON of a run, as msgspec structs; `python -m benchmarks.document` prints its JSON Schema, `schema.json`."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from benchmarks.section import Bound, Figure, SectionResult

SCHEMA = 2
FILE = Path(__file__).with_name("schema.json")


class SaidFigure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One measure of one subject in one case. A subject `a / b` is the ratio of both, round by round, in the unit x."""

    subject: Annotated[str, Meta(min_length=1, description="What was measured: decide, floor, decide / floor.")]
    case: Annotated[
        dict[str, str | int | float], Meta(description="Under which circumstances: actions, in_flight, rules.")
    ]
    measure: Annotated[str, Meta(min_length=1, description="requests, p99, server CPU (of one call), bytes.")]
    unit: Annotated[str, Meta(description="1/s, µs, MB; x for a ratio.")]
    median: Annotated[float, Meta(description="The middle of the values.")]
    low: Annotated[float, Meta(description="The smallest value.")]
    high: Annotated[float, Meta(description="The largest value.")]
    values: Annotated[tuple[float, ...], Meta(min_length=1, description="One value a round, in their order.")]


class SaidBound(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a figure should be, what it is, and whether that holds."""

    says: Annotated[str, Meta(min_length=1, description="What is promised.")]
    measured: Annotated[float, Meta(description="The median that was measured.")]
    holds: Annotated[bool, Meta(description="Whether it lies within the bounds.")]
    at_least: Annotated[float | None, Meta(description="The lower bound; absent: none.")] = None
    at_most: Annotated[float | None, Meta(description="The upper bound; absent: none.")] = None


class SaidSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One part of the benchmark. With `not_measured` or `failed` it has no figures."""

    name: Annotated[str, Meta(pattern="^[a-z][a-z_-]*$", description="What --only chooses it by.")]
    says: Annotated[str, Meta(description="What it measures.")]
    took_s: Annotated[float, Meta(ge=0, description="How long it took, in seconds.")]
    figures: tuple[SaidFigure, ...] = ()
    bounds: tuple[SaidBound, ...] = ()
    notes: Annotated[tuple[str, ...], Meta(description="What a reader of the figures needs to know.")] = ()
    left_out: Annotated[dict[str, str], Meta(description="Cases that could not be measured, and why.")] = {}
    details: Annotated[dict[str, Any], Meta(description="Anything else; no promise about its form.")] = {}
    not_measured: Annotated[str, Meta(description="Why it cannot be measured here.")] = ""
    failed: Annotated[str, Meta(description="What went wrong: the run ends with 1.")] = ""


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one run of `make bench` measured."""

    schema: Annotated[int, Meta(ge=SCHEMA, le=SCHEMA, description="Grows with every change of meaning.")]
    date: Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", description="The end of the run, RFC 3339.")]
    client: Annotated[str, Meta(description="What made the calls: load (C++) or h2load.")]
    machine: Annotated[
        dict[str, Any],
        Meta(
            description="processor, cores, kernel, python, versions, grpc_cpp, commit, load_average before and after."
        ),
    ]
    plan: Annotated[dict[str, Any], Meta(description="Rounds, seconds a window, calls in flight, size of the world.")]
    sections: tuple[SaidSection, ...]


def section(name: str, says: str, took_s: float, result: SectionResult) -> SaidSection:
    """Return what a section found, as it is written."""
    return SaidSection(
        name=name,
        says=says,
        took_s=round(took_s, 1),
        figures=tuple(map(_figure, result.figures)),
        bounds=tuple(map(_bound, result.bounds)),
        notes=result.notes,
        left_out=dict(result.left_out),
        details=dict(result.details),
    )


def _figure(one: Figure) -> SaidFigure:
    return SaidFigure(
        subject=one.subject,
        case=dict(one.case),
        measure=one.measure,
        unit=one.unit,
        median=one.median,
        low=min(one.values),
        high=max(one.values),
        values=one.values,
    )


def _bound(one: Bound) -> SaidBound:
    within = {"at_least": one.at_least, "at_most": one.at_most}
    stated = {name: value for name, value in within.items() if math.isfinite(value)}
    return SaidBound(says=one.says, measured=one.measured, holds=one.holds, **stated)


def written(document: Document) -> str:
    """Return the JSON; raise `msgspec.ValidationError` where it would not be of the schema."""
    text = json.dumps(msgspec.to_builtins(document), indent=1, ensure_ascii=False, allow_nan=False)
    read(text)
    return text + "\n"


def read(text: str | bytes) -> Document:
    """Read the JSON of a run; raise `msgspec.ValidationError` for anything else."""
    return msgspec.json.decode(text, type=Document)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a run."""
    said: dict[str, Any] = msgspec.json.schema(Document)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A run of make bench"} | said


def main(arguments: Sequence[str]) -> int:
    """Print the schema; with --write, write it beside this file."""
    text = json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"
    if "--write" in arguments:
        FILE.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
